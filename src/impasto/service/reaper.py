"""Finds workers that are no more, and puts their jobs back into the queue.

DBOS itself resumes only what belongs to a process that comes back under its own id. Here every worker has a heartbeat
in a table; whoever looks (the service, and every worker) buries those that went silent, or whose process on this
machine has gone, and hands over anew what they had.
"""

import datetime
import logging
import os
import socket
from collections.abc import Collection

import sqlalchemy as sa

from impasto.service.core import Core
from impasto.service.jobs.states import State
from impasto.service.store.tables import Job, Worker, now

__all__ = ["Reaper"]

logger = logging.getLogger(__name__)


class Reaper:
    """Looks for lost workers.

    Args:
        core: The service's.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._host = socket.gethostname()[:200]
        self._not_begun: set[str] = set()

    def look(self) -> list[str]:
        """Buries every worker that is lost, and finds others for what waits; returns the ids of the jobs taken back."""
        oldest = now() - datetime.timedelta(seconds=self._core.settings.lease_seconds)
        with self._core.database.reading() as session:
            workers = session.scalars(sa.select(Worker)).all()
        jobs = []
        for worker in workers:
            if worker.heartbeat_at < oldest:
                jobs += self.bury(worker.id, "its worker was not heard of any more")
            elif worker.host == self._host and not _is_alive(worker.pid):
                jobs += self.bury(worker.id, "its worker's process ended")
        taken = self._core.queue.taken()
        for stranger in self._strangers({worker.id for worker in workers}, set(taken.values())):
            jobs += self.bury(stranger, "its worker was not heard of any more")
        self._give_back_unknown(taken)
        self._core.attempts.reroute()
        return jobs

    def _give_back_unknown(self, taken: Collection[str]) -> None:
        """Finds others for what a worker took and does not know of: the database's answer was lost on the way.

        It has had the time from one look to the next to begin.
        """
        not_begun = self._core.attempts.find_not_begun(taken)
        self._core.attempts.hand_over_anew(not_begun & self._not_begun)
        self._not_begun = not_begun - self._not_begun

    def _strangers(self, known: set[str], takers: set[str]) -> set[str]:
        """Workers that are in no list and have work: buried while they lived, they took more before they ended."""
        with self._core.database.reading() as session:
            query = sa.select(Job.worker).where(
                Job.finished_at.is_(None), Job.state == State.RUNNING, Job.worker.is_not(None)
            )
            busy = {worker for worker in session.scalars(query) if worker is not None}
            strangers = (busy | takers) - known
            # Who has signed on since is none.
            return strangers - set(session.scalars(sa.select(Worker.id).where(Worker.id.in_(strangers))))

    def bury(self, worker: str, how: str) -> list[str]:
        """Takes back what a worker had, then forgets it; returns the ids of its jobs.

        Args:
            worker: Its id.
            how: What became of it.
        """
        jobs = self._core.attempts.lose(worker, how)
        with self._core.database.writing() as session:
            session.execute(sa.delete(Worker).where(Worker.id == worker))
        for job in jobs:
            logger.warning("job taken back", extra={"job_id": job, "worker": worker, "reason": how})
        return jobs


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
