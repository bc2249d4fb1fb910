"""The Gram matrix and its loss against naive references and known answers."""

import pytest
import torch
from torch import Tensor

from impasto.losses import (
    STYLE_LOSSES,
    gram_loss,
    gram_matrix,
)
from tests.unit.losses.features import distance, features, random_features


def naive_gram(features: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    gram = torch.zeros(batch, channels, channels, dtype=features.dtype)
    for b in range(batch):
        for i in range(channels):
            for j in range(channels):
                gram[b, i, j] = (features[b, i] * features[b, j]).sum() / (height * width)
    return gram


def test_gram_matrix_agrees_with_a_naive_loop() -> None:
    features = random_features(2, 5, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(gram_matrix(features), naive_gram(features))


def test_gram_matrix_has_a_known_answer() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # two channels, two positions
    expected = torch.tensor([[[2.5, 0.5], [0.5, 5.0]]])
    torch.testing.assert_close(gram_matrix(features), expected)


def test_gram_matrix_ignores_pixel_order() -> None:
    features = random_features(1, 4, 6, 6)
    shuffled = features.flatten(2)[..., torch.randperm(36)].view_as(features)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


def test_gram_matrix_ignores_memory_format() -> None:
    features = random_features(1, 4, 6, 5)
    torch.testing.assert_close(gram_matrix(features.to(memory_format=torch.channels_last)), gram_matrix(features))


def test_gram_matrix_of_a_batch_is_each_pictures_own() -> None:
    features = random_features(3, 4, 5, 5)
    for index in range(3):
        torch.testing.assert_close(gram_matrix(features)[index], gram_matrix(features[index : index + 1])[0])


def test_half_precision_sums_are_accumulated_in_float32() -> None:
    features = torch.full((1, 2, 512, 512), 0.01, dtype=torch.bfloat16)
    gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram, features[0, 0, 0, 0].float().square().expand(1, 2, 2), rtol=1e-5, atol=0)


def test_large_half_precision_features_do_not_overflow() -> None:
    gram = gram_matrix(torch.full((1, 2, 8, 8), 3e3, dtype=torch.float16))
    assert gram.isfinite().all()
    assert gram[0, 0, 0].item() == pytest.approx(9e6, rel=1e-2)


def test_gram_loss_is_zero_at_the_target_and_one_at_black() -> None:
    target = gram_matrix(random_features(1, 4, 5, 5))
    assert gram_loss(target, target).item() == 0
    assert gram_loss(torch.zeros_like(target), target).item() == pytest.approx(1)


def test_gram_loss_ignores_the_scale_of_the_features() -> None:
    gram, target = (gram_matrix(random_features(1, 4, 5, 5, seed=seed)) for seed in (0, 1))
    torch.testing.assert_close(gram_loss(gram * 1e6, target * 1e6), gram_loss(gram, target))


def test_a_dead_target_does_not_divide_by_zero() -> None:
    nothing, something = torch.zeros(1, 3, 3), torch.ones(1, 3, 3)
    assert gram_loss(something, nothing).item() == 9
    assert gram_loss(nothing, nothing).item() == 0


def test_gram_is_the_gram_loss() -> None:
    one, other = features(1, 5, 6, 7, seed=1), features(1, 5, 4, 4)
    torch.testing.assert_close(
        distance(STYLE_LOSSES["gram"], one, other), gram_loss(gram_matrix(one), gram_matrix(other))
    )
