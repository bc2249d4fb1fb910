"""Jobs: making, finding and steering them."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from impasto.recipe import Recipe
from impasto.service import schemas
from impasto.service.api import orders, shelf
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.parameters import Cursor, IdempotencyKey, JobId, Limit
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Identity, Reader, Writer
from impasto.service.api.uploads import files_named, folder_for_uploads, read_form, receive_file
from impasto.service.api.views import BASE, to_jobs
from impasto.service.jobs import listing
from impasto.service.jobs.records import JobRecord

router = APIRouter(tags=["jobs"])

MAX_PICTURES = 40
"""Files of one form."""

REPLAYED: dict[int | str, dict[str, Any]] = {200: {"model": schemas.Job, "description": "Made before, by this key."}}

_OWN_FIELDS = ("name", "priority", "saving_interval")
_FORM_FILES = {
    "content": "The content picture, as a file or by its id.",
    "style": "A style picture, as a file or by its id; several for several styles.",
    "content_mask": "Where a style goes; one for each style.",
    "style_mask": "Which part of a style counts; one for each style.",
    "lock_mask": "Where the content stays as it is.",
}


def _create_body() -> dict[str, Any]:
    """Two ways to make a job: JSON with ids, or a form with files and the recipe's fields as text."""
    files = {
        name: {"type": "array", "items": {"type": "string", "format": "binary"}, "description": help_, "minItems": 1}
        for name, help_ in _FORM_FILES.items()
        if name not in ("content", "lock_mask")
    }
    one = {
        name: {"type": "string", "format": "binary", "description": _FORM_FILES[name]}
        for name in ("content", "lock_mask")
    }
    fields = {name: {"type": "string"} for name in (*_OWN_FIELDS, *Recipe.model_fields) if name != "changes"}
    form = {"type": "object", "required": ["content", "style"], "properties": {**one, **files, **fields}}
    as_json = {"schema": {"$ref": "#/components/schemas/JobRequest"}, "example": schemas.EXAMPLE_JOB}
    content = {"application/json": as_json, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/jobs",
    status_code=201,
    response_model=schemas.Job,
    openapi_extra=_create_body(),
    responses=answers(404, 408, 409, 415, 507) | REPLAYED,
)
async def create_job(
    request: Request, edge: EdgeOf, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a job: JSON with ids of pictures, or a form with the pictures themselves."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = await _from_form(request, edge, caller)
    elif kind == "application/json":
        body = _parsed(await request.body())
    else:
        raise ApiProblem(415, "The body must be application/json or multipart/form-data.")
    order = await orders.order_of(edge, caller.owner, body, saving_interval=body.saving_interval)
    record, is_new = await call(edge.desk.create, caller.owner, order.new, **_terms(caller, idempotency_key))
    return await _created(edge, record, is_new)


def _terms(caller: Identity, idempotency_key: str | None) -> dict[str, Any]:
    return {"idempotency_key": idempotency_key, "max_queued": caller.max_queued}


async def _created(edge: Edge, record: JobRecord, is_new: bool) -> Response:
    return await shown(edge, record, 201 if is_new else 200, {"Location": f"{BASE}/jobs/{record.id}"})


async def shown(edge: Edge, record: JobRecord, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A job as an answer."""
    (job,) = await call(to_jobs, edge.database, [record])
    return JSONResponse(job, status, dict(headers or {}))


def _parsed(body: bytes) -> schemas.JobRequest:
    try:
        return schemas.JobRequest.model_validate(json.loads(body))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
    except (ValueError, RecursionError):
        raise ApiProblem(400, "The body is not valid JSON.") from None


async def _from_form(request: Request, edge: Edge, caller: Identity) -> schemas.JobRequest:
    """A job from a form: files are kept as uploads are, text is read as the command line reads it."""
    async with folder_for_uploads(edge.settings.scratch) as folder, read_form(request, MAX_PICTURES) as form:
        ids: dict[str, list[str]] = {}
        for name in _FORM_FILES:
            ids[name] = [value for value in form.getlist(name) if isinstance(value, str) and value]
            for upload in files_named(form, name):
                image, _ = await shelf.add(edge, caller.owner, await receive_file(upload, folder))
                ids[name].append(image.id)
        texts = {name: value for name, value in form.items() if name not in _FORM_FILES}
    recipe = {name: value for name, value in texts.items() if name not in _OWN_FIELDS}
    values: dict[str, Any] = {name: _number(texts[name]) for name in _OWN_FIELDS if name in texts}
    values |= {"name": texts["name"]} if "name" in texts else {}
    for name in ("content", "lock_mask"):
        if len(ids[name]) > 1:
            raise ApiProblem(422, f"The form has {len(ids[name])} of {name}; one is needed.")
    if not ids["content"] or not ids["style"]:
        missing = "style" if ids["content"] else "content"
        raise ApiProblem(422, f"No {missing} picture is given; send it as the file '{missing}'.")
    values |= {"content": ids["content"][0], "styles": ids["style"], "content_masks": ids["content_mask"]}
    values |= {"style_masks": ids["style_mask"], "lock_mask": next(iter(ids["lock_mask"]), None)}
    try:
        return schemas.JobRequest.model_validate(values | {"recipe": recipe})
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


def _number(text: Any) -> Any:
    """A whole number that was sent as text; what is none is refused later."""
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 20 else text


@router.post("/jobs/check", response_model=schemas.Check, responses=answers(404))
async def check_job(body: schemas.JobRequest, edge: EdgeOf, caller: Reader) -> Response:
    """Say what a job would be and take, without making it."""
    return JSONResponse(orders.check_answer(await orders.order_of(edge, caller.owner, body)))


@router.get("/jobs", response_model=schemas.Jobs, responses=answers())
async def list_jobs(
    edge: EdgeOf,
    caller: Reader,
    state: Annotated[schemas.State | None, Query(description="Only jobs in this state.")] = None,
    kind: Annotated[schemas.Kind | None, Query(description="Only jobs of this kind.")] = None,
    search: Annotated[str | None, Query(max_length=200, description="Words of name, pictures, model, look.")] = None,
    parent_id: Annotated[
        str | None, Query(max_length=64, description="Cells of this sweep or batch; without it, no cells are listed.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List jobs, the newest first."""
    return JSONResponse(
        await call(
            page, edge, caller.owner, state=state, kind=kind, search=search, parent_id=parent_id, limit=limit,
            cursor=cursor,
        )
    )  # fmt: skip


def page(edge: Edge, owner: str, **query: Any) -> dict[str, Any]:
    """A page of jobs as the API shows it; blocks."""
    found = listing.list_jobs(edge.database, owner, **query)
    return {"items": to_jobs(edge.database, found.items), "next_cursor": found.next_cursor}


@router.get("/jobs/{job_id}", response_model=schemas.Job, responses=answers(404))
async def get_job(job_id: JobId, edge: EdgeOf, caller: Reader) -> Response:
    """Look at one job."""
    return JSONResponse(await call(look_up, edge, caller.owner, job_id))


def look_up(edge: Edge, owner: str, job_id: str) -> dict[str, Any]:
    """A job as the API shows it; blocks."""
    return to_jobs(edge.database, [edge.desk.get(owner, job_id)])[0]


@router.patch("/jobs/{job_id}", response_model=schemas.Job, responses=answers(404))
async def rename_job(job_id: JobId, body: schemas.JobPatch, edge: EdgeOf, caller: Writer) -> Response:
    """Give a job another name."""
    return await shown(edge, await call(edge.desk.rename, caller.owner, job_id, body.name))


@router.delete("/jobs/{job_id}", status_code=204, responses=answers(404, 409))
async def delete_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """Delete a job with its files; for a while it can be restored."""
    await call(edge.desk.delete, caller.owner, job_id)
    return Response(status_code=204)


@router.post("/jobs/{job_id}/changes", response_model=schemas.Job, responses=answers(404, 409))
async def change_job(job_id: JobId, body: schemas.Changes, edge: EdgeOf, caller: Writer) -> Response:  # type: ignore[valid-type]
    """Change weights, strength or budget of a job that goes on."""
    values = {name: value for name, value in body.model_dump().items() if value is not None}  # type: ignore[attr-defined]
    if not values:
        raise ApiProblem(422, f"No value to change is given; these can be: {', '.join(schemas.Changes.model_fields)}.")
    return await shown(edge, await call(edge.desk.change, caller.owner, job_id, values))


@router.post("/jobs/{job_id}/again", status_code=201, response_model=schemas.Job, responses=answers(404, 409))
async def paint_again(job_id: JobId, body: schemas.AgainRequest, edge: EdgeOf, caller: Writer) -> Response:
    """Make a new job like this one, with some values changed."""
    before = await call(edge.desk.get, caller.owner, job_id)
    inputs, changes = before.inputs, {name: getattr(body.recipe, name) for name in body.recipe.model_fields_set}
    request = schemas.JobRequest(
        content=body.content or inputs.content, styles=body.styles or inputs.styles,
        recipe=Recipe(**before.recipe).replace(**changes), content_masks=inputs.content_masks,
        style_masks=inputs.style_masks, lock_mask=inputs.lock_mask,
        name=before.name if body.name is None else body.name, priority=before.priority,
    )  # fmt: skip
    order = await orders.order_of(edge, caller.owner, request, saving_interval=before.saving_interval)
    record, is_new = await call(edge.desk.create, caller.owner, order.new, **_terms(caller, None))
    return await _created(edge, record, is_new)


@router.post("/jobs/{job_id}/pause", response_model=schemas.Job, responses=answers(404, 409))
async def pause_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """Halt a job; its worker does something else meanwhile."""
    return await shown(edge, await call(edge.desk.pause, caller.owner, job_id))


@router.post("/jobs/{job_id}/resume", response_model=schemas.Job, responses=answers(404, 409))
async def resume_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """Let a paused job go on."""
    return await shown(edge, await call(edge.desk.resume, caller.owner, job_id))


@router.post("/jobs/{job_id}/stop", response_model=schemas.Job, responses=answers(404, 409))
async def stop_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """End a job and keep its best picture."""
    return await shown(edge, await call(edge.desk.stop, caller.owner, job_id))


@router.post("/jobs/{job_id}/cancel", response_model=schemas.Job, responses=answers(404, 409))
async def cancel_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """End a job and keep nothing."""
    return await shown(edge, await call(edge.desk.cancel, caller.owner, job_id))


@router.post("/jobs/{job_id}/retry", response_model=schemas.Job, responses=answers(404, 409))
async def retry_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """Let a failed or cancelled job begin once more."""
    return await shown(edge, await call(edge.desk.retry, caller.owner, job_id))


@router.post("/jobs/{job_id}/restore", response_model=schemas.Job, responses=answers(404, 409))
async def restore_job(job_id: JobId, edge: EdgeOf, caller: Writer) -> Response:
    """Take a deletion back."""
    return await shown(edge, await call(edge.desk.restore, caller.owner, job_id))


@router.post("/sweeps", status_code=201, response_model=schemas.Job, responses=answers(404) | REPLAYED)
async def create_sweep(
    body: schemas.SweepRequest, edge: EdgeOf, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Paint one picture with every combination of some values."""
    for name, values in body.vary.items():
        for value in values:  # each refused by the recipe's own sentence
            body.recipe.replace(**{name: value})
    order = await orders.order_of(edge, caller.owner, body)
    terms = _terms(caller, idempotency_key)
    return await _created(edge, *await call(edge.desk.create_sweep, caller.owner, order.new, body.vary, **terms))


@router.post("/batches", status_code=201, response_model=schemas.Job, responses=answers(404) | REPLAYED)
async def create_batch(
    body: schemas.BatchRequest, edge: EdgeOf, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Paint several pictures by one recipe."""
    contents = [await shelf.find(edge, caller.owner, image_id) for image_id in body.contents]
    first = schemas.JobRequest(
        content=body.contents[0], styles=body.styles, recipe=body.recipe, name=body.name, priority=body.priority
    )
    order = await orders.order_of(
        edge, caller.owner, first, saving_interval=body.saving_interval, contents=contents
    )  # fmt: skip
    terms = _terms(caller, idempotency_key)
    return await _created(edge, *await call(edge.desk.create_batch, caller.owner, order.new, body.contents, **terms))
