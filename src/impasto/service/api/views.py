"""Records as the API shows them: with addresses, and with the pictures that ids stand for."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from impasto.service.api import example_pictures
from impasto.service.jobs.images import get_images
from impasto.service.jobs.records import ImageRecord, JobRecord
from impasto.service.store.database import Database

BASE = "/api/v1"

LOSSES = ("total", "content", "style", "tv")


def to_image(record: ImageRecord) -> dict[str, Any]:
    """A picture."""
    return {
        "id": record.id,
        "sha256": record.sha256,
        "name": record.name,
        "format": record.format,
        "media_type": record.media_type,
        "width": record.width,
        "height": record.height,
        "bytes": record.bytes,
        "created_at": _time(record.created_at),
        "notes": list(record.notes),
        **_picture_urls(record.id),
    }


def to_example(name: str, record: ImageRecord) -> dict[str, Any]:
    """A bundled picture."""
    credit = example_pictures.credit_of(name)
    return {
        "id": record.id,
        "name": name,
        "kind": example_pictures.kind_of(name),
        "title": credit.title,
        "credit": credit.credit,
        "width": record.width,
        "height": record.height,
        **_picture_urls(record.id),
    }


def to_jobs(database: Database, records: Sequence[JobRecord]) -> list[dict[str, Any]]:
    """Jobs, with their pictures; blocks."""
    images = pictures_of(database, records)
    return [to_job(record, images) for record in records]


def pictures_of(database: Database, records: Iterable[JobRecord]) -> Mapping[str, ImageRecord]:
    """The pictures that jobs were made from, by id; blocks."""
    ids = {image_id for record in records for image_id in record.inputs.all}
    bundled = {image_id: picture for image_id, picture in example_pictures.all_by_id().items() if image_id in ids}
    uploaded = get_images(database, sorted(ids - bundled.keys())) if ids - bundled.keys() else {}
    return {**bundled, **uploaded}


def to_job(record: JobRecord, images: Mapping[str, ImageRecord]) -> dict[str, Any]:
    """One job.

    Args:
        record: Of the job.
        images: Its pictures by id; those that are gone are left out.
    """

    def shown(image_id: str | None) -> dict[str, Any] | None:
        return to_image(images[image_id]) if image_id is not None and image_id in images else None

    def all_shown(ids: Sequence[str]) -> list[dict[str, Any]]:
        return [to_image(images[image_id]) for image_id in ids if image_id in images]

    address, inputs, roles = f"{BASE}/jobs/{record.id}", record.inputs, record.artifacts
    has_picture = "result" in roles or "preview" in roles
    version = f"?version={record.preview_version}"
    return {
        "id": record.id,
        "kind": record.kind,
        "name": record.name,
        "state": record.state,
        "parent_id": record.parent_id,
        "created_at": _time(record.created_at),
        "started_at": _time(record.started_at),
        "finished_at": _time(record.finished_at),
        "priority": record.priority,
        "attempt": record.attempt,
        "content": shown(inputs.content),
        "styles": all_shown(inputs.styles),
        "content_masks": all_shown(inputs.content_masks),
        "style_masks": all_shown(inputs.style_masks),
        "lock_mask": shown(inputs.lock_mask),
        "recipe": record.resolved or record.recipe,
        "asked": record.recipe,
        "changes": record.changes,
        "iteration": record.iteration,
        "total_iterations": record.total_iterations,
        "level": record.level,
        "num_levels": record.num_levels,
        "size": record.size,
        "losses": {name: record.losses.get(name) for name in LOSSES},
        "seconds": record.seconds,
        "eta_seconds": record.eta_seconds,
        "stop_reason": record.stop_reason,
        "stop_sentence": record.stop_sentence,
        "error": record.error,
        "warnings": record.warnings,
        "plan": {name: record.plan.get(name) for name in ("peak_bytes", "seconds", "size")},
        "preview_version": record.preview_version,
        "revision": record.revision,
        "preview_url": f"{address}/preview{version}" if has_picture else None,
        "result_url": f"{address}/result" if "result" in roles else None,
        "thumbnail_url": f"{address}/thumbnail{version}",
        "num_cells": record.num_cells,
        "num_done": record.num_done,
        "num_failed": record.num_failed,
        "sheet_url": f"{address}/sheet" if "sheet" in roles else None,
        "report_url": f"{address}/report" if "report" in roles else None,
        "vary": record.vary,
        "is_deleted": record.deleted_at is not None,
        "links": {
            "self": address,
            "events": f"{address}/events",
            "pictures": f"{address}/pictures",
            "losses": f"{address}/losses",
            "recipe": f"{address}/recipe.toml",
            "command": f"{address}/command",
            "archive": f"{address}/archive",
        },
    }


def to_event(name: str, data: Mapping[str, Any], images: Mapping[str, ImageRecord]) -> Mapping[str, Any]:
    """What an event of the log tells, as the stream says it."""
    if name == "job":
        return to_job(JobRecord.model_validate(data), images)
    if name == "preview":
        address = f"{BASE}/jobs/{data['job_id']}/preview?version={data['preview_version']}"
        return {**data, "preview_url": address}
    if name == "progress":  # of the start there are no losses
        losses = data.get("losses") or {}
        return {**data, "losses": {part: losses.get(part) for part in LOSSES}}
    return data


def _picture_urls(image_id: str) -> dict[str, str]:
    address = f"{BASE}/images/{image_id}"
    return {"thumbnail_url": f"{address}/thumbnail", "file_url": f"{address}/file"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
