"""Regions of pictures: masks, carried to the grid of each layer.

A mask is soft: 1 is inside, 0 is outside, and values between count in part. It may have any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.errors import ImageError, UserError

BLACK = 1 / 255
"""A mask without a pixel brighter than this is empty. A single brighter pixel is a region."""


@dataclass(frozen=True, eq=False)
class Style:
    """A style image at the size of a level, with its masks.

    Attributes:
        image: Shape (1, 3, h, w), RGB in [0, 1].
        weight: Its share among the styles; only ratios matter.
        content_mask: Which part of the output is painted in it, shape (1, 1, H, W); None for all.
        style_mask: Which part of the image is taken as style, shape (1, 1, h, w); None for all.
    """

    image: Tensor
    weight: float = 1.0
    content_mask: Tensor | None = None
    style_mask: Tensor | None = None


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes a mask to a picture, bilinearly, so that masks which add up to 1 still do.

    Args:
        mask: Shape (1, 1, ?, ?), in [0, 1].
        size: Height and width in pixels.
    """
    if tuple(mask.shape[-2:]) == tuple(size):
        return mask
    return F.interpolate(mask, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)


def to_grid(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes a mask to a layer's grid; each position gets the mean of the area that it covers.

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
    """Returns the mask unchanged unless it is empty.

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
    """Each style's share of the style term.

    A style's share is in proportion to its weight and to the area of its region, and all shares add up to the area that
    any style covers. The pull on a pixel then does not depend on the size of its region. Without masks, each share is
    the style's weight divided by the sum of the weights.
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
