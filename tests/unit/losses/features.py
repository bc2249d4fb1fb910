"""Features to compare, as an encoder gives them and as no encoder does."""

import torch
from torch import Tensor

from impasto.losses import StyleLoss


def random_features(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Of both signs, each channel by itself."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def features(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Like an encoder's: correlated channels, none negative."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn((shape[1], shape[1]), generator=generator, dtype=torch.float64)
    raw = torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.einsum("kc,bchw->bkhw", mixing, raw).relu().to(dtype)


def distance(loss: StyleLoss, one: Tensor, other: Tensor) -> Tensor:
    """Of one picture's features to another's."""
    return loss.distance(loss.statistics(one), loss.target(loss.statistics(other)))
