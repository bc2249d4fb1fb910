"""What jobs leave: pictures, thumbnails, losses, recipe, command line, and all of it as a ZIP."""

import asyncio
import csv
import io
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from impasto.service import schemas
from impasto.service.api import orders, shelf
from impasto.service.api.archive import zip_stream
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.files import blob_answer, disposition, file_answers
from impasto.service.api.parameters import JobId, Size
from impasto.service.api.ports import JobFiles
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Identity, Reader

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

ENDED = ("done", "stopped", "cancelled", "failed")
MAX_WAIT_SECONDS = 300
POLL_SECONDS = 0.2

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "tiff": "image/tiff"}
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
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
    files = await call(edge.jobs.files, caller.owner, job_id)
    if files.result is None:
        raise ApiProblem(409, _why_none(job), {"Retry-After": "5"} if job["state"] not in ENDED else {})
    name = f"{_stem(job)}{SUFFIXES[result_format]}"
    if result_format == "png":
        etag = f"{job_id}-{job['attempt']}-result"
        return await blob_answer(edge, request, files.result, media_type="image/png", name=name, etag=etag)
    return await _converted(edge, files.result, result_format, name)


async def _ended(request: Request, edge: Edge, caller: Identity, job_id: str, wait: float) -> dict[str, Any]:
    """The job once it has ended, or when the wait is over."""
    end = time.monotonic() + wait
    while True:
        job = await call(edge.jobs.get, caller.owner, job_id)
        if job["state"] in ENDED or time.monotonic() >= end or await request.is_disconnected():
            return job
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))


def _why_none(job: Mapping[str, Any]) -> str:
    match job["state"]:
        case "failed":
            return f"The job failed, so there is no picture: {job['error']}"
        case "cancelled":
            return "The job was cancelled, so there is no picture."
        case "done" | "stopped":
            return "This job has no picture of its own; its cells have."
        case state:
            return f"The job is {state}; there is no picture yet. Ask again with ?wait=60."


async def _converted(edge: Edge, key: str, result_format: str, name: str) -> Response:
    """The result in another format, made for this answer."""
    folder = tempfile.TemporaryDirectory(prefix="convert-", dir=edge.scratch)
    source, target = Path(folder.name) / "source.png", Path(folder.name) / f"target{SUFFIXES[result_format]}"
    try:
        await call(shelf.copy_blob, edge, key, source)
        await edge.decoding.convert(source, target, "the result")
    except BaseException:
        folder.cleanup()
        raise
    headers = {"Content-Disposition": disposition(name), "Cache-Control": "private, no-cache"}
    done = BackgroundTask(folder.cleanup)
    return FileResponse(target, media_type=MEDIA_TYPES[result_format], headers=headers, background=done)


@router.get("/preview", response_class=Response, responses=file_answers("image/webp"))
async def get_preview(
    job_id: JobId, request: Request, edge: EdgeOf, caller: Reader, size: Size = 1024
) -> Response:
    """Fetch the latest picture of a job, small, as WebP."""
    job = await call(edge.jobs.get, caller.owner, job_id)
    files = await call(edge.jobs.files, caller.owner, job_id)
    return await _small(edge, request, job, files.result or files.preview, size)


@router.get("/thumbnail", response_class=Response, responses=file_answers("image/webp"))
async def get_thumbnail(
    job_id: JobId, request: Request, edge: EdgeOf, caller: Reader, size: Size = 256
) -> Response:
    """Fetch the latest picture of a job as a thumbnail; its content before there is one."""
    job = await call(edge.jobs.get, caller.owner, job_id)
    files = await call(edge.jobs.files, caller.owner, job_id)
    latest = files.result or files.preview
    if latest is None and job["content"] is not None:
        row = await shelf.find(edge, caller.owner, job["content"]["id"])
        key = await shelf.thumbnail(edge, row.sha256, shelf.picture_key(row.sha256), size)
        name, etag = f"{_stem(job)}-{size}.webp", f"{row.sha256[:32]}-{size}"
        return await blob_answer(edge, request, key, media_type="image/webp", name=name, etag=etag)
    return await _small(edge, request, job, latest, size)


async def _small(edge: Edge, request: Request, job: Mapping[str, Any], key: str | None, size: int) -> Response:
    if key is None:
        raise ApiProblem(404, "There is no picture of this job yet.")
    version = f"{job['id']}-{job['attempt']}-{job['preview_version']}-{job['state'] in ENDED}"
    small = await shelf.thumbnail(edge, version, key, size)
    name = f"{_stem(job)}-{size}.webp"
    return await blob_answer(edge, request, small, media_type="image/webp", name=name, etag=f"{version}-{size}")


@router.get("/pictures", response_model=list[schemas.IntermediatePicture], responses=answers(404))
async def list_pictures(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """List the pictures in between."""
    files = await call(edge.jobs.files, caller.owner, job_id)
    address = f"{shelf.BASE}/jobs/{job_id}/pictures"
    return JSONResponse([{"iteration": n, "url": f"{address}/{n}"} for n in sorted(files.pictures)])


@router.get("/pictures/{iteration}", response_class=Response, responses=file_answers("image/png"))
async def get_picture(job_id: JobId, iteration: int, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch one picture in between."""
    files = await call(edge.jobs.files, caller.owner, job_id)
    if iteration not in files.pictures:
        raise ApiProblem(404, f"No picture was kept at iteration {iteration}; 'pictures' lists those that were.")
    name, etag = f"{iteration:05}.png", f"{job_id}-{iteration}-{files.pictures[iteration][-40:]}"
    return await blob_answer(
        edge, request, files.pictures[iteration], media_type="image/png", name=name, etag=etag.replace("/", "-")
    )


@router.get("/losses", response_model=list[schemas.LossPoint], responses=answers(404))
async def get_losses(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch the losses so far."""
    return JSONResponse(list(await call(edge.jobs.losses, caller.owner, job_id)))


@router.get(
    "/recipe.toml",
    response_class=PlainTextResponse,
    responses=answers(404) | {200: {"content": {"application/toml": {"schema": {"type": "string"}}}}},
)
async def get_recipe_toml(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch the recipe as a file for --recipe."""
    order = await call(edge.jobs.order, caller.owner, job_id)
    headers = {"Content-Disposition": disposition("recipe.toml")}
    return Response(order.recipe.to_toml(), headers=headers, media_type="application/toml")


@router.get("/command", response_model=schemas.CommandLine, responses=answers(404))
async def get_command(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Get the command line that paints the same."""
    order = await call(edge.jobs.order, caller.owner, job_id)
    notes = [] if order.kind == "picture" else ["It paints one picture of them."]
    return JSONResponse({"command": orders.command(order), "notes": notes})


@router.get("/sheet", response_class=Response, responses=file_answers("image/png", "image/jpeg", "image/webp"))
async def get_sheet(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a sweep's or batch's contact sheet."""
    files = await call(edge.jobs.files, caller.owner, job_id)
    return await _made_at_the_end(edge, request, job_id, files.sheet, "sheet")


@router.get("/report", response_class=Response, responses=file_answers("text/html", "application/json"))
async def get_report(job_id: JobId, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a sweep's or batch's report."""
    files = await call(edge.jobs.files, caller.owner, job_id)
    return await _made_at_the_end(edge, request, job_id, files.report, "report")


REPORT_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".html": "text/html; charset=utf-8",
    ".json": "application/json", ".csv": "text/csv; charset=utf-8",
}  # fmt: skip


async def _made_at_the_end(edge: Edge, request: Request, job_id: str, key: str | None, what: str) -> Response:
    if key is None:
        raise ApiProblem(404, f"There is no {what}: it is made when the last cell of a sweep or batch has ended.")
    suffix = Path(key).suffix
    kind = REPORT_TYPES.get(suffix, "application/octet-stream")
    return await blob_answer(
        edge, request, key, media_type=kind, name=f"{what}{suffix}", etag=f"{job_id}-{what}",
    )  # fmt: skip


@router.get("/archive", response_class=Response, responses=file_answers("application/zip"))
async def get_archive(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch all that a job has made as a ZIP."""
    job = await call(edge.jobs.get, caller.owner, job_id)
    entries = await call(_entries, edge, caller.owner, job)
    headers = {"Content-Disposition": disposition(f"{_stem(job)}.zip", "attachment")}
    return StreamingResponse(zip_stream(entries), headers=headers, media_type="application/zip")


def _entries(edge: Edge, owner: str, job: Mapping[str, Any]) -> list[tuple[str, Iterable[bytes]]]:
    """Names and contents of an archive; blocks."""
    entries: list[tuple[str, Iterable[bytes]]] = list(_of_job(edge, owner, str(job["id"]), ""))
    cursor: str | None = None
    while job["kind"] != "picture":
        page = edge.jobs.page(owner, {"parent_id": job["id"]}, 100, cursor)
        for cell in page["items"]:
            entries += _of_job(edge, owner, cell["id"], f"{_stem(cell)}-{cell['id'][-6:]}/")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return entries


def _of_job(edge: Edge, owner: str, job_id: str, folder: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    files: JobFiles = edge.jobs.files(owner, job_id)
    if files.result:
        yield f"{folder}final.png", _later(edge, files.result)
    for iteration, key in sorted(files.pictures.items()):
        yield f"{folder}{iteration:05}.png", _later(edge, key)
    for what, key_ in (("sheet", files.sheet), ("report", files.report)):
        if key_:
            yield f"{folder}{what}{Path(key_).suffix}", _later(edge, key_)
    yield f"{folder}recipe.toml", [edge.jobs.order(owner, job_id).recipe.to_toml().encode()]
    losses = edge.jobs.losses(owner, job_id)
    if losses:
        yield f"{folder}losses.csv", [_csv(losses).encode()]


def _later(edge: Edge, key: str) -> Iterator[bytes]:
    """A file's bytes, which is opened when its turn comes."""
    yield from edge.blobs.stream(key)


def _csv(losses: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["iteration", "total", "content", "style", "tv"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(losses)
    return text.getvalue()


def _stem(job: Mapping[str, Any]) -> str:
    """A name for files of a job."""
    words = "".join(c if c.isalnum() or c in "-_" else "-" for c in job["name"]).strip("-")[:60]
    return words or f"impasto-{str(job['id'])[-8:]}"
