"""The calls of the API, each as a value: what is sent, and what the answer becomes. Both clients carry them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from impasto.errors import OutputError
from impasto.recipe import Recipe
from impasto.service import schemas
from impasto.service.client.errors import RefusedError, ServiceError

T = TypeVar("T")

BASE = "/api/v1"
DEFAULT_URL = "http://127.0.0.1:8000"

RecipeValues = Recipe | Mapping[str, Any]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    options: Mapping[str, Any] = field(default_factory=dict)

    def result(self, response: httpx.Response) -> T:
        """What the answer holds.

        Raises:
            RefusedError: If the service refused the request.
            ServiceError: If it failed.
        """
        if response.is_error:
            raise error_of(response)
        return self.read(response)


def error_of(response: httpx.Response) -> ServiceError:
    """The error that an answer tells of."""
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The service answered {response.status_code} {response.reason_phrase}."
    kind = RefusedError if response.is_client_error else ServiceError
    return kind(detail, response.status_code)


def unreachable(url: str, error: Exception) -> ServiceError:
    """The error of a service that does not answer."""
    why = str(error) or type(error).__name__
    return ServiceError(f"The service at {url} does not answer ({why}). Start one by 'impasto serve'.")


def _reads(kind: Any) -> Callable[[httpx.Response], Any]:
    adapter = TypeAdapter(kind)
    return lambda response: adapter.validate_json(response.content)


_JOB: Callable[[httpx.Response], schemas.Job] = _reads(schemas.Job)
_IMAGE: Callable[[httpx.Response], schemas.Image] = _reads(schemas.Image)


def values_of(recipe: RecipeValues | None) -> dict[str, Any]:
    """A recipe as the API takes it: only what was set."""
    if recipe is None:
        return {}
    if isinstance(recipe, Recipe):
        return recipe.model_dump(mode="json", include=set(recipe.model_fields_set))
    return dict(recipe)


def upload(data: bytes, name: str) -> Call[schemas.Image]:
    """``POST /images``."""
    headers = {"Content-Type": "application/octet-stream"}
    return Call("POST", "/images", _IMAGE, {"content": data, "params": {"name": name}, "headers": headers})


def image(image_id: str) -> Call[schemas.Image]:
    """``GET /images/{id}``."""
    return Call("GET", f"/images/{image_id}", _IMAGE)


def delete_image(image_id: str) -> Call[None]:
    """``DELETE /images/{id}``."""
    return Call("DELETE", f"/images/{image_id}", lambda _: None)


def examples() -> Call[list[schemas.Example]]:
    """``GET /examples``."""
    return Call("GET", "/examples", _reads(list[schemas.Example]))


def submit(body: Mapping[str, Any], idempotency_key: str | None) -> Call[schemas.Job]:
    """``POST /jobs``."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Call("POST", "/jobs", _JOB, {"json": dict(body), "headers": headers})


def check(body: Mapping[str, Any]) -> Call[schemas.Check]:
    """``POST /jobs/check``."""
    return Call("POST", "/jobs/check", _reads(schemas.Check), {"json": dict(body)})


def jobs(params: Mapping[str, Any]) -> Call[schemas.Jobs]:
    """``GET /jobs``."""
    return Call("GET", "/jobs", _reads(schemas.Jobs), {"params": {k: v for k, v in params.items() if v is not None}})


def job(job_id: str) -> Call[schemas.Job]:
    """``GET /jobs/{id}``."""
    return Call("GET", f"/jobs/{job_id}", _JOB)


def rename(job_id: str, name: str) -> Call[schemas.Job]:
    """``PATCH /jobs/{id}``."""
    return Call("PATCH", f"/jobs/{job_id}", _JOB, {"json": {"name": name}})


def act(job_id: str, action: str) -> Call[schemas.Job]:
    """``POST /jobs/{id}/pause`` and the like."""
    return Call("POST", f"/jobs/{job_id}/{action}", _JOB)


def change(job_id: str, values: Mapping[str, float]) -> Call[schemas.Job]:
    """``POST /jobs/{id}/changes``."""
    return Call("POST", f"/jobs/{job_id}/changes", _JOB, {"json": dict(values)})


def again(job_id: str, body: Mapping[str, Any]) -> Call[schemas.Job]:
    """``POST /jobs/{id}/again``."""
    return Call("POST", f"/jobs/{job_id}/again", _JOB, {"json": dict(body)})


def delete(job_id: str) -> Call[None]:
    """``DELETE /jobs/{id}``."""
    return Call("DELETE", f"/jobs/{job_id}", lambda _: None)


def sweep(body: Mapping[str, Any]) -> Call[schemas.Job]:
    """``POST /sweeps``."""
    return Call("POST", "/sweeps", _JOB, {"json": dict(body)})


def batch(body: Mapping[str, Any]) -> Call[schemas.Job]:
    """``POST /batches``."""
    return Call("POST", "/batches", _JOB, {"json": dict(body)})


def content(path: str, **params: Any) -> Call[bytes]:
    """Any address whose answer is a file."""
    return Call("GET", path, lambda response: response.content, {"params": params})


def text(path: str) -> Call[str]:
    """Any address whose answer is text."""
    return Call("GET", path, lambda response: response.text)


def losses(job_id: str) -> Call[list[schemas.LossPoint]]:
    """``GET /jobs/{id}/losses``."""
    return Call("GET", f"/jobs/{job_id}/losses", _reads(list[schemas.LossPoint]))


def pictures(job_id: str) -> Call[list[schemas.IntermediatePicture]]:
    """``GET /jobs/{id}/pictures``."""
    return Call("GET", f"/jobs/{job_id}/pictures", _reads(list[schemas.IntermediatePicture]))


def command(job_id: str) -> Call[schemas.CommandLine]:
    """``GET /jobs/{id}/command``."""
    return Call("GET", f"/jobs/{job_id}/command", _reads(schemas.CommandLine))


def models() -> Call[list[schemas.ModelInfo]]:
    """``GET /models``."""
    return Call("GET", "/models", _reads(list[schemas.ModelInfo]))


def download_model(name: str) -> Call[schemas.ModelInfo]:
    """``POST /models/{name}/download``."""
    return Call("POST", f"/models/{name}/download", _reads(schemas.ModelInfo))


def version() -> Call[schemas.Version]:
    """``GET /version``."""
    return Call("GET", "/version", _reads(schemas.Version))


def job_body(
    content_id: str, style_ids: Sequence[str], recipe: RecipeValues | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a new job; options that are None are left out."""
    given = {name: value for name, value in options.items() if value is not None}
    return {"content": content_id, "styles": list(style_ids), "recipe": values_of(recipe)} | given


def read_picture(path: Path) -> tuple[bytes, str]:
    """A file's bytes and its name.

    Raises:
        ImageError: If it cannot be read.
    """
    from impasto.formats.files import read_file

    return read_file(path), path.name


def body_of(model: BaseModel) -> dict[str, Any]:
    """A body that was built as a model."""
    return model.model_dump(mode="json", exclude_unset=True)


RESULT_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}
"""By suffix."""


def format_of(path: Path) -> str:
    """The format that a file's suffix names.

    Raises:
        OutputError: If the service writes none such.
    """
    try:
        return RESULT_FORMATS[path.suffix.lower()]
    except KeyError:
        raise OutputError(
            f"'{path}' has no suffix of a format that the service writes: {', '.join(RESULT_FORMATS)}."
        ) from None
