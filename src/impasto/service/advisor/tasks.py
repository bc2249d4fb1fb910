"""The advisor's answers."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from impasto.encoders import Encoder, build_encoder
from impasto.encoders.weights.store import describe, find_weights
from impasto.formats.decode import decode
from impasto.formats.encode import CODECS
from impasto.formats.files import sniff
from impasto.formats.frame import Frame
from impasto.pipeline.estimate import estimate
from impasto.pipeline.segmentation import auto_regions
from impasto.recipe import Recipe, choices

News = Callable[[Any], None]

REGIONS_EDGE = 320
"""Pixels of the longest edge of the picture that regions are looked for in."""


def plan(
    recipe: dict[str, Any], content_size: Sequence[int], style_sizes: Sequence[Sequence[int]], max_memory: int | None
) -> dict[str, Any]:
    """What a job will take.

    Args:
        recipe: Its values.
        content_size: Height and width of the content picture.
        style_sizes: Of each style picture.
        max_memory: In bytes.

    Returns:
        ``recipe`` (as resolved), ``peak_bytes``, ``seconds``, ``size`` and ``lowered``.

    Raises:
        UserError: If recipe and encoder do not suit each other.
        OutOfMemoryError: If it does not fit.
    """
    found = estimate(
        Recipe(**recipe), (content_size[0], content_size[1]), [(size[0], size[1]) for size in style_sizes], "auto",
        max_memory=max_memory,
    )  # fmt: skip
    height, width, _ = found.levels[-1]
    return {
        "recipe": found.recipe.model_dump(mode="json"),
        "peak_bytes": found.memory.peak_bytes,
        "seconds": found.seconds,
        "size": [height, width],
        "lowered": list(found.memory.lowered),
    }


def regions(source: str, folder: str, num: int) -> list[str]:
    """Masks of the regions of a picture that look alike, as PNG files in its own proportions.

    Args:
        source: A thumbnail that the service has made.
        folder: Where the files go.
        num: How many regions to look for; fewer may be found.
    """
    data = Path(source).read_bytes()
    decoded = decode(data, sniff(data, "the picture"), "the picture", 4_000_000)
    samples = torch.from_numpy(decoded.samples.copy()).float().div(255).permute(2, 0, 1)[None]
    image = samples.expand(1, 3, -1, -1)
    factor = min(1.0, REGIONS_EDGE / max(image.shape[-2:]))
    small = F.interpolate(image, scale_factor=factor, mode="area") if factor < 1 else image
    with torch.no_grad():
        found = auto_regions(_compact(), small, small, num)
    files = []
    for number, (mask, _) in enumerate(found, start=1):
        large = F.interpolate(mask, size=image.shape[-2:], mode="bilinear", align_corners=False)
        levels = (large[0, 0] * 255).round().to(torch.uint8).numpy()[..., None]
        file = Path(folder) / f"region-{number}.png"
        CODECS[".png"].save(Frame(levels, None, None, None), file)
        files.append(str(file))
    return files


def models() -> list[dict[str, Any]]:
    """The built-in encoders, and whether their weights are here."""
    infos = [describe(name) for name in choices("model")]
    return [{"name": info.name, "is_ready": info.path is not None, "size_bytes": info.num_bytes} for info in infos]


def download(name: str, news: News) -> bool:
    """Fetches weights; the news are bytes so far and bytes in all.

    Raises:
        WeightsError: If that fails.
    """
    find_weights(name, on_download=lambda num_bytes, total: news([num_bytes, total]))
    return True


@cache
def _compact() -> Encoder:
    return build_encoder("compact")
