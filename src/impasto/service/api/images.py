"""Pictures: uploading them, looking at them, finding regions in them."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from impasto.service import schemas
from impasto.service.api import example_pictures, shelf
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.files import IMMUTABLE, artifact_answer, disposition, file_answers
from impasto.service.api.parameters import Cursor, Limit, PictureIdInPath, Size
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Reader, Writer
from impasto.service.api.uploads import (
    Received,
    clean_name,
    files_named,
    folder_for_uploads,
    read_form,
    receive_body,
    receive_file,
)
from impasto.service.api.views import BASE, to_image
from impasto.service.jobs.images import delete_image as forget_image
from impasto.service.jobs.images import list_images as list_of_images
from impasto.service.jobs.records import ImageRecord

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
    async with folder_for_uploads(edge.settings.scratch) as folder:
        received = await receive_one(request, folder, name)
        image, is_new = await shelf.add(edge, caller.owner, received)
    return JSONResponse(to_image(image), 201 if is_new else 200, {"Location": f"{BASE}/images/{image.id}"})


@router.get("/images", response_model=schemas.Images, responses=answers())
async def list_images(edge: EdgeOf, caller: Reader, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List uploaded pictures, the newest first."""
    page = await call(list_of_images, edge.database, caller.owner, limit=limit, cursor=cursor)
    return JSONResponse({"items": [to_image(image) for image in page.items], "next_cursor": page.next_cursor})


@router.get("/images/{image_id}", response_model=schemas.Image, responses=answers(404))
async def get_image(image_id: PictureIdInPath, edge: EdgeOf, caller: Reader) -> Response:
    """Look at one picture's facts."""
    return JSONResponse(to_image(await shelf.find(edge, caller.owner, image_id)))


@router.delete("/images/{image_id}", status_code=204, responses=answers(404, 409))
async def delete_image(image_id: PictureIdInPath, edge: EdgeOf, caller: Writer) -> Response:
    """Delete a picture that no job needs."""
    if example_pictures.is_example(image_id):
        await shelf.find(edge, caller.owner, image_id)
        raise ApiProblem(409, "Bundled pictures cannot be deleted.")
    await call(forget_image, edge.database, edge.artifacts, caller.owner, image_id)
    return Response(status_code=204)


@router.get("/images/{image_id}/file", response_class=Response, responses=file_answers(*PICTURE_TYPES))
async def get_image_file(image_id: PictureIdInPath, request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Fetch a picture's own bytes."""
    image = await shelf.find(edge, caller.owner, image_id)
    if example_pictures.is_example(image_id):
        headers = {"Content-Disposition": disposition(image.name), "Cache-Control": IMMUTABLE}
        return FileResponse(example_pictures.path_of(image_id), media_type=image.media_type, headers=headers)
    return await artifact_answer(
        edge, request, image.artifact, media_type=image.media_type, name=image.name, etag=image.sha256, cache=IMMUTABLE
    )


@router.get("/images/{image_id}/thumbnail", response_class=Response, responses=file_answers("image/webp"))
async def get_image_thumbnail(
    image_id: PictureIdInPath, request: Request, edge: EdgeOf, caller: Reader, size: Size = 256
) -> Response:
    """Fetch a small version, as WebP."""
    image = await shelf.find(edge, caller.owner, image_id)
    key = await shelf.image_thumbnail(edge, image, size)
    name, etag = f"{image.name}-{size}.webp", f"{image.sha256}-{size}"
    return await artifact_answer(
        edge, request, key, media_type="image/webp", name=name, etag=etag, cache=IMMUTABLE
    )  # fmt: skip


@router.post("/images/{image_id}/regions", response_model=schemas.Regions, responses=answers(404))
async def find_regions(
    image_id: PictureIdInPath,
    edge: EdgeOf,
    caller: Writer,
    num: Annotated[int, Query(ge=2, le=16, description="Regions to look for; fewer may be found.")] = 3,
) -> Response:
    """Find regions that look alike; each becomes a mask among the pictures."""
    image = await shelf.find(edge, caller.owner, image_id)
    key = await shelf.image_thumbnail(edge, image, 1024)
    async with folder_for_uploads(edge.settings.scratch) as folder:
        source = folder / "source.webp"
        await call(edge.artifacts.fetch, key, source)
        files = await edge.advisor.regions(source, folder, num)
        masks = [await _keep_mask(edge, caller.owner, file, image.name) for file in files]
    return JSONResponse({"masks": [to_image(mask) for mask in masks]})


async def _keep_mask(edge: Edge, owner: str, file: Path, name: str) -> ImageRecord:
    data = file.read_bytes()
    mask_name = clean_name(f"{Path(name).stem}-{file.stem}.png")
    mask, _ = await shelf.add(edge, owner, Received(file, mask_name, hashlib.sha256(data).hexdigest(), len(data)))
    return mask
