"""Automatic masks: regions that look alike in content and style."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.encoders.base import Encoder

SMALLEST_REGION = 0.02
"""Smallest area of an automatic region, as a share of the picture."""

SAME_POINT = 1e-8
"""Squared distance below which features of unit length count as equal."""

MAX_K_MEANS_ROUNDS = 50


def auto_regions(
    encoder: Encoder, content_image: Tensor, style_image: Tensor, count: int
) -> list[tuple[Tensor, Tensor]]:
    """Finds regions that look alike in both pictures, by clustering the encoder's features.

    Args:
        encoder: The encoder of the run; the deepest layer of its content loss is used.
        content_image: Shape (1, 3, H, W), in [0, 1]; a few hundred pixels are enough.
        style_image: Shape (1, 3, h, w), in [0, 1].
        count: Number of clusters; a cluster that hardly occurs in the content gives no region.

    Returns:
        Pairs of a content mask and a style mask, shapes (1, 1, H', W') and (1, 1, h', w') of the layer's grid.
        The content masks add up to 1 everywhere. A region that hardly occurs in the style gets the whole style.

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
    projection = encoder.projection(layer)
    if projection is not None:
        features = torch.einsum("kc,bchw->bkhw", projection[:, :-1], features) + projection[:, -1].view(1, -1, 1, 1)
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
