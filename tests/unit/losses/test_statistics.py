"""Moments and norms: sums that add up, in full precision."""

import torch

from impasto.losses import (
    Moments,
    gram_matrix,
    moments,
    squared_norm,
)
from tests.unit.losses.features import random_features


def test_moments_of_two_halves_add_up_to_the_whole() -> None:
    features = random_features(1, 4, 6, 8, dtype=torch.float64)
    left, right = moments(features[..., :3]), moments(features[..., 3:])
    whole = left + right
    assert isinstance(whole, Moments)
    torch.testing.assert_close(whole.gram(), gram_matrix(features))


def test_moments_weigh_positions() -> None:
    features, weights = random_features(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    weights[..., :2, :] = 1
    torch.testing.assert_close(moments(features, weights).gram(), gram_matrix(features[..., :2, :]))


def test_gram_under_a_head_is_the_gram_of_the_mapped_features() -> None:
    features, projection = (
        random_features(1, 3, 5, 6, dtype=torch.float64),
        random_features(7, 4, dtype=torch.float64, seed=1),
    )
    mapped = torch.einsum("kc,bchw->bkhw", projection[:, :-1], features) + projection[:, -1].view(1, -1, 1, 1)
    torch.testing.assert_close(moments(features).gram(projection), gram_matrix(mapped))


def test_moments_pass_the_gradient_check() -> None:
    features = random_features(2, 3, 3, 2, dtype=torch.float64).requires_grad_()
    projection = random_features(4, 4, dtype=torch.float64, seed=2)
    assert torch.autograd.gradcheck(lambda f: moments(f).gram(projection), features)


def test_weighted_moments_pass_the_gradient_check() -> None:
    features = random_features(1, 3, 3, 2, dtype=torch.float64).requires_grad_()
    weights = random_features(1, 1, 3, 2, dtype=torch.float64, seed=3).abs()
    assert torch.autograd.gradcheck(lambda f: moments(f, weights).gram(), features)


def test_squared_norm_passes_the_gradient_check_twice() -> None:
    features = random_features(1, 3, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.equal(squared_norm(features), features.square().sum())
    assert torch.autograd.gradcheck(squared_norm, features)
    assert torch.autograd.gradgradcheck(squared_norm, features)
