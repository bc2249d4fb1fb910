"""Regions of pictures: masks, carried to the grid of each layer.

A mask is soft: 1 is inside, 0 outside, and what lies between counts in part. Its size is its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.errors import ImageError, UserError

BLACK = 1 / 255
"""A mask that is nowhere brighter than this has no inside; how large its inside is does not matter."""


@dataclass(frozen=True, eq=False)
class Style:
    """A style image at the size of a level, and where it is to be taken from and to go.

    Attributes:
        image: Shape (1, 3, h, w), RGB in [0, 1].
        weight: Its share among the styles; only ratios count.
        content_mask: Where in the output it is to go, shape (1, 1, H, W); None for everywhere.
        style_mask: Which part of it counts, shape (1, 1, h, w); None for all.
    """

    image: Tensor
    weight: float = 1.0
    content_mask: Tensor | None = None
    style_mask: Tensor | None = None


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask at the size of a picture: bilinear, so that masks which add up to 1 still do.

    Args:
        mask: Shape (1, 1, ?, ?), in [0, 1].
        size: Height and width in pixels.
    """
    if tuple(mask.shape[-2:]) == tuple(size):
        return mask
    return F.interpolate(mask, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)


def to_grid(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask at the positions of a layer: each gets the mean of the area that it stands for.

    Args:
        mask: Shape (1, 1, H, W), in [0, 1].
        size: Height and width of the layer's feature map.

    Returns:
        Shape (1, 1, *size), in [0, 1].

    Reference: Gatys et al. (2017), arXiv:1611.07865, section 4: guidance channels are propagated to each layer.
    Differs: by area, and positions are weighted by the channel itself (there: by its square).
    """
    return F.interpolate(mask, size=size, mode="area")


def check_mask(mask: Tensor, name: str) -> Tensor:
    """The mask itself, if it has an inside.

    Raises:
        ImageError: If it is black.
    """
    if mask.amax().item() <= BLACK:
        raise ImageError(f"The mask '{name}' is black, so its region is empty. Paint the region white.")
    return mask


def check_pairs(num_styles: int, content_masks: Sequence[object], style_masks: Sequence[object]) -> None:
    """Raises `UserError` unless there is a content mask for each style, or none; and style masks likewise."""
    for kind, masks in (("content", content_masks), ("style", style_masks)):
        if masks and len(masks) != num_styles:
            raise UserError(
                f"Number of {kind} masks: {len(masks)}, of style images: {num_styles}; give one for each style image, "
                "in the same order, or none."
            )


def style_shares(styles: Sequence[Style]) -> list[float]:
    """What part of the style term each style is, so that a region's pixels feel its style as a whole picture's would.

    A style counts with its weight and the area of its region; together they count as much as the area that any of them
    covers. Without masks that is each weight over the sum of the weights.
    """
    if not styles:
        return []
    areas = [1.0 if style.content_mask is None else style.content_mask.mean().item() for style in styles]
    masks = [style.content_mask for style in styles if style.content_mask is not None]
    covered = 1.0 if len(masks) < len(styles) else torch.cat(masks).amax(dim=0).mean().item()
    largest = max(style.weight for style in styles) or 1.0
    pulls = [style.weight / largest * area for style, area in zip(styles, areas, strict=True)]
    total = sum(pulls) or 1.0
    return [covered * pull / total for pull in pulls]
