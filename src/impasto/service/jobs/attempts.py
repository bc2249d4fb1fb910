"""The workers' side of jobs. An attempt number fences off whoever is late: what it writes is refused from then on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.errors import ImpastoError
from impasto.service.jobs.causes import DEFECT, LOST
from impasto.service.jobs.events import log_event, log_job
from impasto.service.jobs.moves import PICTURE, end_attempt, find_locked, hand_over, move
from impasto.service.jobs.records import JobRecord
from impasto.service.jobs.routing import WAITS, Need, abilities, is_waiting, reason_to_wait, route
from impasto.service.jobs.states import State
from impasto.service.queue import Queue, parse_workflow_id, workflow_id
from impasto.service.settings import Settings
from impasto.service.store.database import Database
from impasto.service.store.tables import Attempt, Job, Worker, now

__all__ = ["Assignment", "Attempts", "LateError", "Orders"]

LOOKED_AT = 200
"""Jobs that one look at what waits elsewhere takes in."""


class LateError(ImpastoError):
    """The job has gone on without this attempt; what it did does not count."""


@dataclass(frozen=True)
class Assignment:
    """A job that a worker has begun.

    Attributes:
        job: As it was when it began.
        attempt: Its number, which every write of the worker names.
        worker: The worker's id.
    """

    job: JobRecord
    attempt: int
    worker: str

    @property
    def folder(self) -> str:
        """Where the attempt's artifacts go."""
        return f"jobs/{self.job.id}/{self.attempt}"


@dataclass(frozen=True)
class Orders:
    """What callers ask of the running attempt.

    Attributes:
        wanted: ``pause``, ``stop``, ``cancel``, or None.
        changes: Live changes that no checkpoint holds yet, each with ``id`` and ``values``.
    """

    wanted: str | None
    changes: Sequence[Mapping[str, Any]]


class Attempts:
    """What workers tell of jobs.

    Args:
        database: With the tables.
        queue: For handing back.
        settings: How many attempts a job has.
    """

    def __init__(self, database: Database, queue: Queue, settings: Settings) -> None:
        self._database, self._queue, self._settings = database, queue, settings

    def begin(self, job_id: str, run: int, worker: str) -> Assignment | None:
        """Takes a job on.

        Args:
            job_id: Which.
            run: The handing over that the worker answers.
            worker: Who.

        Returns:
            None if the job does not wait for that: it was paused, cancelled, deleted, or handed over anew meanwhile.
        """
        with self._database.writing() as session:
            job = find_locked(session, job_id)
            if job is None or job.run != run or job.worker is not None:
                return None
            is_overview = job.kind != PICTURE and job.wanted == "overview"
            if not is_overview and job.state != State.QUEUED:
                return None
            if job.failed_attempts >= self._settings.max_attempts:
                self._park(session, job)
                return None
            job.attempt += 1
            job.failed_attempts += 1  # until it has shown that it can get ahead
            job.worker = worker
            session.add(
                Attempt(job_number=job.number, attempt=job.attempt, worker=worker, started_at=now(),
                        iteration=job.iteration, ended_at=None, outcome=None)
            )  # fmt: skip
            if is_overview:
                log_job(session, job)
            else:
                move(session, self._queue, job, State.RUNNING)
            return Assignment(JobRecord.of(job), job.attempt, worker)

    def orders(self, assignment: Assignment) -> Orders:
        """What callers ask of the attempt; raises `LateError`."""
        query = sa.select(Job.wanted, Job.pending_changes, Job.attempt, Job.worker).where(Job.id == assignment.job.id)
        with self._database.reading() as session:
            row = session.execute(query).one_or_none()
        if row is None or (row.attempt, row.worker) != (assignment.attempt, assignment.worker):
            raise LateError(f"Job {assignment.job.id} has gone on without attempt {assignment.attempt}.")
        return Orders(row.wanted, row.pending_changes)

    def tell_plan(self, assignment: Assignment, resolved: Mapping[str, Any], peak_bytes: int) -> None:
        """Notes the recipe with every value filled in, and the memory that is expected."""
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.resolved = dict(resolved)
            job.plan = {**job.plan, "peak_bytes": peak_bytes}

    def tell_progress(self, assignment: Assignment, progress: Mapping[str, Any], warnings: Sequence[str] = ()) -> None:
        """Notes how far the attempt is.

        Args:
            assignment: The attempt.
            progress: ``iteration``, ``total_iterations``, ``level``, ``num_levels``, ``size``, ``losses``, ``seconds``
                and ``eta_seconds``.
            warnings: Sentences that came on the way.
        """
        with self._database.writing() as session:
            job = self._own(session, assignment)
            for name, value in progress.items():
                setattr(job, name, value)
            new = [warning for warning in warnings if warning not in job.warnings]
            if new:
                job.warnings = [*job.warnings, *new]
                log_job(session, job)
            told = {name: value for name, value in progress.items() if name != "size"}
            log_event(session, job, "progress", {"job_id": job.id, **told})

    def tell_preview(self, assignment: Assignment, key: str) -> None:
        """Notes that there is a newer preview."""
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.artifacts = {**job.artifacts, "preview": key}
            job.preview_version += 1
            log_event(session, job, "preview", {"job_id": job.id, "preview_version": job.preview_version})

    def tell_picture(self, assignment: Assignment, iteration: int) -> None:
        """Notes that the picture of an iteration is kept."""
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.pictures = sorted({*job.pictures, iteration})

    def tell_changes(self, assignment: Assignment, changes: Sequence[Mapping[str, Any]]) -> None:
        """Notes which changes were made at which iteration: each with ``iteration`` and ``values``."""
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.changes = [dict(change) for change in changes]
            log_job(session, job)

    def tell_checkpoint(
        self, assignment: Assignment, artifacts: Mapping[str, str], taken: Sequence[int] = ()
    ) -> Sequence[str]:
        """Notes a checkpoint: from here on the job resumes there.

        Args:
            assignment: The attempt.
            artifacts: Keys by role: ``checkpoint`` and ``losses``.
            taken: Ids of the live changes that it holds.

        Returns:
            Keys of artifacts that nobody needs any more.
        """
        with self._database.writing() as session:
            job = self._own(session, assignment)
            before = job.artifacts
            job.artifacts = {**before, **artifacts}
            job.pending_changes = [change for change in job.pending_changes if change["id"] not in taken]
            job.failed_attempts = 0
            return [before[role] for role in artifacts if role in before and before[role] != artifacts[role]]

    def finish(
        self,
        assignment: Assignment,
        state: State,
        artifacts: Mapping[str, str],
        values: Mapping[str, Any] | None = None,
    ) -> Mapping[str, str]:
        """Commits what the attempt came to; this happens once for a job, whatever becomes of its workers.

        Args:
            assignment: The attempt.
            state: Done, stopped or cancelled.
            artifacts: Keys by role.
            values: Other columns of the job.

        Returns:
            All artifacts that the job has now, by role.

        Raises:
            LateError: If another attempt has taken its place.
        """
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.artifacts = {role: key for role, key in job.artifacts.items() if role != "checkpoint"} | dict(artifacts)
            for name, value in (values or {}).items():
                setattr(job, name, value)
            job.pending_changes = []
            end_attempt(session, job, state)
            self._end(session, job, state)
            return job.artifacts

    def fail(self, assignment: Assignment, sentence: str, cause: str = DEFECT) -> None:
        """Ends the job with the reason; its last checkpoint stays, for a retry.

        Args:
            assignment: The attempt.
            sentence: For the caller.
            cause: For who counts; one of `impasto.service.jobs.causes.CAUSES`.
        """
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.error, job.cause = sentence, cause
            end_attempt(session, job, State.FAILED)
            self._end(session, job, State.FAILED)

    def hand_back(self, assignment: Assignment, *, paused: bool) -> None:
        """Gives a job back in order, after a checkpoint: to pause it, or for another worker to go on."""
        with self._database.writing() as session:
            job = self._own(session, assignment)
            job.failed_attempts = 0
            end_attempt(session, job, "handed back")
            if paused:
                job.wanted = None
                move(session, self._queue, job, State.PAUSED)
            elif job.kind == PICTURE:
                hand_over(session, self._queue, job)
            else:
                job.worker = None
                self._queue.enqueue(session, job)

    def pass_on(self, job_id: str, run: int) -> None:
        """Puts a job that a worker took from the queue, and does not begin, back into the queue."""
        with self._database.writing() as session:
            job = find_locked(session, job_id)
            if job is not None and job.run == run and job.worker is None and job.finished_at is None:
                self._queue.enqueue(session, job)

    def fetch_for(self, queue: str) -> bool:
        """Brings a job that waits elsewhere into a queue whose workers have nothing to do.

        Args:
            queue: Of a worker that is idle.

        Returns:
            Whether there was one that its workers can take.
        """
        waits = is_waiting()
        with self._database.reading() as session:
            if session.scalar(sa.select(Job.number).where(waits, Job.queue == queue).limit(1)) is not None:
                return False
            if session.scalar(sa.select(Job.number).where(waits, Job.queue != queue).limit(1)) is None:
                return False
        with self._database.writing() as session:
            mine = next((ability for ability in abilities(session) if ability.queue == queue), None)
            query = (
                sa.select(Job)
                .where(waits, Job.queue != queue)
                .order_by(Job.priority.desc(), Job.turn)
                .limit(LOOKED_AT)
                .with_for_update(skip_locked=True)
            )
            fitting = (job for job in session.scalars(query) if mine is not None and Need.of(job).is_met_by(mine))
            job = next(fitting, None)
            if job is not None:
                self._send(session, job, queue)
            return job is not None

    def reroute(self) -> None:
        """Brings jobs whose queue nobody listens to where they are taken; those that fit nobody say so."""
        waits = is_waiting()
        with self._database.reading() as session:
            found = abilities(session)
            left_alone = sa.and_(waits, Job.queue.not_in([ability.queue for ability in found]))
            if not found or session.scalar(sa.select(Job.number).where(left_alone).limit(1)) is None:
                return
        with self._database.writing() as session:
            query = sa.select(Job).where(left_alone).order_by(Job.priority.desc(), Job.turn).limit(LOOKED_AT)
            for job in session.scalars(query.with_for_update(skip_locked=True)):
                need = Need.of(job)
                queue = route(found, need)
                if queue is not None:
                    self._send(session, job, queue)
                else:
                    _say_why(session, job, reason_to_wait(found, need))

    def _send(self, session: Session, job: Job, queue: str) -> None:
        _say_why(session, job, None)
        self._queue.enqueue(session, job, queue)

    def lose(self, worker: str, how: str) -> list[str]:
        """Takes back what a worker had that is no more; its jobs wait for another one.

        Args:
            worker: Its id.
            how: What became of it, in words.

        Returns:
            Ids of the jobs.
        """
        with self._database.writing() as session:
            query = sa.select(Job).where(Job.worker == worker, Job.finished_at.is_(None)).with_for_update()
            lost = session.scalars(query).all()
            last_heard = session.scalar(sa.select(Worker.heartbeat_at).where(Worker.id == worker))
            for job in lost:
                end_attempt(session, job, f"lost: {how}", at=last_heard)
                if job.kind != PICTURE:
                    job.worker = None
                    self._queue.enqueue(session, job)
                    continue
                job.error = how if job.failed_attempts >= self._settings.max_attempts else None
                if job.wanted == "cancel":
                    move(session, self._queue, job, State.CANCELLED)
                elif job.wanted == "pause":
                    job.wanted = None
                    move(session, self._queue, job, State.PAUSED)
                else:
                    hand_over(session, self._queue, job)
        # What it had taken comes after the rows. If this process ends in between, the next one that looks for lost
        # workers goes on here.
        self.hand_over_anew(self._queue.taken(worker))
        return [job.id for job in lost]

    def find_not_begun(self, workflow_ids: Collection[str]) -> set[str]:
        """Which of some workflows that were taken from the queue their jobs still wait for."""
        return self._standing(workflow_ids, is_waiting())

    def hand_over_anew(self, workflow_ids: Collection[str]) -> None:
        """Calls off workflows that were taken from the queue; jobs that wait for them get others.

        They are not put back themselves: one that two processes put back at once would be carried out and still be
        there, and then be taken for what a later loss of its worker left behind. One that was begun at last is left
        to its worker.
        """
        for name in self.find_not_begun(workflow_ids):
            self.pass_on(*parse_workflow_id(name))
        begun = self._standing(workflow_ids, Job.worker.is_not(None))
        self._queue.call_off(set(workflow_ids) - begun)

    def _standing(self, workflow_ids: Collection[str], where: sa.ColumnElement[bool]) -> set[str]:
        """Which of some workflows are the newest of their jobs, of those jobs that meet a condition."""
        job_ids = [parse_workflow_id(name)[0] for name in workflow_ids]
        query = sa.select(Job.id, Job.run).where(where, Job.id.in_(job_ids))
        with self._database.reading() as session:
            return {workflow_id(row.id, row.run) for row in session.execute(query)}.intersection(workflow_ids)

    def _park(self, session: Session, job: Job) -> None:
        how = f" The last time: {job.error}." if job.error else ""
        job.error = (
            f"Its worker ended {job.failed_attempts} times in a row before the next checkpoint, so the job is parked."
            f"{how} Make it smaller, or retry it."
        )
        job.cause = LOST
        if job.kind == PICTURE:
            move(session, self._queue, job, State.FAILED)
        else:
            self._end(session, job, State.FAILED)

    def _end(self, session: Session, job: Job, state: State) -> None:
        if job.kind == PICTURE:
            move(session, self._queue, job, state)
            return
        # The overview of a sweep: the cells have ended, and with it their parent does.
        job.state = State.FAILED if state is State.FAILED else State.DONE
        job.finished_at, job.worker, job.wanted, job.failed_attempts = now(), None, None, 0
        log_job(session, job)

    def _own(self, session: Session, assignment: Assignment) -> Job:
        job = find_locked(session, assignment.job.id)
        if job is None or (job.attempt, job.worker) != (assignment.attempt, assignment.worker):
            raise LateError(f"Job {assignment.job.id} has gone on without attempt {assignment.attempt}.")
        return job


def _say_why(session: Session, job: Job, reason: str | None) -> None:
    """Says among a job's warnings why it waits; None takes back what was said."""
    warnings = [warning for warning in job.warnings if not warning.startswith(WAITS)] + ([reason] if reason else [])
    if warnings != job.warnings:
        job.warnings = warnings
        log_job(session, job)
