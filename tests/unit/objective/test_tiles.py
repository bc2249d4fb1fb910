"""Tiles against the whole: spans and windows, objective and gradient."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.encoders.base import Encoder
from impasto.encoders.compact import load_compact
from impasto.encoders.custom.config import ModelConfig
from impasto.encoders.custom.encoder import CustomEncoder
from impasto.encoders.custom.hooks import ModuleHooks
from impasto.encoders.custom.loading import Loaded
from impasto.encoders.vgg import build_vgg
from impasto.losses.neighbors import Matching
from impasto.objective.masks import Style
from impasto.objective.objective import Evaluation, Objective
from impasto.objective.tiles import Canvas
from impasto.objective.view import geometry
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder

SIZE = (100, 139)

ROUNDED = {"histogram": 1e-3, "sliced": 1e-3, "neighbors": 2e-2}
"""Tolerance where a value whose last bits differ may fall into the next bin, or one of a thousand places be matched
with another of two candidates that are equally near."""


def picture(seed: int, size: tuple[int, int] = SIZE) -> Tensor:
    """Smooth forms under grain."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 7, 9), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return (smooth + 0.1 * torch.randn((1, 3, *size), generator=generator)).clamp(0, 1)


def mask(seed: int, size: tuple[int, int] = SIZE) -> Tensor:
    return (picture(seed, size).mean(1, keepdim=True) * 3 - 1).clamp(0, 1)


def evaluations(
    encoder: Encoder,
    *styles: Style | Tensor,
    edges: tuple[int, ...] = (64, 72, 96),
    size: tuple[int, int] = SIZE,
    **values: Any,
) -> list[tuple[Objective, Evaluation]]:
    """The objective at one picture: whole, and in tiles of some edges."""
    options = {name: values.pop(name) for name in ("lock_mask", "visible", "matching") if name in values}
    recipe = Recipe(**{"look": "classic", **values})
    image = picture(5, size)
    found = []
    for edge in (None, *edges):
        objective = Objective(
            encoder, picture(0, size), styles or (picture(1, (72, 100)),), recipe.replace(tile_edge=edge),
            begin=picture(6, size), **options,
        )  # fmt: skip
        found.append((objective, objective.evaluate(image)))
    return found


def assert_alike(found: list[tuple[Objective, Evaluation]], tolerance: float = 1e-4) -> None:
    (_, whole), *tiled = found
    assert tiled
    for objective, evaluation in tiled:
        assert objective.num_tiles > 1
        torch.testing.assert_close(evaluation.parts, whole.parts, rtol=tolerance, atol=0)
        torch.testing.assert_close(evaluation.total, whole.total, rtol=tolerance, atol=0)
        one, other = evaluation.gradient.flatten(), whole.gradient.flatten()
        assert (one - other).norm() / other.norm() < tolerance
        assert torch.cosine_similarity(one, other, dim=0) > 1 - max(1e-4, tolerance**2)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("style_loss", ["gram", "moments"])
def test_tiles_give_the_objective_and_the_gradient_of_the_whole(style_loss: str, padding: str, pooling: str) -> None:
    assert_alike(evaluations(TinyEncoder(padding=padding, pooling=pooling), style_loss=style_loss, padding=padding))


@pytest.mark.parametrize("style_loss", ["gram", "moments", "histogram", "sliced"])
def test_tiles_see_the_same_with_the_bundled_network(style_loss: str) -> None:
    assert_alike(evaluations(load_compact(), style_loss=style_loss, edges=(64,)), ROUNDED.get(style_loss, 1e-4))


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_tiles_see_the_same_with_a_deep_network(name: str) -> None:
    torch.manual_seed(0)
    assert_alike(evaluations(build_vgg(name), edges=(96,)))


CUSTOM_SIZE = (131, 160)


def custom() -> CustomEncoder:
    """A network that pads little, and whose pooling reaches past the edge."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
    )  # fmt: skip
    return CustomEncoder("mine", Loaded(ModuleHooks(network), ModelConfig()))


@pytest.mark.parametrize("style_loss", ["gram", "moments", "histogram", "neighbors"])
def test_tiles_see_the_same_with_a_custom_network(style_loss: str) -> None:
    look = "neighbors" if style_loss == "neighbors" else "classic"
    styles = Style(picture(1, (72, 100)), 2.0, mask(3, CUSTOM_SIZE), mask(4, (72, 100))), Style(picture(2, (70, 90)))
    found = evaluations(
        custom(), *styles, style_loss=style_loss, look=look, size=CUSTOM_SIZE, visible=mask(9, CUSTOM_SIZE)
    )
    assert_alike(found, ROUNDED.get(style_loss, 1e-4))


@pytest.mark.parametrize("size", [(65, 97), (67, 200)])
def test_odd_sizes_leave_nothing_out_and_count_nothing_twice(size: tuple[int, int]) -> None:
    assert_alike(evaluations(TinyEncoder(), size=size, edges=(64,)))


@pytest.mark.parametrize("style_loss", ["gram", "sliced", "neighbors"])
def test_tiles_of_a_tileable_picture_see_past_its_border(style_loss: str) -> None:
    encoder = TinyEncoder(padding="circular")
    look = "neighbors" if style_loss == "neighbors" else "classic"
    found = evaluations(
        encoder,
        picture(1, (72, 100)),
        size=(96, 144),
        tileable=True,
        style_loss=style_loss,
        look=look,
        edges=(64, 80),
    )
    assert_alike(found, ROUNDED.get(style_loss, 1e-4))


@pytest.mark.parametrize("style_loss", ["gram", "histogram", "neighbors"])
def test_masks_several_styles_locks_and_transparency_are_the_same_in_tiles(style_loss: str) -> None:
    look = "neighbors" if style_loss == "neighbors" else "classic"
    styles = (
        Style(picture(1, (72, 100)), 2.0, mask(3), mask(4, (72, 100))),
        Style(picture(2, (70, 90)), 1.0),
        Style(picture(7, (66, 80)), 1.0),
    )
    locked = {"lock_mask": mask(8), "visible": mask(9)}
    found = evaluations(TinyEncoder(), *styles, style_loss=style_loss, look=look, **locked)
    assert_alike(found, ROUNDED.get(style_loss, 1e-4))


@pytest.mark.parametrize("matching", list(Matching))
@pytest.mark.parametrize("size", [(100, 139), (96, 128)])
def test_nearest_neighbors_are_the_same_in_tiles(matching: Matching, size: tuple[int, int]) -> None:
    encoder = TinyEncoder()
    assert_alike(evaluations(encoder, look="neighbors", matching=matching, size=size), ROUNDED["neighbors"])


def test_nearest_neighbors_of_coarse_layers_are_the_same_in_tiles() -> None:
    assert_alike(evaluations(load_compact(), look="neighbors", edges=(64,)), ROUNDED["neighbors"])


@pytest.mark.parametrize("look", ["classic", "neighbors"])
def test_targets_that_are_not_kept_are_the_same_when_they_are_made_anew(look: str) -> None:
    encoder = TinyEncoder()
    kept, anew, half = (
        evaluations(encoder, look=look, kept_targets=keeps, edges=(64,))[1][1]
        for keeps in ("float32", "none", "float16")
    )
    assert kept.gradient.equal(anew.gradient)
    assert kept.total.equal(anew.total)
    torch.testing.assert_close(half.total, kept.total, rtol=2e-3, atol=0)
    assert not half.gradient.equal(kept.gradient)


def test_a_terms_share_of_the_gradient_is_the_same_in_tiles() -> None:
    (whole, at_whole), (tiled, _) = evaluations(TinyEncoder(), edges=(64,))
    shares = [objective.gradient_share(picture(5), at_whole.gradient) for objective in (whole, tiled)]
    assert shares[1] == pytest.approx(shares[0], rel=1e-3)


def test_the_parts_and_distances_are_the_same_in_tiles() -> None:
    (whole, _), (tiled, _) = evaluations(TinyEncoder(), edges=(64,))
    torch.testing.assert_close(tiled.parts(picture(5)), whole.parts(picture(5)), rtol=1e-4, atol=0)
    assert tiled.distances(picture(5)) == pytest.approx(whole.distances(picture(5)), rel=1e-4)


def test_half_precision_is_near_in_tiles() -> None:
    (_, whole), (_, tiled) = evaluations(TinyEncoder().bfloat16(), edges=(64,))
    torch.testing.assert_close(tiled.total, whole.total, rtol=5e-2, atol=0)


@pytest.mark.parametrize("margin", [0, 8])
@pytest.mark.parametrize("wraps", [False, True])
def test_what_tiles_add_is_the_transpose_of_what_they_cut(margin: int, wraps: bool) -> None:
    canvas = Canvas((96, 128), margin, wraps=wraps)
    image = picture(0, (96, 128)).double().requires_grad_()
    tiles = canvas.tiles(32, 8, 24)
    assert len(tiles) == 12 if not margin or wraps else len(tiles) > 12
    for seed, tile in enumerate(tiles):
        window = canvas.cut(image, tile)
        part = torch.randn(window.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        (expected,) = torch.autograd.grad(window, image, part)
        whole = torch.zeros_like(image)
        canvas.add(whole, part, tile)
        torch.testing.assert_close(whole, expected)


def test_tiles_lie_side_by_side_and_their_edges_are_aligned() -> None:
    for total in range(64, 400, 7):
        spans, _ = Canvas((total, 64)).spans(64, 16, 48)
        assert spans[0].start == 0
        assert spans[-1].stop == total
        assert all(one.stop == other.start for one, other in itertools.pairwise(spans))
        assert all(span.start % 16 == 0 for span in spans)
        assert all(span.window <= 64 + 2 * 48 + 16 for span in spans)


def test_windows_have_the_same_length_but_the_last() -> None:
    spans, _ = Canvas((3266, 64)).spans(768, 16, 80)
    *windows, last = [span.window for span in spans]
    assert len(set(windows)) == 1
    assert windows[0] - 5 * 16 < last <= windows[0]


def test_no_seam_lies_between_tiles() -> None:
    """The gradients of whole and tiles differ at the borders of tiles no more than elsewhere."""
    (_, whole), (objective, tiled) = evaluations(TinyEncoder(), edges=(64,))
    difference = (whole.gradient - tiled.gradient).abs().amax(1)[0]
    at_borders = torch.zeros_like(difference, dtype=torch.bool)
    rows, columns = Canvas(SIZE).spans(64, *geometry(TinyEncoder(), objective.layers))
    for span in rows[1:]:
        at_borders[span.start - 1 : span.start + 1] = True
    for span in columns[1:]:
        at_borders[:, span.start - 1 : span.start + 1] = True
    assert objective.num_tiles > 1
    assert difference[at_borders].quantile(0.95) <= 2 * difference[~at_borders].quantile(0.95) + 1e-12
