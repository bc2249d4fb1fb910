"""The bundled pictures, as records like those of uploaded ones; their ids begin with ``example:``."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image as PillowImage

from impasto.examples import content_names, example_path, style_names
from impasto.examples.credits import CREDITS, Credit
from impasto.service.jobs.records import ImageRecord

PREFIX = "example:"


def is_example(image_id: str) -> bool:
    """Whether an id is that of a bundled picture."""
    return image_id.startswith(PREFIX)


def path_of(image_id: str) -> Path:
    """The file of a bundled picture.

    Raises:
        ImageError: If there is none of that name.
    """
    return example_path(image_id.removeprefix(PREFIX))


@cache
def all_by_id() -> Mapping[str, ImageRecord]:
    """The records by id, photographs first."""
    return {f"{PREFIX}{name}": _record(name) for name in [*content_names(), *style_names()]}


def kind_of(name: str) -> Literal["content", "style"]:
    """Whether it is a photograph or a painting."""
    return "content" if name in content_names() else "style"


def credit_of(name: str) -> Credit:
    """What it shows, and whom it is from."""
    return CREDITS[name]


def _record(name: str) -> ImageRecord:
    path = example_path(name)
    data = path.read_bytes()
    with PillowImage.open(path) as image:  # its header only; the file is ours
        width, height = image.size
    return ImageRecord(
        id=f"{PREFIX}{name}", owner="", sha256=hashlib.sha256(data).hexdigest(), name=path.name, format="JPEG",
        media_type="image/jpeg", width=width, height=height, bytes=len(data), notes=[],
        created_at=datetime.fromtimestamp(0, UTC),
    )  # fmt: skip
