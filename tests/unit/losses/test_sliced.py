"""The sliced loss."""

import numpy as np
import pytest
import torch

from impasto.losses import STYLE_LOSSES
from impasto.losses.sliced import directions
from tests.unit.losses.features import distance, features


def test_sliced_agrees_with_a_naive_loop_over_directions() -> None:
    one, other = features(1, 4, 5, 6, seed=1), features(1, 4, 5, 6)
    numerator = denominator = 0.0
    for direction in directions(4).double().numpy():
        a, b = (np.sort(np.tensordot(direction, f[0].flatten(1).double().numpy(), 1)) for f in (one, other))
        numerator, denominator = numerator + np.sum((a - b) ** 2), denominator + np.sum(b**2)
    assert distance(STYLE_LOSSES["sliced"], one, other).item() == pytest.approx(numerator / denominator, rel=1e-4)


def test_directions_are_a_rotation() -> None:
    rotation = directions(16)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16), atol=1e-5, rtol=0)
