"""The queue between callers and workers: durable workflows of DBOS, in the same database as the jobs.

A job is handed over in the very transaction that changes its row, so that neither can be there without the other. What
the queue holds is an order to look at the job, nothing more: a worker that takes it begins only if the job's row still
waits for this very order.
"""

import threading
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from impasto.service.jobs.routing import QUEUE, Need, abilities, route
from impasto.service.jobs.turns import queue_priority
from impasto.service.store.database import Database
from impasto.service.store.tables import Job

if TYPE_CHECKING:
    from dbos import DBOSClient

__all__ = ["APPLICATION", "VERSION", "WORKFLOW", "Queue", "parse_workflow_id", "workflow_id"]

APPLICATION = "impasto"
WORKFLOW = "paint"

VERSION = "1"
"""Of the workflow: counts up when its steps are others, so that no worker goes on with what it does not know."""


class Queue:
    """Hands jobs to workers.

    Args:
        database: That DBOS shares.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()

    def migrate(self) -> None:
        """Brings DBOS's tables up to date."""
        from dbos import DBOS

        url = self._database.engine.url.render_as_string(hide_password=False)
        DBOS.migrate(url)

    def warm(self) -> None:
        """Loads DBOS, which takes a second, before anybody waits for it."""
        with self._lock:
            _ = self._client

    def enqueue(self, session: Session, job: Job, queue: str | None = None) -> None:
        """Hands a job over, as a part of the transaction that the session is in.

        Args:
            session: The transaction.
            job: Which.
            queue: To whose workers; by default to the smallest that it fits.
        """
        self.warm()
        job.run += 1
        job.queue = queue or route(abilities(session), Need.of(job)) or QUEUE
        session.flush()
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": WORKFLOW,
                "queue_name": job.queue,
                "workflow_id": workflow_id(job.id, job.run),
                "priority": queue_priority(job.priority, job.turn),
                "app_version": VERSION,
            },
            job.id,
            job.run,
        )

    def taken(self, worker: str | None = None) -> dict[str, str]:
        """Workflows that have been taken from the queue and not ended, with the ids of their workers.

        Args:
            worker: Only those of this one.
        """
        found = self._client.list_workflows(executor_id=worker, status="PENDING", load_input=False, load_output=False)
        return {workflow.workflow_id: workflow.executor_id for workflow in found if workflow.executor_id}

    def call_off(self, workflow_ids: Collection[str]) -> None:
        """Ends workflows that stand for nothing any more: nobody begins them, and who is in one comes to an end."""
        if workflow_ids:
            self._client.cancel_workflows(list(workflow_ids))

    def find_waiting(self, workflow_ids: Sequence[str]) -> set[str]:
        """Which of some workflows wait in the queue, or have been taken from it and not ended."""
        found = self._client.list_workflows(
            workflow_ids=list(workflow_ids), status=["ENQUEUED", "PENDING"], load_input=False, load_output=False
        )
        return {workflow.workflow_id for workflow in found}

    def forget(self, workflow_ids: Sequence[str]) -> None:
        """Removes the records of workflows that are over."""
        if workflow_ids:
            self._client.delete_workflows(list(workflow_ids))

    def forget_ended(self, before: str, limit: int = 1000) -> int:
        """Removes the records of workflows that ended before a time; returns how many there were.

        Args:
            before: In ISO 8601.
            limit: At most so many.
        """
        ended = self._client.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before,
            limit=limit,
            load_input=False,
            load_output=False,
        )
        self.forget([workflow.workflow_id for workflow in ended])
        return len(ended)

    @cached_property
    def _client(self) -> "DBOSClient":
        from dbos import DBOSClient

        return DBOSClient(system_database_engine=self._database.engine, application_name=APPLICATION)


def workflow_id(job_id: str, run: int) -> str:
    """The id of the workflow that stands for one handing over of a job."""
    return f"{job_id}.{run}"


def parse_workflow_id(name: str) -> tuple[str, int]:
    """The job and the run that a workflow stands for."""
    job_id, _, run = name.partition(".")
    return job_id, int(run)
