"""Errors as ``application/problem+json`` (RFC 9457), whose ``detail`` is the sentence that the command line says."""

import http
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from impasto.errors import ImpastoError, OutOfMemoryError, RecipeError, UserError
from impasto.recipe import Recipe, allowed_values
from impasto.recipe.messages import printable, shortened, shown
from impasto.service.artifacts import ArtifactError, MissingArtifactError
from impasto.service.jobs.desk import QuotaError, UnknownJobError
from impasto.service.jobs.images import UnknownImageError
from impasto.service.jobs.states import ConflictError
from impasto.service.schemas import Problem
from impasto.service.store.database import DatabaseError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 2000
"""Characters, as of an error on the command line."""

STATUSES: Sequence[tuple[type[ImpastoError], int]] = (
    (UnknownJobError, 404),
    (UnknownImageError, 404),
    (ConflictError, 409),
    (QuotaError, 429),
    (MissingArtifactError, 404),
    (ArtifactError, 507),
    (DatabaseError, 503),
    (OutOfMemoryError, 422),
    (UserError, 422),
)
"""Of HTTP, by error; the first that fits."""

PHRASES = {status.value: status.phrase for status in http.HTTPStatus} | {
    413: "Content Too Large",
    422: "Unprocessable Content",
}


class ApiProblem(HTTPException):
    """An answer that is an error; raised while a body is read, it passes through FastAPI as it is.

    Args:
        status: Of HTTP.
        detail: What was wrong, what was got, what is allowed, what to do.
        headers: To be sent along.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": PHRASES.get(status, "Error"),
        "status": status,
        "detail": shortened(printable(detail), MAX_DETAIL),
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of errors: these statuses, and those that any request may meet."""
    return {
        status: {"description": PHRASES[status], "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}}
        for status in sorted({400, 401, 403, 413, 422, 429, *statuses})
    }


PROBLEM_REFERENCE = {"$ref": f"#/components/schemas/{Problem.__name__}"}


def install(app: FastAPI) -> None:
    """Lets every error of an application become a problem."""

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 (as it is registered)
        sentences = {404: "There is nothing at this address.", 405: "This address does not know the method."}
        is_ours = isinstance(error, ApiProblem)
        if error.status_code == 405:  # where each method is a route of its own, only one of them has answered
            return problem(405, sentences[405], headers={"Allow": ", ".join(methods_at(request.app, request.url.path))})
        detail = str(error.detail) if is_ours else sentences.get(error.status_code, str(error.detail))
        return problem(error.status_code, detail, headers=error.headers)

    async def of_validation(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        errors = [_field_problem(entry) for entry in error.errors()[:20]]
        return problem(422, errors[0]["message"], errors=errors)

    async def of_impasto(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ImpastoError)  # noqa: S101
        return of_error(error)

    async def of_anything(request: Request, error: Exception) -> JSONResponse:
        route = getattr(request.scope.get("route"), "path", "")  # the template, which names nobody's things
        logger.exception("%s %s failed", request.method, route, exc_info=error)
        return problem(500, "The service failed at this request; its log says why.")

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(ImpastoError, of_impasto)
    app.add_exception_handler(Exception, of_anything)


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that an address knows, by the OpenAPI document."""
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            return sorted(method.upper() for method in methods)
    return ["GET"]


def of_error(error: ImpastoError) -> JSONResponse:
    """The library's error: its own status, or 422 if the request is at fault, else 500."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    if status >= 500:
        logger.error("%s: %s", type(error).__name__, error)
    field = str(error).partition(" ")[0]
    is_field = isinstance(error, RecipeError) and field in Recipe.model_fields
    return problem(
        status,
        str(error),
        headers={"Retry-After": "60"} if status == 429 else None,
        errors=[{"field": f"recipe.{field}", "message": str(error)}] if is_field else None,
    )


def _field_problem(entry: Mapping[str, Any]) -> dict[str, str]:
    """One complaint of pydantic's as a field and a sentence."""
    location = [str(part) for part in entry["loc"] if part not in ("body", "query", "path", "header")]
    name = location[-1] if location else "the body"
    field = ".".join(location)
    match entry["type"]:
        case "missing":
            message = f"{field or 'The body'} is missing; give it."
        case "extra_forbidden":
            message = f"Unknown field {shown(name)}."
        case "json_invalid":
            message = "The body is not valid JSON."
        case _ if name in Recipe.model_fields and entry["loc"][0] not in ("query", "path", "header"):
            message = f"{name} is {shown(entry.get('input'))}; it must be {allowed_values(Recipe, name)}."
        case _:
            allowed = entry["msg"].replace("Input should", "it must").replace("Value error, ", "")
            message = f"{field or 'The body'} is {shown(entry.get('input'))}; {allowed[:1].lower()}{allowed[1:]}."
    return {"field": shortened(field), "message": message}
