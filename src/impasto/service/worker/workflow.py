"""A job as a durable workflow of DBOS: a chain of short steps, each of which ends when a checkpoint is safe.

What DBOS keeps is which steps are over and who runs the workflow; what the next step begins from is the job's row and
its checkpoint. So a workflow that is resumed by another process passes over its finished steps at once, and goes on
from the last checkpoint.
"""

import logging
import os
from typing import NoReturn, Protocol

from dbos import DBOS

from impasto.service.jobs.attempts import Assignment
from impasto.service.queue import WORKFLOW
from impasto.service.worker.painting import Outcome

__all__ = ["Painter", "serve"]

logger = logging.getLogger(__name__)


class Painter(Protocol):
    """Who carries out the steps in this process."""

    def begin(self, job_id: str, run: int) -> Assignment | None:
        """Takes a job on; None if there is nothing to do."""

    def step(self, assignment: Assignment) -> Outcome:
        """Paints until the next checkpoint is safe, or the attempt has ended."""


class _Post:
    """The painter of this process, which DBOS's workflows, being functions of a module, find here."""

    painter: Painter | None = None


def serve(painter: Painter) -> None:
    """Lets this process's workflows be carried out by a painter."""
    _Post.painter = painter


@DBOS.step(name="paint-to-checkpoint")
def paint_to_checkpoint(job_id: str, attempt: int) -> str:
    """One step. Its arguments are for whoever looks into DBOS's tables."""
    painter, assignment = _Post.painter, _Current.assignment
    if painter is None or assignment is None:
        raise RuntimeError("no painter serves in this process")
    try:
        return painter.step(assignment)
    except Exception as error:  # DBOS would keep it, and raise it again in every worker that resumes the workflow
        _end(job_id, error)


class _Current:
    assignment: Assignment | None = None


@DBOS.workflow(name=WORKFLOW)
def paint(job_id: str, run: int) -> str:
    """One handing over of a job: from its last checkpoint to its end, or until it is handed back."""
    try:
        if _Post.painter is None:
            raise RuntimeError("no painter serves in this process")
        _Current.assignment = _Post.painter.begin(job_id, run)
        if _Current.assignment is None:
            return "nothing to do"
        outcome: str = Outcome.MORE
        while outcome == Outcome.MORE:
            outcome = paint_to_checkpoint(job_id, _Current.assignment.attempt)
        return outcome
    except Exception as error:
        _end(job_id, error)


def _end(job_id: str, error: Exception) -> NoReturn:
    """Ends the process: the job's row says that it works on it, and nobody would take it back while it lives."""
    logger.error("the worker cannot go on, and ends", extra={"job_id": job_id, "error": type(error).__name__})
    os._exit(70)
