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


def test_counting_agrees_with_sorting_on_values_of_any_size() -> None:
    """Many values a bin: the distance within 0.2 %, the gradient within 2 degrees."""
    one, other = (
        features(1, 4, 60, 70, seed=seed) * torch.tensor([0.01, 1, 100, 5000.0]).view(4, 1, 1) for seed in (1, 2)
    )
    one = (one * 1.5 + 0.2).requires_grad_()
    loss = STYLE_LOSSES["sliced"]
    distance = loss.distance(loss.statistics(one), loss.target(loss.statistics(other)))
    sorted_values = [(directions(4) @ values[0].flatten(1)).sort(1).values for values in (one, other)]
    expected = (sorted_values[0] - sorted_values[1]).square().sum() / sorted_values[1].square().sum()
    assert distance.item() == pytest.approx(expected.item(), rel=2e-3)
    gradients = [torch.autograd.grad(value, one)[0].flatten() for value in (distance, expected)]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999
