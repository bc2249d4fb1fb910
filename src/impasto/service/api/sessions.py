"""Sessions of the studio: a key traded for a cookie that no script can read."""

from fastapi import APIRouter, Request, Response

from impasto.service import schemas
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import COOKIE, LOCAL, SESSION_SECONDS, Gate, Reader

router = APIRouter(prefix="/session", tags=["session"])


@router.post("", responses=answers())
async def create_session(body: schemas.SessionRequest, request: Request, response: Response) -> schemas.Caller:
    """Trade a key for a cookie."""
    gate: Gate = request.app.state.gate
    gate.count(request)
    identity = gate.check_key(body.key)
    if identity is None or identity.key_id is None:
        raise ApiProblem(401, "This is no key of this service.", {"WWW-Authenticate": "Bearer"})
    response.set_cookie(
        COOKIE, gate.new_session(identity.key_id), max_age=SESSION_SECONDS, path="/api",
        httponly=True, samesite="strict", secure=_is_encrypted(request),
    )  # fmt: skip
    return schemas.Caller(name=identity.owner, scopes=list(identity.scopes), needs_key=True)


def _is_encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, with this service or with a proxy before it; a lie harms its teller alone."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


@router.get("", responses=answers())
async def get_session(caller: Reader) -> schemas.Caller:
    """Say who is asking."""
    return schemas.Caller(name=caller.owner, scopes=list(caller.scopes), needs_key=caller is not LOCAL)


@router.delete("", status_code=204, responses=answers())
async def delete_session() -> Response:
    """End the session of this browser."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/api", httponly=True, samesite="strict")
    return response
