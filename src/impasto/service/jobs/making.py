"""New rows of jobs: checked against the caller's pictures, quota and the operator's models."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.errors import RecipeError, UserError
from impasto.recipe import Recipe
from impasto.recipe.model_names import is_custom, public_name
from impasto.service.jobs.images import EXAMPLE, UnknownImageError, check_example
from impasto.service.jobs.records import NewJob
from impasto.service.jobs.routing import QUEUE
from impasto.service.jobs.states import State
from impasto.service.jobs.turns import next_turn
from impasto.service.store.tables import Image, Job, JobImage, now
from impasto.service.tracing import current_traceparent

__all__ = ["IdempotencyError", "QuotaError", "add_job", "check_model", "check_quota", "find_replay", "request_hash"]

NAME_LENGTH = 200


class QuotaError(UserError):
    """A caller's share is used up; HTTP says 429."""


class IdempotencyError(UserError):
    """An idempotency key was used before, for another request; HTTP says 422."""


def request_hash(kind: str, new: NewJob, more: Any = None) -> str:
    """What an idempotency key is compared by: all that was asked for."""
    asked = new.model_dump(mode="json", exclude={"recipe", "plan", "warnings"})
    asked |= {"kind": kind, "recipe": set_values(new.recipe), "more": more}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def find_replay(session: Session, owner: str, key: str | None, request_sha256: str) -> Job | None:
    """The job that the same request has made before.

    Raises:
        IdempotencyError: If the key stands for another request.
    """
    if key is None:
        return None
    job = session.scalar(sa.select(Job).where(Job.owner == owner, Job.idempotency_key == key))
    if job is not None and job.request_sha256 != request_sha256:
        raise IdempotencyError("This Idempotency-Key was used before, for another request; take a new one.")
    return job


def check_quota(session: Session, owner: str, num_new: int, limit: int) -> None:
    """Raises `QuotaError` if a caller would have more unfinished jobs than are allowed."""
    query = sa.select(sa.func.count()).where(Job.owner == owner, Job.finished_at.is_(None), Job.kind == "picture")
    count = session.scalar(query) or 0
    if count + num_new > limit:
        raise QuotaError(
            f"{count:,} jobs are unfinished and {num_new:,} more are asked for; {limit:,} are allowed at once. Wait "
            "for some to end, or cancel some."
        )


def check_model(recipe: Recipe, models: Sequence[str]) -> None:
    """Raises `RecipeError` if a custom model is not on the operator's list."""
    if is_custom(recipe.model) and recipe.model not in map(public_name, models):
        known = ", ".join(map(public_name, models)) or "none"
        raise RecipeError(
            f"model is {public_name(recipe.model)!r}, which this service does not offer; it has: {known}."
        )


def set_values(recipe: Recipe) -> dict[str, Any]:
    """What was set of a recipe, and nothing that only holds by default."""
    return recipe.model_dump(mode="json", include=set(recipe.model_fields_set))


def add_job(
    session: Session,
    owner: str,
    new: NewJob,
    *,
    kind: str = "picture",
    parent_id: str | None = None,
    vary: Mapping[str, Any] | None = None,
    key: str | None = None,
    request_sha256: str | None = None,
) -> Job:
    """Adds a job's row, not yet handed over.

    Raises:
        UnknownImageError: If a picture is not the caller's.
    """
    names = _picture_names(session, owner, new.inputs.all)
    resolved = new.plan.get("recipe") or new.recipe.model_dump(mode="json")
    name = (new.name or _title(names[new.inputs.content], [names[style] for style in new.inputs.styles]))[:NAME_LENGTH]
    words = [name, *names.values(), new.recipe.model, new.recipe.look]
    job = Job(
        id=secrets.token_hex(8), owner=owner, idempotency_key=key, request_sha256=request_sha256, kind=kind, name=name,
        search="\n".join(words).lower(), state=State.QUEUED, parent_id=parent_id, priority=new.priority,
        turn=next_turn(session, owner, new.priority), queue=QUEUE, run=0, attempt=0, failed_attempts=0,
        worker=None, wanted=None, pending_changes=[], inputs=new.inputs.model_dump(), recipe=set_values(new.recipe),
        resolved={**resolved, "total_iterations": new.recipe.num_iterations}, changes=[],
        saving_interval=new.saving_interval, vary=None if vary is None else dict(vary), warnings=list(new.warnings),
        plan={name: value for name, value in new.plan.items() if name != "recipe"}, iteration=0,
        total_iterations=new.recipe.num_iterations, level=0, num_levels=0, size=new.plan.get("size"), losses={},
        seconds=0.0, eta_seconds=None, stop_reason=None, error=None, cause=None, pictures=[],
        preview_version=0, revision=0, artifacts={}, num_cells=0, num_done=0, num_failed=0,
        traceparent=current_traceparent(), created_at=now(), started_at=None, finished_at=None, deleted_at=None,
    )  # fmt: skip
    session.add(job)
    session.flush()
    session.add_all(
        JobImage(job_number=job.number, image_id=image) for image in new.inputs.all if not image.startswith(EXAMPLE)
    )
    return job


def _picture_names(session: Session, owner: str, ids: Sequence[str]) -> dict[str, str]:
    """Base names of pictures; raises `UnknownImageError` if one is not there for this caller."""
    uploaded = [image for image in ids if not image.startswith(EXAMPLE)]
    query = sa.select(Image.id, Image.name).where(Image.owner == owner, Image.id.in_(uploaded))
    found = dict(session.execute(query).all()) if uploaded else {}
    for image in ids:
        if image.startswith(EXAMPLE):
            check_example(image)
            found[image] = image.removeprefix(EXAMPLE)
        elif image not in found:
            raise UnknownImageError(f"There is no picture {image!r}; upload it first.")
    return found


def _title(content: str, styles: Sequence[str]) -> str:
    return f"{Path(content).stem} in {' + '.join(Path(style).stem for style in styles)}"
