"""Whether the service lives, whether it is ready, which version it is; and its numbers for Prometheus."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from impasto.errors import ImpastoError
from impasto.service import schemas
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.metrics import render
from impasto.service.api.security import Admin

router = APIRouter(tags=["service"])
root = APIRouter(include_in_schema=False)


@router.get("/health", response_model=schemas.Health)
async def get_health() -> Response:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", response_model=schemas.Ready, responses={503: {"model": schemas.Ready}})
async def get_ready(edge: EdgeOf) -> Response:
    """Say whether jobs can be taken."""
    checks = await call(_checks, edge)
    is_ready = all(said == "ok" for said in checks.values())
    return JSONResponse({"is_ready": is_ready, "checks": checks}, 200 if is_ready else 503)


def _checks(edge: Edge) -> dict[str, str]:
    """What each part says; blocks."""
    checks: dict[str, Callable[[], object]] = {
        "database": edge.database.check,
        "artifacts": partial(edge.artifacts.exists, "ready"),
    }
    said = {}
    for name, check in checks.items():
        try:
            check()
            said[name] = "ok"
        except ImpastoError as error:
            said[name] = str(error)
    return said


@router.get("/version", response_model=schemas.Version)
async def get_version() -> Response:
    """Say which version this is."""
    return JSONResponse({"version": version("impasto"), "api": "v1"})


@root.get("/metrics")
async def get_metrics(edge: EdgeOf, _: Admin) -> Response:
    """Numbers of the service, for Prometheus."""
    text, kind = await call(render, edge)
    return Response(text, media_type=kind)
