"""What the compact encoder is trained by: its forms through moments are those of the feature maps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training import agreement, closed_form, estimates, visits
from training.gather import pictures_in

LAYER = "relu1_1"


@pytest.fixture
def example() -> tuple[Tensor, Tensor, Tensor]:
    """Narrow features, a teacher's, and a projection, in float64."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 5, 6, 7), (2, 9, 6, 7), (9, 6)
    narrow, wide, projection = (torch.randn(shape, generator=generator) for shape in shapes)
    return narrow.requires_grad_(), wide, projection.requires_grad_()


def mapped(features: Tensor, projection: Tensor) -> Tensor:
    return torch.einsum("kc,bchw->bkhw", projection[:, :-1], features) + projection[:, -1].view(1, -1, 1, 1)


def naive_gram(features: Tensor) -> Tensor:
    rows = features.flatten(2)
    return rows @ rows.mT / rows.shape[2]


def naive_features(narrow: Tensor, wide: Tensor, projection: Tensor) -> Tensor:
    return (mapped(narrow, projection) - wide).square().sum() / wide.square().sum()


def naive_grams(narrow: Tensor, wide: Tensor, projection: Tensor) -> Tensor:
    target = naive_gram(wide)
    error = (naive_gram(mapped(narrow, projection)) - target).square().sum((1, 2)) / target.square().sum((1, 2))
    return error.log1p().mean()


def through_features(narrow: Tensor, wide: Tensor, projection: Tensor) -> Tensor:
    return agreement.feature_disagreement({LAYER: agreement.moments(narrow, wide)}, {LAYER: projection}, {LAYER: 1.0})


def through_grams(narrow: Tensor, wide: Tensor, projection: Tensor) -> Tensor:
    by_layer = {LAYER: agreement.moments(narrow, wide)}
    return agreement.gram_disagreement(by_layer, {LAYER: wide}, {LAYER: projection}, {LAYER: 1.0})


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
    narrow, _, projection = example
    for one, other in zip(
        torch.autograd.grad(actual, [narrow, projection]),
        torch.autograd.grad(expected, [narrow, projection]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_narrow_objective_is_that_of_the_mapped_features() -> None:
    generator = torch.Generator().manual_seed(1)
    layers = agreement.OBJECTIVE_LAYERS
    pictures, targets = (
        {layer: torch.rand((count, 4, 5, 6), generator=generator) for layer in layers} for count in (2, 4)
    )
    projections = {layer: torch.randn((7, 5), generator=generator) for layer in layers}
    weights = {layer: 0.5 + index for index, layer in enumerate(layers)}
    wide = ({layer: mapped(x, projections[layer]) for layer, x in features.items()} for features in (pictures, targets))
    torch.testing.assert_close(
        agreement.narrow_objective(pictures, targets, projections, weights),
        agreement.objective(*wide, weights),
        rtol=1e-4,
        atol=0,
    )


def test_an_estimate_recovers_the_map_that_made_the_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, projection, made_by = (
        torch.randn(shape, generator=generator).double() for shape in ((4000, 9), (12, 4 + 1), (4, 9 + 1))
    )
    rows = torch.cat([inputs, torch.ones(4000, 1).double()], 1)
    targets = rows @ made_by.T @ projection[:, :-1].T + projection[:, -1]
    estimate = estimates.solve(rows.T @ rows, rows.T @ targets, projection, shrinkage=1e-6)
    torch.testing.assert_close(estimate, made_by, atol=1e-4, rtol=0)
    kept = estimates.solve(rows.T @ rows, rows.T @ targets, projection, shrinkage=1e6)
    torch.testing.assert_close(kept, torch.eye(4, 10).double(), atol=1e-4, rtol=0)  # the layer's own features


def test_pictures_are_found_in_folders_and_in_resource_files(tmp_path: Path) -> None:
    webp = b"RIFF" + (14).to_bytes(4, "little") + b"WEBPVP8 " + b"xxxxxx"
    (tmp_path / "some.rcc").write_bytes(b"qres" + webp + b"between" + webp)
    (tmp_path / "photo.jpg").write_bytes(b"jpeg")
    (tmp_path / "screenshot.png").write_bytes(b"png")
    (tmp_path / "notes.txt").write_bytes(b"text")
    assert [data for _, data in pictures_in(tmp_path)] == [b"jpeg", webp, webp]


def test_squeezing_loses_nothing_where_the_input_has_no_more_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((2000, 3), generator=generator) @ torch.randn((3, 8), generator=generator)
    weight = torch.randn((5, 8, 3, 3), generator=generator)
    squeeze, kernel = closed_form.squeezed_kernel(weight, inputs.T @ inputs, 3)
    assert squeeze.shape == (3, 8)
    assert kernel.shape == (5, 3, 3, 3)
    expected = torch.einsum("kcij,nc->nkij", weight, inputs)
    answers = torch.einsum("kaij,ac,nc->nkij", kernel, squeeze, inputs)
    torch.testing.assert_close(answers, expected, rtol=0.02, atol=0.05)


def test_a_solution_of_full_rank_answers_as_the_map_that_made_the_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randn((1, 3, 20, 20), generator=generator) for _ in range(4)]
    weight, bias = torch.randn((6, 3, 3, 3), generator=generator), torch.randn(6, generator=generator)
    targets = [torch.nn.functional.conv2d(x, weight, bias, padding=1)[0].flatten(1).T for x in pictures]
    rows = torch.cat([closed_form.sampled_rows(index, x) for index, x in enumerate(pictures)]).double()
    solve = partial(closed_form.solve_one_sided, pictures, targets, rows.T @ rows, 1e-6)
    solution, _ = solve(rank=6)
    torch.testing.assert_close(solution, torch.cat([weight.flatten(1), bias[:, None]], 1), rtol=0, atol=1e-3)
    reduced, basis = solve(rank=2)
    assert torch.linalg.matrix_rank(reduced[:, :-1], rtol=1e-4) == 2
    torch.testing.assert_close(basis @ basis.T @ reduced[:, :-1], reduced[:, :-1], rtol=0, atol=1e-3)


def test_visits_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [visits.Visit(*torch.rand(3, 3, 8, 8).half()) for _ in range(2)]
    visits.save(written, tmp_path / "new" / "visits.pt")
    for read, visit in zip(visits.load(tmp_path / "new" / "visits.pt"), written, strict=True):
        assert all(map(torch.equal, read, visit))
