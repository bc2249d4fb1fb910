"""The service's own tests, which run on SQLite and a folder otherwise, on real servers of PostgreSQL and S3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import postgres_server
from tests.s3 import s3_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("tests", ["tests/unit/service", "tests/integration/test_service_workers.py"])
def test_the_services_own_tests_pass_on_postgresql_and_s3(tests: str, tmp_path: Path) -> None:
    with postgres_server() as database, s3_server(tmp_path) as store:
        variables = dict(store.environment())
        variables["IMPASTO_TEST_S3"] = variables.pop("IMPASTO_SERVICE_ARTIFACTS_URL")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests], cwd=ROOT, capture_output=True,
            env=os.environ | variables | {"IMPASTO_TEST_POSTGRESQL": database.url}, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
