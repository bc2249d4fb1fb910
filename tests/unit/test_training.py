"""What the compact encoder is trained by: its forms through moments are those of the feature maps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training import agreement, estimates, networks
from training.gather import pictures_in
from training.narrow import narrow

from impasto.encoders.compact import Compact

LAYER = "relu1_1"


@pytest.fixture
def example() -> tuple[Tensor, Tensor, Tensor]:
    """Narrow features, a teacher's, and a head, in float64."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 5, 6, 7), (2, 9, 6, 7), (9, 6)
    narrow, wide, head = (torch.randn(shape, generator=generator) for shape in shapes)
    return narrow.requires_grad_(), wide, head.requires_grad_()


def mapped(features: Tensor, head: Tensor) -> Tensor:
    return torch.einsum("kc,bchw->bkhw", head[:, :-1], features) + head[:, -1].view(1, -1, 1, 1)


def naive_gram(features: Tensor) -> Tensor:
    rows = features.flatten(2)
    return rows @ rows.mT / rows.shape[2]


def naive_features(narrow: Tensor, wide: Tensor, head: Tensor) -> Tensor:
    return (mapped(narrow, head) - wide).square().sum() / wide.square().sum()


def naive_grams(narrow: Tensor, wide: Tensor, head: Tensor) -> Tensor:
    target = naive_gram(wide)
    error = (naive_gram(mapped(narrow, head)) - target).square().sum((1, 2)) / target.square().sum((1, 2))
    return error.log1p().mean()


def through_features(narrow: Tensor, wide: Tensor, head: Tensor) -> Tensor:
    return agreement.feature_disagreement({LAYER: agreement.moments(narrow, wide)}, {LAYER: head}, {LAYER: 1.0})


def through_grams(narrow: Tensor, wide: Tensor, head: Tensor) -> Tensor:
    by_layer = {LAYER: agreement.moments(narrow, wide)}
    return agreement.gram_disagreement(by_layer, {LAYER: wide}, {LAYER: head}, {LAYER: 1.0})


@pytest.mark.parametrize(
    ("naive", "through"), [(naive_features, through_features), (naive_grams, through_grams)], ids=["features", "gram"]
)
def test_disagreement_through_moments_is_that_of_the_feature_maps(
    example: tuple[Tensor, Tensor, Tensor],
    naive: Callable[[Tensor, Tensor, Tensor], Tensor],
    through: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    expected, actual = naive(*example), through(*example)
    torch.testing.assert_close(actual, expected)
    narrow, _, head = example
    for one, other in zip(
        torch.autograd.grad(actual, [narrow, head]), torch.autograd.grad(expected, [narrow, head]), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_narrow_objective_is_that_of_the_mapped_features() -> None:
    generator = torch.Generator().manual_seed(1)
    layers = agreement.OBJECTIVE_LAYERS
    pictures, targets = (
        {layer: torch.rand((count, 4, 5, 6), generator=generator) for layer in layers} for count in (2, 4)
    )
    heads = {layer: torch.randn((7, 5), generator=generator) for layer in layers}
    weights = {layer: 0.5 + index for index, layer in enumerate(layers)}
    wide = ({layer: mapped(x, heads[layer]) for layer, x in features.items()} for features in (pictures, targets))
    torch.testing.assert_close(
        agreement.narrow_objective(pictures, targets, heads, weights),
        agreement.objective(*wide, weights),
        rtol=1e-4,
        atol=0,
    )


def test_an_estimate_recovers_the_map_that_made_the_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, head, made_by = (
        torch.randn(shape, generator=generator).double() for shape in ((4000, 9), (12, 4 + 1), (4, 9 + 1))
    )
    rows = torch.cat([inputs, torch.ones(4000, 1).double()], 1)
    targets = rows @ made_by.T @ head[:, :-1].T + head[:, -1]
    estimate = estimates.solve(rows.T @ rows, rows.T @ targets, head, shrinkage=1e-6)
    torch.testing.assert_close(estimate, made_by, atol=1e-4, rtol=0)
    kept = estimates.solve(rows.T @ rows, rows.T @ targets, head, shrinkage=1e6)
    torch.testing.assert_close(kept, torch.eye(4, 10).double(), atol=1e-4, rtol=0)  # the layer's own features


def test_pictures_are_found_in_folders_and_in_resource_files(tmp_path: Path) -> None:
    webp = b"RIFF" + (14).to_bytes(4, "little") + b"WEBPVP8 " + b"xxxxxx"
    (tmp_path / "some.rcc").write_bytes(b"qres" + webp + b"between" + webp)
    (tmp_path / "photo.jpg").write_bytes(b"jpeg")
    (tmp_path / "screenshot.png").write_bytes(b"png")
    (tmp_path / "notes.txt").write_bytes(b"text")
    assert [data for _, data in pictures_in(tmp_path)] == [b"jpeg", webp, webp]


def state_of(widths: list[int]) -> dict[str, Tensor]:
    """Random weights and heads of a narrow network."""
    generator = torch.Generator().manual_seed(0)
    state, before = {}, 3
    for layer, width in zip(networks.LAYERS, widths, strict=True):
        state[f"{layer}.weight"] = torch.randn((width, before, 3, 3), generator=generator) / before
        state[f"{layer}.bias"] = torch.randn(width, generator=generator) / 4
        state[f"{layer}.head"] = torch.randn((9, width + 1), generator=generator)
        before = width
    return state


def test_an_output_begins_as_the_head_less_what_was_below_zero() -> None:
    state, image = state_of([4] * 13), torch.rand(1, 3, 48, 32)
    head = Compact(state).full_head("relu5_1")
    before, after = (
        Compact(weights)(image, ["relu5_1"])["relu5_1"] for weights in (state, networks.with_output(state))
    )
    torch.testing.assert_close(after, mapped(before, head).relu())


@pytest.mark.parametrize("layer", ["relu2_1", "relu4_4"])
def test_narrowing_takes_out_what_other_channels_say_too(layer: str) -> None:
    state = state_of([6] * 13)
    for name in (f"{layer}.weight", f"{layer}.bias"):  # channels 3 to 5 repeat 0 to 2, larger
        state[name] = torch.cat([state[name][:3], torch.tensor([2.0, 3.0, 0.5]).view(3, *[1] * (state[name].ndim - 1))
                                 * state[name][:3]])  # fmt: skip
    state = networks.with_output(state)
    state["relu5_1.output"][:, 6:12] = 1.0
    image = torch.rand(1, 3, 48, 32)
    narrowed = narrow(state, {layer: 3}, [image])
    assert len(narrowed[f"{layer}.bias"]) == 3
    for weights in (state, narrowed):
        assert set(weights) == set(state)
    (wide, small), layers = (Compact(weights) for weights in (state, narrowed)), [layer, "relu5_1"]
    ours, theirs = small(image, layers), wide(image, layers)
    for name in layers:
        mapped_ours, mapped_theirs = (
            mapped(found[name], encoder.full_head(name)) for encoder, found in ((small, ours), (wide, theirs))
        )
        torch.testing.assert_close(mapped_ours, mapped_theirs, rtol=1e-3, atol=1e-2)
