"""The content loss: the squared distance of feature maps, position by position.

Legend: B pictures, C channels, K channels after the projection.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.losses.base import relative, squared_norm


def content_loss(
    features: Tensor,
    target: Tensor,
    projection: Tensor | None = None,
    target_squared_norm: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Relative squared distance ‖F − T‖² / ‖T‖² of feature maps, a scalar.

    Args:
        features: Shape (B, C, H, W).
        target: Shape (B, C, H, W).
        projection: An affine map whose space the distance is measured in, shape (K, C + 1); None for none.
        target_squared_norm: ‖T‖² from `projected_squared_norm`, if already computed.
        weights: Weight of each position in [0, 1], shape (B, 1, H, W); None counts each once.

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 1. Differs: divided by the target's own squared norm.
    """
    difference = (features - target).to(torch.promote_types(features.dtype, torch.float32))
    if weights is not None:
        difference = difference * weights.sqrt()
    if projection is not None:
        difference = F.linear(_by_position(difference), projection[:, :-1])
    if target_squared_norm is None:
        target_squared_norm = projected_squared_norm(target, projection, weights)
    return relative(squared_norm(difference), target_squared_norm)


def projected_squared_norm(features: Tensor, projection: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
    """Squared norm of feature maps, a scalar; arguments as those of `content_loss`."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    if projection is not None:
        features = F.linear(_by_position(features), projection[:, :-1], projection[:, -1])
    if weights is not None:
        roots = weights.sqrt()
        features = features * (roots if projection is None else _by_position(roots))
    return squared_norm(features)


def _by_position(features: Tensor) -> Tensor:
    """Shape (B, C, H, W) to (B · H · W, C)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)
