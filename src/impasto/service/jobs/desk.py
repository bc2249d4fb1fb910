"""What callers ask of jobs. Calls block on the database for milliseconds; any thread may make them."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.errors import UserError
from impasto.recipe import Change, Recipe
from impasto.runs.sweep_plan import MAX_CELLS, variants_of
from impasto.service.jobs.events import log_event, log_job
from impasto.service.jobs.making import (
    NAME_LENGTH,
    IdempotencyError,
    QuotaError,
    add_job,
    check_model,
    check_quota,
    find_replay,
    request_hash,
)
from impasto.service.jobs.moves import PICTURE, cells_of, follow_cells, hand_over, move, with_cells
from impasto.service.jobs.records import JobRecord, NewJob
from impasto.service.jobs.states import ALLOWED, Action, ConflictError, State, check_action
from impasto.service.jobs.turns import next_turn
from impasto.service.queue import Queue
from impasto.service.settings import Settings
from impasto.service.store.database import Database
from impasto.service.store.tables import Job, now

__all__ = ["Desk", "IdempotencyError", "QuotaError", "UnknownJobError"]


class UnknownJobError(UserError):
    """There is no such job, or it is somebody else's; HTTP says 404."""


class Desk:
    """Takes orders.

    Args:
        database: With the tables.
        queue: To the workers.
        settings: Quotas, models, grace.
    """

    def __init__(self, database: Database, queue: Queue, settings: Settings) -> None:
        self._database, self._queue, self._settings = database, queue, settings

    def create(
        self, owner: str, new: NewJob, *, idempotency_key: str | None = None, max_queued: int | None = None
    ) -> tuple[JobRecord, bool]:
        """Takes a job in and hands it to the queue.

        Args:
            owner: The caller.
            new: What is asked for.
            idempotency_key: The caller's name for this request; the same one again gives the same job.
            max_queued: Jobs of the caller that may wait or run at once; the service's setting if it is None.

        Returns:
            The job, and whether it is new.

        Raises:
            UnknownImageError: If a picture is not the caller's.
            RecipeError: If the recipe names a model that is not on the operator's list.
            QuotaError: If the caller has too many unfinished jobs.
            IdempotencyError: If the key stands for another request.
        """
        check_model(new.recipe, self._settings.models)
        sha256 = request_hash(PICTURE, new)
        with self._database.writing() as session:
            replay = find_replay(session, owner, idempotency_key, sha256)
            if replay is not None:
                return JobRecord.of(replay), False
            check_quota(session, owner, 1, max_queued or self._settings.max_queued)
            job = add_job(session, owner, new, key=idempotency_key, request_sha256=sha256)
            log_job(session, job)
            self._queue.enqueue(session, job)
            return JobRecord.of(job), True

    def create_sweep(
        self,
        owner: str,
        new: NewJob,
        vary: Mapping[str, Sequence[Any]],
        *,
        idempotency_key: str | None = None,
        max_queued: int | None = None,
    ) -> tuple[JobRecord, bool]:
        """Takes in one picture with each combination of some values; returns and raises as `create`.

        Raises:
            RecipeError: If a parameter is unknown or a value out of its range.
            UserError: If these are too many cells.
        """
        variants = variants_of(vary, new.recipe)
        cells = [
            (_cell(new, recipe=new.recipe.replace(**variant.changes)), dict(variant.values)) for variant in variants
        ]
        return self._create_group("sweep", owner, new, cells, {name: list(v) for name, v in vary.items()},
                                  idempotency_key, max_queued)  # fmt: skip

    def create_batch(
        self,
        owner: str,
        new: NewJob,
        contents: Sequence[str],
        *,
        idempotency_key: str | None = None,
        max_queued: int | None = None,
    ) -> tuple[JobRecord, bool]:
        """Takes in several contents, each painted by the same recipe; returns and raises as `create`.

        Args:
            owner: The caller.
            new: What is asked for; ``new.inputs.content`` is the first content, whose picture stands for the batch.
            contents: Ids of pictures.
            idempotency_key: As in `create`.
            max_queued: As in `create`.
        """
        if len(contents) > MAX_CELLS:
            raise UserError(f"These are {len(contents):,} contents; {MAX_CELLS:,} are allowed in one batch.")
        cells = [(_cell(new, inputs=new.inputs.model_copy(update={"content": content})), None) for content in contents]
        return self._create_group("batch", owner, new, cells, list(contents), idempotency_key, max_queued)

    def get(self, owner: str | None, job_id: str, *, with_deleted: bool = False) -> JobRecord:
        """A job.

        Args:
            owner: Whose; None for anybody's.
            job_id: Its id.
            with_deleted: Whether a deleted one can be had, too.

        Raises:
            UnknownJobError: If it is not there.
        """
        with self._database.reading() as session:
            return JobRecord.of(self._find(session, owner, job_id, with_deleted=with_deleted))

    def pause(self, owner: str | None, job_id: str) -> JobRecord:
        """Asks a job to halt with a checkpoint; its worker takes another. Raises `ConflictError` if it has ended."""
        return self._act(owner, job_id, Action.PAUSE, self._pause)

    def resume(self, owner: str | None, job_id: str) -> JobRecord:
        """Puts a paused job back into the queue. Raises `ConflictError` if it is not paused."""
        return self._act(owner, job_id, Action.RESUME, lambda session, job: hand_over(session, self._queue, job))

    def stop(self, owner: str | None, job_id: str) -> JobRecord:
        """Ends a job with the best picture so far; one that has painted nothing yet is cancelled."""
        return self._act(owner, job_id, Action.STOP, self._stop)

    def cancel(self, owner: str | None, job_id: str) -> JobRecord:
        """Ends a job; its picture is discarded."""
        return self._act(owner, job_id, Action.CANCEL, self._cancel)

    def retry(self, owner: str | None, job_id: str) -> JobRecord:
        """Puts a failed or cancelled job back into the queue; it goes on from its last checkpoint, if there is one."""
        return self._act(owner, job_id, Action.RETRY, self._retry)

    def change(self, owner: str | None, job_id: str, values: Mapping[str, float]) -> JobRecord:
        """Changes weights, strength or budget on the way; the recipe of the picture says so.

        Raises:
            RecipeError: If a parameter cannot be changed on the way, or a value is out of its range.
            ConflictError: If the job has ended, or is a sweep or batch.
        """
        checked = dict(Change(values=dict(values)).values)
        with self._database.writing() as session:
            job = self._find(session, owner, job_id, is_locked=True)
            if job.kind != PICTURE:
                raise ConflictError(f"A {job.kind} cannot be changed on the way; change its cells.")
            check_action(Action.CHANGE, State(job.state))
            known = [change["id"] for change in job.pending_changes]
            number = 1 + max([0, *known, *(number for made in job.changes for number in made.get("ids", []))])
            job.pending_changes = [*job.pending_changes, {"id": number, "values": checked}]
            log_job(session, job)
            return JobRecord.of(job)

    def again(
        self,
        owner: str,
        job_id: str,
        *,
        recipe: Mapping[str, Any] | Recipe | None = None,
        content: str | None = None,
        styles: Sequence[str] | None = None,
        name: str | None = None,
        plan: Mapping[str, Any] | None = None,
        max_queued: int | None = None,
    ) -> JobRecord:
        """A new job like another one, with other values.

        Args:
            owner: The caller.
            job_id: The job that it is like.
            recipe: Values that differ; of a `Recipe` those that were set.
            content: Another content.
            styles: Other styles.
            name: Another name.
            plan: As in `NewJob`.
            max_queued: As in `create`.

        Raises:
            ConflictError: If that is a sweep or batch.
        """
        before = self.get(owner, job_id)
        if before.kind != PICTURE:
            raise ConflictError(f"A {before.kind} is not made again; make its cells again.")
        new = NewJob(
            inputs=before.inputs.model_copy(
                update={key: value for key, value in (("content", content), ("styles", styles)) if value is not None}
            ),
            recipe=changed(Recipe(**before.recipe), recipe), name=before.name if name is None else name,
            priority=before.priority, saving_interval=before.saving_interval, plan=dict(plan or {}),
        )  # fmt: skip
        new = new.model_copy(update={"warnings": new.recipe.warnings()})
        return self.create(owner, new, max_queued=max_queued)[0]

    def rename(self, owner: str | None, job_id: str, name: str) -> JobRecord:
        """Gives a job another name."""
        with self._database.writing() as session:
            job = self._find(session, owner, job_id, is_locked=True)
            job.search = "\n".join([name.lower(), *job.search.split("\n")[1:]])
            job.name = name[:NAME_LENGTH]
            log_job(session, job)
            return JobRecord.of(job)

    def delete(self, owner: str | None, job_id: str) -> None:
        """Takes a job from all lists, cancelling it first; its files go once the grace is over."""
        with self._database.writing() as session:
            job = self._find(session, owner, job_id, is_locked=True)
            jobs = [job] if job.kind == PICTURE else [*cells_of(session, job), job]
            for each in jobs:
                if each.kind == PICTURE and State(each.state) in ALLOWED[Action.CANCEL]:
                    self._cancel(session, each)
                each.deleted_at = now()
                log_event(session, each, "deleted", {"job_id": each.id})

    def restore(self, owner: str | None, job_id: str) -> JobRecord:
        """Undoes `delete` within the grace; what was cancelled by it stays so.

        Raises:
            UnknownJobError: If the grace is over.
        """
        with self._database.writing() as session:
            job = self._find(session, owner, job_id, with_deleted=True, is_locked=True)
            oldest = now() - datetime.timedelta(seconds=self._settings.grace_seconds)
            if job.deleted_at is not None and job.deleted_at < oldest:
                raise UnknownJobError(f"There is no job {job_id!r}.")
            for each in [job] if job.kind == PICTURE else [*cells_of(session, job), job]:
                each.deleted_at = None
                log_job(session, each)
            return JobRecord.of(job)

    def _create_group(
        self,
        kind: str,
        owner: str,
        new: NewJob,
        cells: Sequence[tuple[NewJob, dict[str, Any] | None]],
        asked: Any,
        key: str | None,
        max_queued: int | None,
    ) -> tuple[JobRecord, bool]:
        for cell, _ in cells:
            check_model(cell.recipe, self._settings.models)
        sha256 = request_hash(kind, new, asked)
        with self._database.writing() as session:
            replay = find_replay(session, owner, key, sha256)
            if replay is not None:
                return JobRecord.of(replay), False
            check_quota(session, owner, len(cells), max_queued or self._settings.max_queued)
            vary = asked if kind == "sweep" else None
            parent = add_job(session, owner, new, kind=kind, vary=vary, key=key, request_sha256=sha256)
            parent.num_cells = len(cells)
            log_job(session, parent)
            for cell, values in cells:
                named = cell.model_copy(update={"name": ", ".join(f"{n} {v}" for n, v in (values or {}).items())})
                job = add_job(session, owner, named, parent_id=parent.id, vary=values)
                log_job(session, job)
                self._queue.enqueue(session, job)
            return JobRecord.of(parent), True

    def _act(
        self, owner: str | None, job_id: str, action: Action, perform: Callable[[Session, Job], None]
    ) -> JobRecord:
        """Does the same to a job, or to all cells of a parent for which it makes sense."""
        with self._database.writing() as session:
            job = self._find(session, owner, job_id, is_locked=True)
            if job.kind == PICTURE:
                check_action(action, State(job.state))
                perform(session, job)
            else:
                fitting = [cell for cell in with_cells(session, job) if State(cell.state) in ALLOWED[action]]
                if not fitting:
                    check_action(action, State(job.state))
                    raise ConflictError(f"No cell of this {job.kind} can {action} as it is.")
                for cell in fitting:
                    perform(session, cell)
                follow_cells(session, self._queue, job)
            return JobRecord.of(job)

    def _pause(self, session: Session, job: Job) -> None:
        if job.state == State.RUNNING:
            self._want(session, job, "pause")
        else:
            move(session, self._queue, job, State.PAUSED)

    def _stop(self, session: Session, job: Job) -> None:
        if job.state == State.RUNNING:
            self._want(session, job, "stop")
        elif "checkpoint" not in job.artifacts:
            move(session, self._queue, job, State.CANCELLED)
        else:  # a worker makes the picture of the checkpoint
            job.wanted = "stop"
            if job.state == State.PAUSED:
                hand_over(session, self._queue, job)
            else:
                log_job(session, job)

    def _cancel(self, session: Session, job: Job) -> None:
        if job.state == State.RUNNING:
            self._want(session, job, "cancel")
        else:
            move(session, self._queue, job, State.CANCELLED)

    def _retry(self, session: Session, job: Job) -> None:
        job.error, job.stop_reason, job.turn = None, None, next_turn(session, job.owner, job.priority)
        hand_over(session, self._queue, job)

    def _want(self, session: Session, job: Job, wanted: str) -> None:
        job.wanted = wanted
        log_job(session, job)

    def _find(
        self, session: Session, owner: str | None, job_id: str, *, with_deleted: bool = False, is_locked: bool = False
    ) -> Job:
        query = sa.select(Job).where(Job.id == job_id)
        job = session.scalar(query.with_for_update() if is_locked else query)
        if job is None or owner not in (None, job.owner) or (job.deleted_at is not None and not with_deleted):
            raise UnknownJobError(f"There is no job {job_id!r}.")
        return job


def changed(recipe: Recipe, changes: Mapping[str, Any] | Recipe | None) -> Recipe:
    """A recipe with other values; of a `Recipe` those that were set."""
    if isinstance(changes, Recipe):
        changes = {name: getattr(changes, name) for name in changes.model_fields_set}
    return recipe.replace(**(changes or {}))


def _cell(new: NewJob, **different: Any) -> NewJob:
    """A cell of a sweep or batch; of what the whole was estimated to take, the memory holds for each."""
    cell = new.model_copy(update=different)
    peak = new.plan.get("peak_bytes")
    if peak is not None:  # activations grow with the pixels
        peak = round(peak * max(1.0, cell.recipe.height / new.recipe.height) ** 2)
    return cell.model_copy(update={"plan": {"peak_bytes": peak}})
