"""An API process where torch cannot be imported; a worker, which has it, beside it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service import API, ORDER

pytestmark = pytest.mark.slow

PATIENCE = 180.0


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """An environment without torch, as far as Python can tell."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "IMPASTO_SERVICE_DATA": str(tmp_path / "data")}


def start(variables: dict[str, str], *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "impasto", *options]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def client(variables: dict[str, str]) -> Iterator[httpx.Client]:
    process = start(variables, "serve", "--port", "0", "--workers", "0")
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    with httpx.Client(base_url=found[0], timeout=60) as client:
        yield client
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_an_api_without_torch_takes_jobs_that_a_worker_with_it_paints(
    client: httpx.Client, variables: dict[str, str]
) -> None:
    checked = client.post(f"{API}/jobs/check", json=ORDER).raise_for_status().json()
    assert checked["plan"]["peak_bytes"] > 10**8 and checked["plan"]["seconds"] is None
    assert {info["name"] for info in client.get(f"{API}/models").raise_for_status().json()} >= {"compact", "vgg19"}
    for path in ("recipe/schema", "examples", "jobs", "images", "ready"):
        client.get(f"{API}/{path}").raise_for_status()
    regions = client.post(f"{API}/images/example:coffee/regions", params={"num": 3})
    assert regions.status_code == 422 and "masks of your own" in regions.json()["detail"]

    job = client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()
    worker = start(variables | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}, "worker", "--device", "cpu")
    try:
        until = time.monotonic() + PATIENCE
        while (now := client.get(f"{API}/jobs/{job['id']}").json())["state"] != "done":
            assert time.monotonic() < until, now
            time.sleep(0.2)
    finally:
        worker.terminate()
        worker.communicate(timeout=PATIENCE)
    assert client.get(f"{API}/jobs/{job['id']}/result").content[:8] == b"\x89PNG\r\n\x1a\n"


def test_workers_of_its_own_are_refused_with_a_sentence(variables: dict[str, str]) -> None:
    process = start(variables, "serve", "--port", "0", "--workers", "1")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "--workers 0" in said and "Traceback" not in said
