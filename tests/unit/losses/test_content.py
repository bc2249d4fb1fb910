"""The content loss against known answers."""

import pytest
import torch

from impasto.losses import (
    content_loss,
    relative_square,
)
from tests.unit.losses.features import random_features


def test_content_loss_has_a_known_answer() -> None:
    target = torch.full((1, 2, 3, 3), 2.0)
    assert content_loss(target + 1, target).item() == pytest.approx(0.25)
    assert content_loss(target, target).item() == 0


def test_content_loss_under_a_head_is_that_of_the_mapped_features() -> None:
    features, target = (random_features(1, 3, 4, 4, seed=seed) for seed in (0, 1))
    projection = random_features(5, 4, seed=2)
    mapped = [
        torch.einsum("kc,bchw->bkhw", projection[:, :-1], f) + projection[:, -1].view(1, -1, 1, 1)
        for f in (features, target)
    ]
    torch.testing.assert_close(content_loss(features, target, projection), content_loss(*mapped))


def test_content_loss_passes_the_gradient_check() -> None:
    features = random_features(1, 2, 3, 3, dtype=torch.float64).requires_grad_()
    target = random_features(1, 2, 3, 3, seed=1)
    assert torch.autograd.gradcheck(lambda f: relative_square(f - target, target), features)
