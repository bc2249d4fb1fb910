"""The style term of nearest-neighbor features: matches, masks, several styles."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.encoders.compact import load_compact
from impasto.images.load import load_picture
from impasto.images.resizing import resize
from impasto.losses.neighbors import SEARCH_CHANNELS, Matching, Search
from impasto.objective.masks import Style
from impasto.objective.neighbor_term import NeighborTerm, content_share
from impasto.objective.objective import Objective
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder

SIZE = (48, 64)


def picture(seed: int, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def bundled(name: str) -> Tensor:
    return resize(load_picture(Path(str(files("impasto.examples"))) / name).pixels, (128, 192))


def objective(encoder: TinyEncoder, content: Tensor, *styles: Style | Tensor, **values: Any) -> Objective:
    options = {name: values.pop(name) for name in ("begin", "matching", "visible") if name in values}
    recipe = Recipe(**{"look": "neighbors", "content_weight": 0, "tv_weight": 0, "texture": 0, **values})
    return Objective(encoder, content, styles, recipe, **options)


def style_distance(of: Objective, image: Tensor) -> float:
    return of.distances(image)["style"]


@pytest.mark.parametrize("matching", list(Matching))
def test_a_picture_in_its_own_style_is_at_no_distance(tiny_encoder: TinyEncoder, matching: Matching) -> None:
    image = picture(1)
    of = objective(tiny_encoder, image, image, matching=matching)
    inside = style_distance(of, image)
    assert inside < style_distance(of, picture(2)) / 20


def test_the_gradient_is_that_of_the_value(tiny_encoder: TinyEncoder) -> None:
    of = objective(tiny_encoder.double(), picture(0).double(), picture(1).double())
    image, step = picture(2).double(), 1e-6 * picture(3).double()
    slope = (of.evaluate(image).gradient * step).sum().item()
    rise = (of.evaluate(image + step).total - of.evaluate(image - step).total).item() / 2
    assert slope == pytest.approx(rise, rel=1e-4)


def test_matches_of_the_content_do_not_hang_on_the_picture_that_is_painted_on(tiny_encoder: TinyEncoder) -> None:
    content, style, image = picture(0), picture(1), picture(5)
    first, second = (
        objective(tiny_encoder, content, style, begin=picture(seed), matching=Matching.OF_CONTENT) for seed in (2, 3)
    )
    assert style_distance(first, image) == style_distance(second, image)
    joint = [objective(tiny_encoder, content, style, begin=picture(seed), strength=100) for seed in (2, 3)]
    assert style_distance(joint[0], image) != style_distance(joint[1], image)


def test_what_the_style_mask_leaves_out_is_never_matched(tiny_encoder: TinyEncoder) -> None:
    wanted, other = picture(1), picture(2)
    style = torch.cat([wanted, other], dim=3)
    mask = torch.cat([torch.ones(1, 1, *SIZE), torch.zeros(1, 1, *SIZE)], dim=3)
    of = objective(tiny_encoder, other, Style(style, style_mask=mask))
    unmasked = objective(tiny_encoder, other, Style(style))
    assert style_distance(unmasked, other) < style_distance(of, other)


def test_a_styles_region_alone_feels_it(tiny_encoder: TinyEncoder) -> None:
    left = torch.zeros(1, 1, *SIZE)
    left[..., :24] = 1
    styles = [Style(picture(1), content_mask=left), Style(picture(2), content_mask=1 - left)]
    of = objective(tiny_encoder, picture(0), styles[0])
    gradient = of.evaluate(picture(3)).gradient
    assert gradient[..., :16].abs().max() > 0
    assert gradient[..., 56:].abs().max() == 0
    assert style_distance(objective(tiny_encoder, picture(0), *styles), picture(3)) > 0


def test_transparent_parts_do_not_drive_it(tiny_encoder: TinyEncoder) -> None:
    visible = torch.ones(1, 1, *SIZE)
    visible[..., 32:] = 0
    gradient = objective(tiny_encoder, picture(0), picture(1), visible=visible).evaluate(picture(3)).gradient
    assert gradient[..., 56:].abs().max() == 0


def test_a_turned_style_is_found_where_rotations_are_allowed(tiny_encoder: TinyEncoder) -> None:
    content = picture(1, (48, 48))
    turned = content.rot90(1, (2, 3))
    with_rotations, without = (
        style_distance(objective(tiny_encoder, content, turned, style_rotations=choice), content)
        for choice in (True, False)
    )
    assert with_rotations < without / 5


def test_the_weight_of_a_layer_is_its_share_of_a_hypercolumn(tiny_encoder: TinyEncoder) -> None:
    first, second = list(tiny_encoder.style_layers)[:2]
    content, style, image = picture(0), picture(1), picture(2)
    alone = style_distance(objective(tiny_encoder, content, style, style_layers={first: 1}), image)
    heavy = style_distance(objective(tiny_encoder, content, style, style_layers={first: 1e6, second: 1}), image)
    assert heavy == pytest.approx(alone, rel=1e-2)


def test_the_share_of_the_content_in_the_queries_falls_along_the_dial() -> None:
    shares = [content_share(strength) for strength in range(0, 101, 10)]
    assert shares[0] == 1
    assert shares[5] == 0.75
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 17)])
def test_pictures_of_any_size_have_neighbors(tiny_encoder: TinyEncoder, size: tuple[int, int]) -> None:
    of = objective(tiny_encoder, picture(0, size), picture(1, (5, 3)))
    evaluation = of.evaluate(picture(2, size))
    assert evaluation.total.isfinite()
    assert evaluation.gradient.isfinite().all()


def test_it_is_a_term_named_style_of_the_recipes_layers(tiny_encoder: TinyEncoder) -> None:
    (term,) = objective(tiny_encoder, picture(0), picture(1)).terms
    assert isinstance(term, NeighborTerm)
    assert term.name == "style"
    assert term.layers.keys() == tiny_encoder.hypercolumn_layers.keys()


@pytest.mark.parametrize("values", [{"style_weight": 0, "tv_weight": 1}, {"style_layers": {"relu1_1": 0}}])
def test_without_a_layer_there_is_nothing_to_match(tiny_encoder: TinyEncoder, values: dict[str, Any]) -> None:
    recipe = Recipe(look="neighbors", **values)
    of = Objective(tiny_encoder, picture(0), [picture(1)], recipe)
    assert of.distances(picture(2))["style"] == 0
    assert of.evaluate(picture(2)).total.isfinite()


def test_texture_adds_the_gram_distance_of_fine_layers(tiny_encoder: TinyEncoder) -> None:
    image, pictures = picture(2), (picture(0), picture(1))
    without, once, twice = (objective(tiny_encoder, *pictures, texture=share) for share in (0, 1, 2))
    values = [of.evaluate(image).total.item() for of in (without, once, twice)]
    assert values[0] < values[1] < values[2]
    assert values[2] - values[1] == pytest.approx(values[1] - values[0], rel=1e-4)
    assert style_distance(without, image) == pytest.approx(style_distance(twice, image))


def test_the_border_of_the_picture_feels_it_too(tiny_encoder: TinyEncoder) -> None:
    gradient = objective(tiny_encoder, picture(0), picture(1)).evaluate(picture(2)).gradient.abs().mean(1)[0]
    border = torch.cat([gradient[0], gradient[-1], gradient[:, 0], gradient[:, -1]])
    assert border.mean() > gradient.mean() / 5


def test_a_search_in_few_components_keeps_99_percent_of_the_similarity(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, painting = (bundled(name) for name in ("content/chelsea.jpg", "style/munch.jpg"))
    similarities: list[tuple[Tensor, Tensor]] = []
    given: list[Tensor] = []

    class Compared(Search):
        def nearest(self, queries: Tensor, mean: Tensor) -> Tensor:
            found = super().nearest(queries, mean)
            assert queries.shape[1] > 2 * SEARCH_CHANNELS  # so it is a search in few components
            exact = F.normalize(queries - mean, dim=1) @ F.normalize(given[-1] - given[-1].mean(0), dim=1).mT
            similarities.append((exact.gather(1, found[:, None]).mean(), exact.amax(1).mean()))
            return found

    def search(keys: Tensor, num_queries: int) -> Search:
        given.append(keys)
        return Compared(keys, num_queries)

    monkeypatch.setattr("impasto.objective.neighbor_term.Search", search)
    objective(load_compact(), photo, painting, matching=Matching.OF_CONTENT)
    ((found, exact),) = similarities
    assert 0.99 * exact < found <= exact
