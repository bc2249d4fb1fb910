"""The content loss: what is where.

Legend: B pictures, C channels, K channels after the head.
"""

import torch
from torch import Tensor

from impasto.losses.base import relative, squared_norm
from impasto.products import affine


def content_loss(
    features: Tensor, target: Tensor, head: Tensor | None = None, target_energy: Tensor | None = None
) -> Tensor:
    """Relative squared distance ‖F − T‖² / ‖T‖² of feature maps, a scalar.

    Args:
        features: Shape (B, C, H, W).
        target: Shape (B, C, H, W).
        head: An affine map of the features in whose space to measure, shape (K, C + 1); None for none.
        target_energy: ‖T‖² from `energy`, where it is known.

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 1. Differs: divided by the target's own squared norm.
    """
    difference = (features - target).to(torch.promote_types(features.dtype, torch.float32))
    if head is not None:
        difference = affine(_by_position(difference), head[:, :-1])
    return relative(squared_norm(difference), energy(target, head) if target_energy is None else target_energy)


def energy(features: Tensor, head: Tensor | None = None) -> Tensor:
    """Squared norm of feature maps, a scalar; arguments as those of `content_loss`."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    if head is not None:
        features = affine(_by_position(features), head[:, :-1], head[:, -1])
    return squared_norm(features)


def _by_position(features: Tensor) -> Tensor:
    """Shape (B, C, H, W) to (B · H · W, C)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)
