"""Distributions of features by their sorted values.

Legend: K channels, N and M positions.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.losses.base import relative_square


@dataclass(frozen=True, eq=False)
class Values:
    """All values of some channels; adding two parts of a picture gives the values of the whole.

    Attributes:
        unsorted: Shape (K, N).
    """

    unsorted: Tensor

    def __add__(self, other: "Values") -> "Values":
        return Values(torch.cat([self.unsorted, other.unsorted], 1))

    @cached_property
    def sorted(self) -> Tensor:
        """Each channel's values in rising order, shape (K, N)."""
        return self.unsorted.sort(dim=1).values


def values_of(features: Tensor, weights: Tensor | None, projection: Tensor | None) -> Values:
    """The values of projected features, without positions of a weight below 0.5 (unless all weights are).

    Arguments as of `impasto.losses.base.StyleLoss.statistics`.
    """
    values = features[0].flatten(1).float()
    if weights is not None:
        inside = weights.flatten() >= 0.5
        values = values[:, inside] if bool(inside.any()) else values
    return Values(values if projection is None else torch.addmm(projection[:, -1:], projection[:, :-1], values))


def quantile_distance(values: Tensor, target: Tensor) -> Tensor:
    """Relative squared Wasserstein-2 distance of two sets of sorted values, shapes (K, N) and (K, M)."""
    if target.shape[1] != values.shape[1]:
        target = F.interpolate(target[None], size=values.shape[1], mode="linear", align_corners=False)[0]
    return relative_square(values - target, target)
