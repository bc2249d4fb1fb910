"""The experiments: what they vary, and that options go before them."""

import pytest

from impasto.errors import UserError
from impasto.recipe import Recipe
from impasto.runs.presets import ALL, PRESETS, find_presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_experiment_is_painted_in_the_classical_way(name: str) -> None:
    preset = PRESETS[name]
    base = preset.base({})
    assert (base.look, base.levels) == ("classic", 1)
    variants = preset.variants(base)
    assert len({tuple(variant.values.items()) for variant in variants}) == len(variants) >= 2
    for variant in variants:
        base.replace(**variant.changes)


def test_options_that_are_given_go_before_an_experiments_own() -> None:
    assert PRESETS["tv"].base({"look": "bold", "height": 99}).look == "bold"


def test_the_weights_cover_six_decades_around_the_balanced_point() -> None:
    base = PRESETS["weights"].base({})
    weights = [variant.changes["content_weight"] for variant in PRESETS["weights"].variants(base)]
    assert Recipe().content_weight in weights
    assert max(weights) / min(weights) == pytest.approx(1e6)


def test_presets_are_found_by_name() -> None:
    assert len(find_presets(ALL)) == len(PRESETS)
    with pytest.raises(UserError, match=r"Unknown preset 'optimisers'\. Did you mean 'optimizers'\?"):
        find_presets("optimisers")
