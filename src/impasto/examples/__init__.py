"""The bundled pictures: photographs to be painted, and pictures whose style to paint them in.

They are small, free to use (see the README beside them), and asked for by name without suffix.
"""

from importlib.resources import files
from pathlib import Path

from impasto.errors import ImageError, did_you_mean

__all__ = ["content_names", "example_path", "style_names"]


def content_names() -> list[str]:
    """Names of the bundled photographs, sorted."""
    return sorted(_paths("content"))


def style_names() -> list[str]:
    """Names of the bundled style pictures, sorted."""
    return sorted(_paths("style"))


def example_path(name: str) -> Path:
    """Where a bundled picture lies.

    Args:
        name: A name without suffix, as `content_names` and `style_names` list them.

    Returns:
        Path of a JPEG of at most 800×800 pixels.

    Raises:
        ImageError: If no bundled picture has this name.
    """
    known = _paths("content") | _paths("style")
    if name not in known:
        raise ImageError(f"Unknown example picture '{name}'. {did_you_mean(name, sorted(known))}")
    return known[name]


def _paths(kind: str) -> dict[str, Path]:
    return {path.stem: path for path in Path(str(files(__name__) / kind)).glob("*.jpg")}
