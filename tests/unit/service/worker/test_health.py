"""Whether a machine's worker is heard of."""

import datetime
from pathlib import Path

from impasto.service.store.database import Database
from impasto.service.store.tables import Worker, now
from impasto.service.worker.health import is_heard_of


def test_a_worker_is_well_while_its_heart_beats(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'workers.sqlite'}")
    database.migrate()
    assert not is_heard_of(database, 15, "here")
    for host, seconds in (("here", 2), ("gone", 60)):
        beat = now() - datetime.timedelta(seconds=seconds)
        with database.writing() as session:
            session.add(Worker(id=host, host=host, pid=1, started_at=beat, heartbeat_at=beat, is_draining=False))
    assert is_heard_of(database, 15, "here")
    assert not is_heard_of(database, 15, "gone")
    assert not is_heard_of(database, 15, "elsewhere")
    database.close()
