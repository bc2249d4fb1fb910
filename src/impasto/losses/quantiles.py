"""Distributions of features by their sorted values.

Legend: K channels, N and M positions.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.losses.base import relative_square


def sorted_values(features: Tensor, weights: Tensor | None, projection: Tensor | None) -> Tensor:
    """Each channel's values in rising order, shape (K, N); positions that weigh less than half are left out."""
    values = features[0].flatten(1).float()
    if weights is not None:
        inside = weights.flatten() >= 0.5
        values = values[:, inside] if bool(inside.any()) else values
    if projection is not None:
        values = torch.addmm(projection[:, -1:], projection[:, :-1], values)
    return values.sort(dim=1).values


def quantile_distance(values: Tensor, target: Tensor) -> Tensor:
    """Relative squared Wasserstein-2 distance of two sets of sorted values, shapes (K, N) and (K, M)."""
    if target.shape[1] != values.shape[1]:
        target = F.interpolate(target[None], size=values.shape[1], mode="linear", align_corners=False)[0]
    return relative_square(values - target, target)
