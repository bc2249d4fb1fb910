"""Structured logs."""

import json
import logging

import pytest

from impasto.service.logs import configure_logs


@pytest.fixture
def restored():
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    for name in ("impasto", "impasto.service"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_of_json_has_the_jobs_id(restored, capsys):
    configure_logs("json")
    logging.getLogger("impasto.service.worker").info("job begun", extra={"job_id": "abc"})
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["job_id"], line["level"]) == ("job begun", "abc", "info")


def test_what_a_run_says_of_files_is_not_written(restored, capsys):
    configure_logs("text")
    logging.getLogger("impasto.runs.run").warning("'/home/ann/secret.png' cannot be read.")
    assert "secret" not in capsys.readouterr().err
