"""What callers ask of jobs. Calls block on the database for milliseconds; other threads may call them too."""

from collections.abc import Mapping, Sequence
from typing import Any

from impasto.errors import UserError
from impasto.recipe import Recipe
from impasto.service.artifacts import Artifacts
from impasto.service.jobs.records import JobRecord, NewJob
from impasto.service.settings import Settings
from impasto.service.store.database import Database

__all__ = ["Desk", "IdempotencyError", "QuotaError", "UnknownJobError"]


class UnknownJobError(UserError):
    """There is no such job, or it is somebody else's; HTTP says 404."""


class QuotaError(UserError):
    """A caller's share is used up; HTTP says 429."""


class IdempotencyError(UserError):
    """An idempotency key was used before, for another request; HTTP says 422."""


class Desk:
    """Takes orders.

    Args:
        database: With the tables.
        artifacts: Where pictures are.
        settings: Quotas, models, grace.
    """

    def __init__(self, database: Database, artifacts: Artifacts, settings: Settings) -> None: ...

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

    def create_sweep(
        self, owner: str, new: NewJob, vary: Mapping[str, Sequence[Any]], *, idempotency_key: str | None = None,
        max_queued: int | None = None,
    ) -> tuple[JobRecord, bool]:
        """Takes in one picture with each combination of some values; raises as `create`, and `RecipeError`."""

    def create_batch(
        self, owner: str, new: NewJob, contents: Sequence[str], *, idempotency_key: str | None = None,
        max_queued: int | None = None,
    ) -> tuple[JobRecord, bool]:
        """Takes in several contents, each painted by the same recipe (``new.inputs.content`` is the first)."""

    def get(self, owner: str | None, job_id: str, *, with_deleted: bool = False) -> JobRecord:
        """A job; None as owner stands for everybody's. Raises `UnknownJobError`."""

    def pause(self, owner: str | None, job_id: str) -> JobRecord:
        """Asks a job to halt, with a checkpoint; its worker takes another. Raises `ConflictError` if it cannot."""

    def resume(self, owner: str | None, job_id: str) -> JobRecord:
        """Puts a paused job back into the queue, before its caller's other jobs."""

    def stop(self, owner: str | None, job_id: str) -> JobRecord:
        """Ends a job with the best picture so far; one that has painted nothing yet is cancelled."""

    def cancel(self, owner: str | None, job_id: str) -> JobRecord:
        """Ends a job; its picture is discarded."""

    def change(self, owner: str | None, job_id: str, values: Mapping[str, float]) -> JobRecord:
        """Changes weights, strength or budget on the way; raises `RecipeError` for what cannot be changed."""

    def retry(self, owner: str | None, job_id: str) -> JobRecord:
        """Puts a failed or cancelled job back into the queue; it goes on from its last checkpoint, if there is one."""

    def again(
        self, owner: str, job_id: str, *, recipe: Mapping[str, Any] | Recipe | None = None, content: str | None = None,
        styles: Sequence[str] | None = None, name: str | None = None, max_queued: int | None = None,
    ) -> JobRecord:
        """A new job like another one, with other values.

        Args:
            owner: The caller.
            job_id: The job that it is like.
            recipe: Values that differ; of a `Recipe` those that were set.
            content: Another content.
            styles: Other styles.
            name: Another name.
            max_queued: As in `create`.
        """

    def rename(self, owner: str | None, job_id: str, name: str) -> JobRecord:
        """Gives a job another name."""

    def delete(self, owner: str | None, job_id: str) -> None:
        """Takes a job from all lists, cancelling it first; its files go once the grace is over."""

    def restore(self, owner: str | None, job_id: str) -> JobRecord:
        """Undoes `delete` within the grace; raises `UnknownJobError` afterwards."""
