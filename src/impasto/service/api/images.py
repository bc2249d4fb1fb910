"""Pictures: uploading them, looking at them, finding regions in them."""

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from impasto.service import schemas
from impasto.service.api import shelf
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.files import IMMUTABLE, blob_answer, file_answers
from impasto.service.api.pages import Cursor, Limit, from_cursor, to_cursor
from impasto.service.api.parameters import PictureIdInPath, Size
from impasto.service.api.ports import PictureRow
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Identity, Reader, Writer
from impasto.service.api.uploads import (
    Received,
    clean_name,
    files_named,
    folder_for_uploads,
    read_form,
    receive_body,
    receive_file,
)

router = APIRouter(tags=["images"])

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""A form with a file, or the file itself."""

PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/avif", "image/heic",
                 "image/jp2", "image/bmp", "image/x-portable-anymap")  # fmt: skip


async def receive_one(request: Request, folder: Path, name: str | None) -> Received:
    """The one picture of a body.

    Raises:
        ApiProblem: 422 if there is none, or more than one.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await receive_body(request, folder, name)
    async with read_form(request, max_files=1) as form:
        files = files_named(form, "file")
        if not files:
            raise ApiProblem(422, "The form has no picture: send it as the file 'file'.")
        return await receive_file(files[0], folder)


@router.post(
    "/images",
    status_code=201,
    response_model=schemas.Image,
    openapi_extra=UPLOAD_BODY,
    responses=answers(408, 415, 507) | {200: {"model": schemas.Image, "description": "These bytes were there."}},
)
async def upload_image(
    request: Request,
    edge: EdgeOf,
    caller: Writer,
    name: Annotated[str | None, Query(max_length=500, description="Of a file that is the whole body.")] = None,
) -> Response:
    """Upload a picture; the same bytes are kept once."""
    async with folder_for_uploads(edge.scratch) as folder:
        received = await receive_one(request, folder, name)
        row, is_new, _ = await shelf.add(edge, caller.owner, received)
    return JSONResponse(shelf.to_image(row), 201 if is_new else 200, {"Location": f"{shelf.BASE}/images/{row.id}"})


@router.get("/images", response_model=schemas.Images, responses=answers())
async def list_images(edge: EdgeOf, caller: Reader, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List uploaded pictures, the newest first."""
    rows = await call(edge.pictures.page, caller.owner, limit + 1, from_cursor(cursor, 2))
    has_more = len(rows) > limit
    rows = rows[:limit]
    next_cursor = to_cursor(rows[-1].created_at.isoformat(), rows[-1].id) if has_more else None
    return JSONResponse({"items": [shelf.to_image(row) for row in rows], "next_cursor": next_cursor})


@router.get("/images/{image_id}", response_model=schemas.Image, responses=answers(404))
async def get_image(image_id: PictureIdInPath, edge: EdgeOf, caller: Reader) -> Response:
    """Look at one picture's facts."""
    return JSONResponse(shelf.to_image(await shelf.find(edge, caller.owner, image_id)))


@router.delete("/images/{image_id}", status_code=204, responses=answers(404, 409))
async def delete_image(image_id: PictureIdInPath, edge: EdgeOf, caller: Writer) -> Response:
    """Delete a picture that no job needs."""
    row = await shelf.find(edge, caller.owner, image_id)
    if row.id.startswith(shelf.EXAMPLE):
        raise ApiProblem(409, "Bundled pictures cannot be deleted.")
    await call(edge.pictures.delete, caller.owner, image_id)
    return Response(status_code=204)


@router.get("/images/{image_id}/file", response_class=Response, responses=file_answers(*PICTURE_TYPES))
async def get_image_file(image_id: PictureIdInPath, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a picture's own bytes."""
    row = await shelf.find(edge, caller.owner, image_id)
    return await blob_answer(
        edge, request, shelf.picture_key(row.sha256), media_type=row.media_type, name=row.name, etag=row.sha256,
        cache=IMMUTABLE,
    )  # fmt: skip


@router.get("/images/{image_id}/thumbnail", response_class=Response, responses=file_answers("image/webp"))
async def get_image_thumbnail(
    image_id: PictureIdInPath, request: Request, edge: EdgeOf, caller: Reader, size: Size = 256
) -> Response:
    """Fetch a small version, as WebP."""
    row = await shelf.find(edge, caller.owner, image_id)
    key = await shelf.thumbnail(edge, row.sha256, shelf.picture_key(row.sha256), size)
    return await blob_answer(
        edge, request, key, media_type="image/webp", name=f"{row.name}-{size}.webp", etag=f"{row.sha256[:32]}-{size}",
        cache=IMMUTABLE,
    )  # fmt: skip


@router.post("/images/{image_id}/regions", response_model=schemas.Regions, responses=answers(404))
async def find_regions(
    image_id: PictureIdInPath,
    edge: EdgeOf,
    caller: Writer,
    num: Annotated[int, Query(ge=2, le=16, description="Regions to look for; fewer may be found.")] = 3,
) -> Response:
    """Find regions that look alike; each becomes a mask among the pictures."""
    row = await shelf.find(edge, caller.owner, image_id)
    key = await shelf.thumbnail(edge, row.sha256, shelf.picture_key(row.sha256), 1024)
    with tempfile.TemporaryDirectory(dir=edge.scratch) as folder:
        source = Path(folder) / "source.webp"
        source.write_bytes(b"".join(await call(edge.blobs.stream, key)))
        files = await edge.advisor.regions(source, Path(folder), num)
        masks = [await _keep_mask(edge, caller, file, row) for file in files]
    return JSONResponse({"masks": [shelf.to_image(mask) for mask in masks]})


async def _keep_mask(edge: Edge, caller: Identity, file: Path, row: PictureRow) -> PictureRow:
    data = file.read_bytes()
    name = clean_name(f"{Path(row.name).stem}-{file.stem}.png")
    mask, _, _ = await shelf.add(
        edge, caller.owner, Received(file, name, hashlib.sha256(data).hexdigest(), len(data))
    )
    return mask
