"""What a machine or a container has to give."""

import pytest

from impasto.service.memory import free_memory

UNLIMITED = str(2**63 - 4096)
"""How version 1 says that there is no limit."""


@pytest.fixture
def machine(tmp_path):
    """Writes files of a machine with 8 GB available."""

    def write(**files):
        for name, text in {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n", **files}.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


def test_a_machine_gives_what_is_available(machine):
    assert free_memory(machine()) == 8_000_000 * 1024


@pytest.mark.parametrize(
    ("group", "file"),
    [("0::/\n", "memory.max"), ("0::/app/one\n", "app/one/memory.max"), ("0::/app/one\n", "app/memory.max"),
     ("5:cpu:/\n4:memory:/pod\n", "memory/pod/memory.limit_in_bytes")],
)  # fmt: skip
def test_a_container_gives_no_more_than_its_limit(machine, group, file):
    root = machine(**{"proc/self/cgroup": group, f"sys/fs/cgroup/{file}": "2000000000\n"})
    assert free_memory(root) == 2_000_000_000


@pytest.mark.parametrize("limit", ["max", UNLIMITED])
def test_a_group_without_a_limit_gives_all(machine, limit):
    root = machine(**{"proc/self/cgroup": "0::/\n4:memory:/\n", "sys/fs/cgroup/memory.max": limit,
                      "sys/fs/cgroup/memory/memory.limit_in_bytes": limit})  # fmt: skip
    assert free_memory(root) == 8_000_000 * 1024


def test_a_system_that_says_nothing_sets_no_limit(tmp_path):
    assert free_memory(tmp_path) is None


def test_this_machine_has_memory():
    assert free_memory() > 10**8
