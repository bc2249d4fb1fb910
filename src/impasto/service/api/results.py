"""What jobs leave: pictures, thumbnails, losses, recipe, command line, and all of it as a ZIP."""

import asyncio
import csv
import io
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from impasto.recipe import Recipe
from impasto.service import schemas
from impasto.service.api import orders, shelf
from impasto.service.api.archive import zip_stream
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.files import artifact_answer, disposition, file_answers
from impasto.service.api.parameters import JobId, Size
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Identity, Reader
from impasto.service.api.views import BASE, pictures_of
from impasto.service.jobs.listing import list_jobs
from impasto.service.jobs.records import JobRecord

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

MAX_WAIT_SECONDS = 300
POLL_SECONDS = 0.2

SHEET_TYPES = ("image/png", "image/jpeg", "image/webp")
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "tiff": "image/tiff"}
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
Iteration = Annotated[int, PathParameter(ge=0, le=10_000_000)]
ResultFormat = Annotated[Literal["png", "jpeg", "webp", "tiff"], Query(alias="format", description="Of the file.")]


@router.get("/result", response_class=Response, responses=file_answers(*MEDIA_TYPES.values(), statuses=(404, 409)))
async def get_result(
    job_id: JobId,
    request: Request,
    edge: EdgeOf,
    caller: Reader,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for it at most.")] = 0,
    result_format: ResultFormat = "png",
) -> Response:
    """Fetch the painted picture, waiting for it if need be."""
    job = await _ended(request, edge, caller, job_id, wait)
    key = job.artifacts.get("result")
    if key is None:
        raise ApiProblem(409, _why_none(job), {} if job.is_ended else {"Retry-After": "5"})
    name = f"{_stem(job)}{SUFFIXES[result_format]}"
    if result_format != "png":
        return await _converted(edge, key, result_format, name)
    return await artifact_answer(edge, request, key, media_type="image/png", name=name, etag=_version(job))


async def _ended(request: Request, edge: Edge, caller: Identity, job_id: str, wait: float) -> JobRecord:
    """The job once it has ended, or when the wait is over."""
    end = time.monotonic() + wait
    while True:
        job = await call(edge.desk.get, caller.owner, job_id)
        if job.is_ended or time.monotonic() >= end or await request.is_disconnected():
            return job
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))


def _why_none(job: JobRecord) -> str:
    match job.state:
        case "failed":
            return f"The job failed, so there is no picture: {job.error}"
        case "cancelled":
            return "The job was cancelled, so there is no picture."
        case "done" | "stopped":
            return "This job has no picture of its own; its cells have."
        case state:
            return f"The job is {state}; there is no picture yet. Ask again with ?wait=60."


def _version(job: JobRecord) -> str:
    """Changes whenever the latest picture of a job does."""
    return f"{job.id}-{job.attempt}-{job.preview_version}-{job.state}"


def _latest(job: JobRecord) -> str | None:
    return job.artifacts.get("result") or job.artifacts.get("preview")


async def _converted(edge: Edge, key: str, result_format: str, name: str) -> Response:
    """The result in another format, made for this answer."""
    folder = tempfile.TemporaryDirectory(prefix="convert-", dir=edge.settings.scratch)
    source, target = Path(folder.name) / "source.png", Path(folder.name) / f"target{SUFFIXES[result_format]}"
    try:
        await call(edge.artifacts.fetch, key, source)
        await edge.decoding.convert(source, target, "the result")
    except BaseException:
        folder.cleanup()
        raise
    headers = {"Content-Disposition": disposition(name), "Cache-Control": "private, no-cache"}
    done = BackgroundTask(folder.cleanup)
    return FileResponse(target, media_type=MEDIA_TYPES[result_format], headers=headers, background=done)


@router.get("/preview", response_class=Response, responses=file_answers("image/webp"))
async def get_preview(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader, size: Size = 1024) -> Response:
    """Fetch the latest picture of a job, small, as WebP."""
    job = await call(edge.desk.get, caller.owner, job_id)
    key = _latest(job)
    if key is None:
        raise ApiProblem(404, "There is no picture of this job yet.")
    return await _small(edge, request, job, key, size)


@router.get("/thumbnail", response_class=Response, responses=file_answers("image/webp"))
async def get_thumbnail(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader, size: Size = 256) -> Response:
    """Fetch the latest picture of a job as a thumbnail; its content before there is one."""
    job = await call(edge.desk.get, caller.owner, job_id)
    key = _latest(job)
    if key is not None:
        return await _small(edge, request, job, key, size)
    image = await shelf.find(edge, caller.owner, job.inputs.content)
    small = await shelf.image_thumbnail(edge, image, size)
    name, etag = f"{_stem(job)}-{size}.webp", f"{image.sha256}-{size}"
    return await artifact_answer(edge, request, small, media_type="image/webp", name=name, etag=etag)


async def _small(edge: Edge, request: Request, job: JobRecord, key: str, size: int) -> Response:
    version = _version(job)
    small = await shelf.job_thumbnail(edge, job.id, version, key, size)
    name = f"{_stem(job)}-{size}.webp"
    return await artifact_answer(edge, request, small, media_type="image/webp", name=name, etag=f"{version}-{size}")


@router.get("/pictures", response_model=list[schemas.IntermediatePicture], responses=answers(404))
async def list_pictures(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """List the pictures in between."""
    job = await call(edge.desk.get, caller.owner, job_id)
    address = f"{BASE}/jobs/{job_id}/pictures"
    return JSONResponse([{"iteration": n, "url": f"{address}/{n}"} for n in sorted(job.pictures)])


@router.get("/pictures/{iteration}", response_class=Response, responses=file_answers("image/png"))
async def get_picture(job_id: JobId, iteration: Iteration, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch one picture in between."""
    job = await call(edge.desk.get, caller.owner, job_id)
    if iteration not in job.pictures:
        raise ApiProblem(404, f"No picture was kept at iteration {iteration}; 'pictures' lists those that were.")
    name = f"{iteration:05}.png"
    return await artifact_answer(
        edge, request, picture_key(job_id, iteration), media_type="image/png", name=name,
        etag=f"{job_id}-{job.attempt}-{iteration}",
    )  # fmt: skip


@router.get("/losses", response_model=list[schemas.LossPoint], responses=answers(404))
async def get_losses(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch the losses so far."""
    job = await call(edge.desk.get, caller.owner, job_id)
    return JSONResponse(await call(losses_of, edge, job))


def losses_of(edge: Edge, job: JobRecord) -> list[dict[str, Any]]:
    """A job's losses so far; blocks."""
    key = job.artifacts.get("losses")
    if key is None:
        return []
    rows = csv.DictReader(io.StringIO(edge.artifacts.read(key).decode()))
    return [_point(row) for row in rows]


def picture_key(job_id: str, iteration: int) -> str:
    """Where a picture in between is kept."""
    return f"jobs/{job_id}/pictures/{iteration:05}.png"


def _point(row: Mapping[str, str]) -> dict[str, Any]:
    """One line of losses; what is not finite is None."""
    values = {name: float(row[name]) if row.get(name) else math.nan for name in ("total", "content", "style", "tv")}
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return {"iteration": int(row["iteration"]), **finite}


@router.get(
    "/recipe.toml",
    response_class=PlainTextResponse,
    responses=answers(404) | {200: {"content": {"application/toml": {"schema": {"type": "string"}}}}},
)
async def get_recipe_toml(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch the recipe as a file for --recipe."""
    job = await call(edge.desk.get, caller.owner, job_id)
    headers = {"Content-Disposition": disposition("recipe.toml")}
    return Response(_recipe(job).to_toml(), headers=headers, media_type="application/toml")


@router.get("/command", response_model=schemas.CommandLine, responses=answers(404))
async def get_command(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Get the command line that paints the same."""
    job = await call(edge.desk.get, caller.owner, job_id)
    images = await call(pictures_of, edge.database, [job])
    notes = [] if job.kind == "picture" else [f"This is one picture of the {job.kind}."]
    notes += ["Changes on its way are only in recipe.toml."] if job.changes else []
    return JSONResponse({"command": orders.command(Recipe(**job.recipe), job.inputs, images), "notes": notes})


def _recipe(job: JobRecord) -> Recipe:
    """What was set, with the changes on the way."""
    return Recipe(**job.recipe, **({"changes": job.changes} if job.changes else {}))


@router.get("/sheet", response_class=Response, responses=file_answers(*SHEET_TYPES))
async def get_sheet(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a sweep's or batch's contact sheet."""
    return await _made_at_the_end(edge, request, caller, job_id, "sheet")


@router.get("/report", response_class=Response, responses=file_answers("text/html", "application/json"))
async def get_report(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a sweep's or batch's report."""
    return await _made_at_the_end(edge, request, caller, job_id, "report")


REPORT_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".html": "text/html; charset=utf-8",
    ".json": "application/json", ".csv": "text/csv; charset=utf-8",
}  # fmt: skip


async def _made_at_the_end(edge: Edge, request: Request, caller: Identity, job_id: str, what: str) -> Response:
    job = await call(edge.desk.get, caller.owner, job_id)
    key = job.artifacts.get(what)
    if key is None:
        raise ApiProblem(404, f"There is no {what}: it is made when the last cell of a sweep or batch has ended.")
    suffix = Path(key).suffix
    kind = REPORT_TYPES.get(suffix, "application/octet-stream")
    return await artifact_answer(
        edge, request, key, media_type=kind, name=f"{what}{suffix}", etag=f"{_version(job)}-{what}"
    )  # fmt: skip


@router.get("/archive", response_class=Response, responses=file_answers("application/zip"))
async def get_archive(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch all that a job has made as a ZIP."""
    job = await call(edge.desk.get, caller.owner, job_id)
    entries = await call(_entries, edge, caller.owner, job)
    headers = {"Content-Disposition": disposition(f"{_stem(job)}.zip", "attachment")}
    return StreamingResponse(zip_stream(entries), headers=headers, media_type="application/zip")


def _entries(edge: Edge, owner: str, job: JobRecord) -> list[tuple[str, Iterable[bytes]]]:
    """Names and contents of an archive; blocks."""
    entries = list(_of_job(edge, job, ""))
    cursor: str | None = None
    while job.kind != "picture":
        page = list_jobs(edge.database, owner, parent_id=job.id, limit=100, cursor=cursor)
        for cell in page.items:
            entries += _of_job(edge, cell, f"{_stem(cell)}-{cell.id[-6:]}/")
        cursor = page.next_cursor
        if cursor is None:
            break
    return entries


def _of_job(edge: Edge, job: JobRecord, folder: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    if "result" in job.artifacts:
        yield f"{folder}final.png", _later(edge, job.artifacts["result"])
    for iteration in sorted(job.pictures):
        yield f"{folder}{iteration:05}.png", _later(edge, picture_key(job.id, iteration))
    for what in ("sheet", "report"):
        if key := job.artifacts.get(what):
            yield f"{folder}{what}{Path(key).suffix}", _later(edge, key)
    yield f"{folder}recipe.toml", [_recipe(job).to_toml().encode()]
    if "losses" in job.artifacts:
        yield f"{folder}losses.csv", _later(edge, job.artifacts["losses"])


def _later(edge: Edge, key: str) -> Iterator[bytes]:
    """A file's bytes, which is opened when its turn comes."""
    yield from edge.artifacts.stream(key)


def _stem(job: JobRecord) -> str:
    """A name for files of a job."""
    words = "".join(c if c.isalnum() or c in "-_" else "-" for c in job.name).strip("-")[:60]
    return words or f"impasto-{job.id[-8:]}"
