"""The histogram loss."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from impasto.losses import STYLE_LOSSES
from tests.unit.losses.features import distance, features


def test_histogram_sees_what_the_gram_matrix_does_not() -> None:
    """Values ±1 in equal numbers, and a normal distribution: the same second moment, another histogram."""
    signs = torch.tensor([1.0, -1.0]).repeat(32).view(1, 1, 8, 8)
    normal = torch.from_numpy(scipy.stats.norm.ppf((np.arange(64) + 0.5) / 64)).float().view(1, 1, 8, 8)
    normal = normal / normal.square().mean().sqrt()
    assert distance(STYLE_LOSSES["gram"], signs, normal).item() == pytest.approx(0, abs=1e-6)
    assert distance(STYLE_LOSSES["histogram"], signs, normal).item() > 0.05


def test_histogram_agrees_with_the_wasserstein_distance_in_one_dimension() -> None:
    one, other = features(1, 1, 8, 8, seed=1), features(1, 1, 8, 8)
    a, b = (np.sort(f.flatten().double().numpy()) for f in (one, other))
    transport = float(np.mean((a - b) ** 2) / np.mean(b**2))
    gram = distance(STYLE_LOSSES["gram"], one, other).item()
    assert distance(STYLE_LOSSES["histogram"], one, other).item() == pytest.approx((gram + transport) / 2, rel=1e-4)
