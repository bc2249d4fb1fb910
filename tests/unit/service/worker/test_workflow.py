"""The durable chain of steps, in a process of its own, which an error ends."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from impasto.service.core import Core
from impasto.service.settings import Settings

FAILING = """
import sys
from dbos import DBOS
from impasto.service.core import Core
from impasto.service.jobs.attempts import Assignment
from impasto.service.settings import Settings
from impasto.service.worker.workflow import paint, serve

core = Core.open(Settings(data=sys.argv[1]))

class Painter:
    def begin(self, job_id, run):
        return Assignment(None, 1, "worker")

    def step(self, assignment):
        raise OSError("the database is away")

serve(Painter())
url = core.database.engine.url.render_as_string(hide_password=False)
DBOS(config={"name": "impasto", "system_database_url": url, "system_database_engine": core.database.engine,
             "log_level": "ERROR", "enable_otlp": False})
DBOS.launch()
DBOS.start_workflow(paint, "job", 1).get_result()
"""


def test_the_error_of_a_step_ends_the_worker_and_is_not_kept_for_the_next_one(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 70, done.stderr
    core = Core.open(Settings(data=tmp_path))
    with core.database.reading() as session:
        assert session.scalars(sa.text("SELECT status FROM workflow_status")).all() == ["PENDING"]
        assert session.scalars(sa.text("SELECT error FROM operation_outputs")).all() == []
    core.close()
