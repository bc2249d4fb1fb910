"""Losses against naive references, known answers and gradient checks."""

from functools import partial

import pytest
import torch
from torch import Tensor

from impasto.losses import (
    Moments,
    content_loss,
    gram_loss,
    gram_matrix,
    moments,
    relative_square,
    squared_norm,
    total_variation,
)


def random_features(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


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


def test_total_variation_has_a_known_answer() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]).expand(1, 3, 2, 2)
    # right: |1| in the upper row; down: |1| in the right column; over four pixels
    assert total_variation(image).item() == pytest.approx(0.5)


def test_total_variation_of_a_constant_picture_is_zero() -> None:
    assert total_variation(torch.full((1, 3, 9, 5), 0.7)).item() == 0


def test_total_variation_of_a_single_pixel_is_zero() -> None:
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0


def test_total_variation_agrees_with_a_naive_loop() -> None:
    image = random_features(1, 3, 5, 4, dtype=torch.float64)
    expected = 0.0
    for c in range(3):
        for i in range(5):
            for j in range(4):
                expected += abs(image[0, c, i, j + 1] - image[0, c, i, j]).item() if j < 3 else 0.0
                expected += abs(image[0, c, i + 1, j] - image[0, c, i, j]).item() if i < 4 else 0.0
    assert total_variation(image).item() == pytest.approx(expected / 60)


@pytest.mark.parametrize("wrap", [False, True])
def test_total_variation_passes_the_gradient_check(wrap: bool) -> None:
    image = random_features(1, 3, 5, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(partial(total_variation, wrap=wrap), image)


def test_total_variation_of_a_picture_of_one_pixel_has_a_gradient_of_zero() -> None:
    image = torch.rand(1, 3, 1, 1, requires_grad=True)
    total_variation(image).backward()
    assert image.grad is not None
    assert not image.grad.any()


def test_squared_norm_passes_the_gradient_check_twice() -> None:
    features = random_features(1, 3, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.equal(squared_norm(features), features.square().sum())
    assert torch.autograd.gradcheck(squared_norm, features)
    assert torch.autograd.gradgradcheck(squared_norm, features)
