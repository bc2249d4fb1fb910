"""Regions of pictures: masks, carried to the grid of each layer.

A mask is soft: 1 is inside, 0 outside, and what lies between counts in part. Its size is its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import ImageError, UserError

EMPTY = 1e-3
"""A mask whose mean is below this has no inside."""


SMALLEST_REGION = 0.02
"""Share of a picture below which an automatic region is none."""

SAME_POINT = 1e-8
"""Squared distance below which features of unit length differ by rounding alone."""

MAX_K_MEANS_ROUNDS = 50


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
    if mask.mean().item() < EMPTY:
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


def auto_regions(
    encoder: Encoder, content_image: Tensor, style_image: Tensor, count: int
) -> list[tuple[Tensor, Tensor]]:
    """Finds regions that look alike in both pictures, by clustering the encoder's features.

    Args:
        encoder: The encoder of the run; the deepest layer of its content loss is looked at.
        content_image: Shape (1, 3, H, W), in [0, 1]; a few hundred pixels are enough.
        style_image: Shape (1, 3, h, w), in [0, 1].
        count: Clusters looked for; a cluster that the content hardly shows gives no region.

    Returns:
        Pairs of a content mask and a style mask, shapes (1, 1, H', W') and (1, 1, h', w') of the layer's grid.
        The content masks add up to 1 everywhere. A region that the style hardly shows gets all of the style.

    Reference: k-means with the seeding of Arthur & Vassilvitskii (2007), on features of unit length.
    """
    layer = list(encoder.content_layers)[-1]
    with torch.no_grad():
        maps = [_directions_of(encoder, image, layer) for image in (content_image, style_image)]
    points = [features.flatten(2)[0].T for features in maps]
    # Each picture counts the same, whatever its size.
    weights = torch.cat([torch.full((len(p),), 1 / len(p)) for p in points])
    labels = _k_means(torch.cat(points).double().cpu(), weights.double(), count)
    grids = [
        part.view(1, 1, *features.shape[-2:])
        for part, features in zip(torch.split(labels, [len(p) for p in points]), maps, strict=True)
    ]
    found = [k for k in range(count) if (grids[0] == k).float().mean() >= SMALLEST_REGION]
    nearest = {k: [grids[0] == k] for k in found}
    leftover = ~torch.stack([grids[0] == k for k in found]).any(0)
    nearest[max(found, key=lambda k: int((grids[0] == k).sum()))].append(leftover)
    pairs = []
    for k in found:
        content_mask, style_mask = torch.stack(nearest[k]).any(0), grids[1] == k
        if style_mask.float().mean() < SMALLEST_REGION:
            style_mask = torch.ones_like(style_mask)
        pairs.append((content_mask.float(), style_mask.float()))
    return pairs


def _directions_of(encoder: Encoder, image: Tensor, layer: str) -> Tensor:
    """A layer's features in the space where losses are measured, each position scaled to unit length."""
    features = encoder(image, [layer])[layer].float()
    head = encoder.head(layer)
    if head is not None:
        features = torch.einsum("kc,bchw->bkhw", head[:, :-1], features) + head[:, -1].view(1, -1, 1, 1)
    return F.normalize(features, dim=1)


def _k_means(points: Tensor, weights: Tensor, count: int) -> Tensor:
    """Labels of weighted points, shape (N,), seeded: the same points give the same labels."""
    generator = torch.Generator().manual_seed(0)
    centers = points[torch.multinomial(weights, 1, generator=generator)]
    while len(centers) < count:
        distance = torch.cdist(points, centers).amin(dim=1).square()
        if distance.max() < SAME_POINT:  # fewer different points than clusters
            break
        distance *= weights
        centers = torch.cat([centers, points[torch.multinomial(distance, 1, generator=generator)]])
    labels = torch.cdist(points, centers).argmin(dim=1)
    for _ in range(MAX_K_MEANS_ROUNDS):
        for k in range(len(centers)):
            inside = labels == k
            if inside.any():
                centers[k] = (points[inside] * weights[inside, None]).sum(0) / weights[inside].sum()
        before, labels = labels, torch.cdist(points, centers).argmin(dim=1)
        if labels.equal(before):
            break
    return labels
