"""The built studio, served at ``/`` from the package's data; and what stands there while it is not built."""

import html
import mimetypes
from functools import partial
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

HOW_TO_BUILD = (
    "The studio is not built here. Run 'python tools/build_studio.py' in a checkout and install the package again; "
    "the API at /api/v1 works without it."
)
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Impasto</title>'
    f"<h1>Impasto</h1><p>{html.escape(HOW_TO_BUILD, quote=False)}</p>"
    '<p><a href="/api/v1/openapi.json">OpenAPI document</a></p></html>'
)
FOREVER = "public, max-age=31536000, immutable"
"""For files whose names hold a hash of their content."""


def folder() -> Path:
    """Where the built studio lies."""
    return Path(str(files("impasto") / "studio"))


def router(root: Path | None = None) -> APIRouter:
    """Serves a folder's files, and nothing outside of it.

    Args:
        root: The folder; by default the package's.
    """
    root = folder() if root is None else root
    # Each file has a route of its own, so that no path that a client sends is ever joined to a folder.
    known = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    def studio_page() -> Response:
        index = known.get("index.html")
        return FileResponse(index, headers={"Cache-Control": "no-cache"}) if index else HTMLResponse(PAGE)

    for path, file in known.items():
        pages.add_api_route(f"/{path}", partial(_file_answer, path, file), name=path)
    return pages


def _file_answer(path: str, file: Path) -> Response:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    cache = FOREVER if path.startswith("assets/") else "no-cache"
    return FileResponse(file, media_type=kind, headers={"Cache-Control": cache})
