"""Nearest-neighbor features: the grid, the search, the distance."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from impasto.losses.neighbors import CosineSums, cells_of, grid_of, nearest, on_grid, principal_basis


def columns(seed: int, count: int, channels: int = 7) -> torch.Tensor:
    return torch.randn((count, channels), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("counts", [(1, 1), (50, 30), (530, 2060)], ids="{0[0]}x{0[1]}".format)
def test_each_query_finds_the_key_of_the_largest_centered_cosine(counts: tuple[int, int]) -> None:
    queries, keys = columns(1, counts[0]), columns(2, counts[1])
    wanted = F.cosine_similarity(
        (queries - queries.mean(0))[:, None], (keys - keys.mean(0))[None], dim=2
    ).argmax(1)  # fmt: skip
    assert torch.equal(nearest(queries, keys), wanted)


def test_a_large_search_in_few_components_finds_what_an_exact_one_finds_where_they_hold_everything() -> None:
    mixed = columns(5, 60, 300)
    queries, keys = columns(1, 400, 60) @ mixed, columns(2, 500, 60) @ mixed
    exact = F.normalize(queries - queries.mean(0), dim=1) @ F.normalize(keys - keys.mean(0), dim=1).mT
    found = exact.gather(1, nearest(queries, keys)[:, None])[:, 0]
    torch.testing.assert_close(found, exact.amax(1))


def test_the_basis_of_the_search_is_orthonormal_and_always_the_same() -> None:
    sample = columns(4, 500, 40)
    basis = principal_basis(sample, 8)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(8))
    torch.rand(3)
    assert torch.equal(principal_basis(sample, 8), basis)


def test_a_picture_finds_itself() -> None:
    keys = columns(3, 40)
    assert torch.equal(nearest(keys, keys), torch.arange(40))


def test_matches_do_not_depend_on_brightness_and_contrast_of_all_features() -> None:
    queries, keys = columns(1, 50), columns(2, 30)
    assert torch.equal(nearest(3 * queries + 5, 0.2 * keys - 1), nearest(queries, keys))


def test_flat_features_match_something() -> None:
    assert nearest(torch.ones(4, 3), torch.ones(2, 3)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("size", "grid"), [((64, 96), (16, 24)), ((65, 99), (16, 24)), ((3, 1), (1, 1))])
def test_the_grid_has_a_quarter_of_the_edges(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert grid_of(size) == grid


def test_fine_features_are_averaged_and_coarse_ones_interpolated() -> None:
    fine = torch.arange(64.0).view(1, 1, 8, 8)
    torch.testing.assert_close(on_grid(fine, (2, 2)), F.avg_pool2d(fine, 4))
    assert on_grid(fine, (2, 2)).mean() == fine.mean()
    assert on_grid(torch.ones(1, 2, 3, 3), (5, 6)).shape == (1, 2, 5, 6)
    assert on_grid(torch.ones(1, 2, 9, 7), (2, 2)).shape == (1, 2, 2, 2)
    assert on_grid(fine.bfloat16(), (8, 8)).dtype == torch.float32


def test_the_quarters_of_a_place_are_channels_of_their_own() -> None:
    fine = torch.arange(64.0).view(1, 1, 8, 8)
    parts = on_grid(fine, (2, 2), cells=2)
    assert parts.shape == (1, 4, 2, 2)
    quarters = F.avg_pool2d(fine, 2)
    torch.testing.assert_close(parts[0, :, 0, 0], quarters[0, 0, :2, :2].flatten())
    torch.testing.assert_close(parts.mean(1, keepdim=True), on_grid(fine, (2, 2)))


def test_only_layers_that_are_fine_enough_have_quarters() -> None:
    assert [cells_of(stride) for stride in (1, 2, 4, 8)] == [2, 2, 1, 1]


def test_sums_over_layers_give_the_cosine_distance_of_whole_hypercolumns() -> None:
    generator = torch.Generator().manual_seed(4)
    parts = [torch.randn((1, channels, 3, 5), generator=generator) for channels in (2, 4)]
    targets = [torch.randn((1, channels, 3, 5), generator=generator) for channels in (2, 4)]
    whole, target = torch.cat(parts, 1), torch.cat(targets, 1)
    sums = CosineSums()
    for pair in zip(parts, targets, strict=True):
        sums.add(*pair)
    weights = torch.rand((1, 3, 5), generator=generator)
    weights /= weights.sum()
    expected = (weights * (1 - F.cosine_similarity(whole, target, dim=1))).sum()
    torch.testing.assert_close(sums.distance(target.norm(dim=1), weights), expected)


def test_the_distance_is_zero_at_the_target_and_has_a_finite_gradient_at_nothing() -> None:
    target = torch.rand(1, 3, 2, 2)
    weights = torch.full((1, 2, 2), 0.25)
    sums = CosineSums()
    sums.add(2.5 * target, target)
    assert sums.distance(target.norm(dim=1), weights).item() == pytest.approx(0, abs=1e-4)
    features = torch.zeros(1, 3, 2, 2, requires_grad=True)
    sums = CosineSums()
    sums.add(features, target)
    sums.distance(target.norm(dim=1), weights).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
