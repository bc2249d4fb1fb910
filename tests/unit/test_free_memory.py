"""What a machine or a container has to give."""

import pytest

from impasto.free_memory import free_memory, own_memory

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


@pytest.mark.parametrize(
    ("group", "folder", "limit", "used", "cached"),
    [("0::/\n", "", "memory.max", "memory.current", "inactive_file"),
     ("4:memory:/\n", "memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")],
)  # fmt: skip
def test_a_container_gives_what_is_left_and_what_caches_can_give_back(machine, group, folder, limit, used, cached):
    place = f"sys/fs/cgroup/{folder}"
    root = machine(**{"proc/self/cgroup": group, place + limit: "2000000000\n", place + used: "1500000000\n",
                      f"{place}memory.stat": f"anon 5\n{cached} 300000000\n"})  # fmt: skip
    assert free_memory(root) == 800_000_000


@pytest.mark.parametrize("limit", ["max", UNLIMITED])
def test_a_group_without_a_limit_gives_all(machine, limit):
    root = machine(**{"proc/self/cgroup": "0::/\n4:memory:/\n", "sys/fs/cgroup/memory.max": limit,
                      "sys/fs/cgroup/memory/memory.limit_in_bytes": limit})  # fmt: skip
    assert free_memory(root) == 8_000_000 * 1024


def test_a_system_that_says_nothing_sets_no_limit(tmp_path):
    assert free_memory(tmp_path) is None


def test_this_machine_has_memory():
    assert free_memory() > 10**8


def test_this_process_has_memory():
    assert own_memory() > 10**6
