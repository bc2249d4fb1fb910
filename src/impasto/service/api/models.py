"""Encoders: whether their weights are there, and fetching them."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response

from impasto.recipe import choices
from impasto.service import schemas
from impasto.service.api.edge import Edge, EdgeOf
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Admin, Reader

router = APIRouter(tags=["models"])


@router.get("/models", response_model=list[schemas.ModelInfo], responses=answers())
async def list_models(edge: EdgeOf, _: Reader) -> Response:
    """List the encoders, and whether their weights are on the service's machine."""
    return JSONResponse(await _infos(edge))


@router.post("/models/{name}/download", status_code=202, response_model=schemas.ModelInfo, responses=answers(404))
async def download_model(
    name: Annotated[str, Path(max_length=64, examples=["compact"])], edge: EdgeOf, _: Admin
) -> Response:
    """Start fetching an encoder's weights; the list of models says how far it is."""
    if name not in choices("model"):
        raise ApiProblem(404, f"There is no model of that name; these are: {', '.join(choices('model'))}.")
    if not next(info for info in await _infos(edge) if info["name"] == name)["is_ready"]:
        edge.in_background(asyncio.create_task(edge.advisor.download(name)))
        await asyncio.sleep(0)  # so that it has begun
    return JSONResponse(next(info for info in await _infos(edge) if info["name"] == name), 202)


async def _infos(edge: Edge) -> list[dict[str, Any]]:
    infos = await edge.advisor.models()
    own = [
        {"name": name, "description": "A model on the operator's list.", "is_ready": True, "size_bytes": None,
         "download": None}
        for name in edge.models
    ]  # fmt: skip
    return [_plain(info) for info in infos] + own


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    state = info["download"]
    download = state and {"num_bytes": state.num_bytes, "total_bytes": state.total_bytes, "error": state.error}
    return info | {"download": download}
