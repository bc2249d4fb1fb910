"""What the OpenAPI document says beyond the routes: the service in words, and schemas that routes name by hand."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from impasto.service import schemas

DESCRIPTION = """\
Paint one picture in the style of another, as jobs that survive.

Errors are `application/problem+json`; their `detail` is the sentence that the command line would say. A service on
this machine alone needs no key until one is made; else send `Authorization: Bearer KEY`.
"""

TAGS = {
    "images": "Pictures that jobs are made from.",
    "jobs": "Making, finding and steering jobs.",
    "results": "What jobs leave.",
    "events": "Server-sent events.",
    "recipe": "The recipe, its looks, presets and bundled pictures.",
    "models": "Encoders and their weights.",
    "session": "A key traded for a cookie, for the studio.",
    "service": "Health, readiness, version.",
}

NAMED_BY_HAND = (schemas.Problem, schemas.JobRequest, schemas.Progress)


def describe(app: FastAPI) -> None:
    """Lets an application give out its document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    """The document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": words} for name, words in TAGS.items()],
    )
    components = document["components"]["schemas"]
    for model in NAMED_BY_HAND:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, inner in schema.pop("$defs", {}).items():
            components.setdefault(name, inner)
        components.setdefault(model.__name__, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    return document
