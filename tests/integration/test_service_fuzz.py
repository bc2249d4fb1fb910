"""Requests made from the OpenAPI document: no server error, and every answer as the document says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import API, served, service

NUM_EXAMPLES = int(os.environ.get("IMPASTO_FUZZ_EXAMPLES", "10"))
"""Of each operation, besides those that cover its schema."""


@pytest.mark.slow
def test_every_operation_keeps_to_the_document(tmp_path: Path) -> None:
    command = shutil.which("schemathesis", path=Path(sys.executable).parent)
    assert command, "pip install 'impasto[dev]'"
    with service(tmp_path / "data", requests_a_minute=10**6, max_queued=10**6) as made, served(made.app) as url:
        key, _ = made.keys.create("fuzz", ["read", "write", "admin"])
        outcome = subprocess.run(
            [command, "--config-file", str(Path(__file__).parent / "schemathesis.toml"), "run",
             f"{url}{API}/openapi.json", "--header", f"Authorization:Bearer {key}", "--checks", "all",
             "--max-response-time", "600",  # no timing is asserted
             "--phases", "examples,coverage,fuzzing", "--generation-deterministic",
             "--max-examples", str(NUM_EXAMPLES), "--request-timeout", "300", "--continue-on-failure"],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout[-20_000:]
