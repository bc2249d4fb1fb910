"""Colors under transparent parts of a picture, which are invisible and must not influence the result."""

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.errors import ImageError
from impasto.images.picture import Picture

_NOTHING = 1e-4
"""Mean opacity of a window below which its color is unknown."""


def fill_transparent(picture: Picture) -> Picture:
    """The picture with the colors under its transparent parts replaced by those of the nearest visible parts.

    Networks and filters reach beyond the visible parts and then meet the same colors there.

    Args:
        picture: Its samples become float32 if any are transparent; otherwise it is returned unchanged.

    Raises:
        ImageError: If no part of it is visible.
    """
    if picture.alpha is None or bool((picture.alpha == 1).all()):
        return picture
    if picture.alpha.amax() < 1 / 255:
        raise ImageError(f"'{picture.name or 'picture'}' is fully transparent. Give a picture with something visible.")
    return replace(picture, samples=_filled(picture.pixels, picture.alpha))


def _filled(pixels: Tensor, alpha: Tensor) -> Tensor:
    """Averages visible colors over windows of 2, 4, 8 … pixels; the smallest window with visible parts counts.

    Reference: Gortler et al. (1996), SIGGRAPH, "The Lumigraph", section 3.4 (pull-push).
    """
    height, width = alpha.shape[-2:]
    if height == width == 1:
        return torch.where(alpha > 0, pixels, torch.full_like(pixels, 0.5))
    weights = F.avg_pool2d(alpha, 2, ceil_mode=True, count_include_pad=False)
    colors = F.avg_pool2d(pixels * alpha, 2, ceil_mode=True, count_include_pad=False) / weights.clamp(min=_NOTHING)
    coarse = _filled(colors.clamp(0, 1), (weights / _NOTHING).clamp(max=1))
    around = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return around.lerp(pixels, alpha)
