"""The schedule: sizes and iterations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.engine.pyramid import Level, build_pyramid, rebudget
from impasto.losses.neighbors import Matching
from impasto.recipe import Finish, Recipe


def test_a_single_level_is_the_classic_run() -> None:
    (level,) = build_pyramid((400, 600), Recipe(look="classic", levels=1))
    assert level.size == (400, 600)
    assert level.iterations == Recipe(look="classic").num_iterations


def test_levels_double_up_to_the_output() -> None:
    sizes = [level.size for level in build_pyramid((800, 1200), Recipe(look="classic", levels=3))]
    assert sizes == [(200, 300), (400, 600), (800, 1200)]


def test_auto_stops_adding_levels_at_the_smallest_size() -> None:
    smallest = build_pyramid((1000, 1500), Recipe(look="classic", min_size=128))[0].size
    assert 128 <= min(smallest) < 256


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    total=st.integers(0, 50),
    levels=st.one_of(st.just("auto"), st.integers(1, 16)),
)
def test_budgets_add_up_and_no_level_is_idle(height: int, width: int, total: int, levels: str | int) -> None:
    pyramid = build_pyramid((height, width), Recipe(look="classic", levels=levels, total_iterations=total))
    assert sum(level.iterations for level in pyramid) == total
    assert pyramid[-1].size == (height, width)
    assert total == 0 or all(level.iterations >= 1 for level in pyramid)
    areas = [level.size[0] * level.size[1] for level in pyramid]
    assert areas == sorted(areas)


def test_adam_has_a_larger_budget_by_default() -> None:
    assert (
        Recipe(look="classic", optimizer="adam").num_iterations
        > Recipe(look="classic", optimizer="lbfgs").num_iterations
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (17, 3)])
def test_tiny_pictures_have_a_pyramid_too(size: tuple[int, int]) -> None:
    assert build_pyramid(size, Recipe(look="classic", levels=16, total_iterations=100))[-1].size == size


def test_a_finish_is_one_more_level_of_full_size_within_the_budget() -> None:
    pyramid = build_pyramid(
        (320, 480), Recipe(look="classic", model="compact", levels=2, total_iterations=50, finish="vgg19:8")
    )
    assert pyramid == [
        Level((160, 240), 21),
        Level((320, 480), 14),
        Level((320, 480), 7, is_corrected=True),
        Level((320, 480), 8, is_finish=True),
    ]


def test_only_the_encoder_that_is_imitated_corrects() -> None:
    pyramid = build_pyramid(
        (320, 480), Recipe(look="classic", model="vgg16", levels=2, total_iterations=50, finish="vgg19:8")
    )
    assert [level.iterations for level in pyramid] == [21, 21, 8]


def test_a_finish_longer_than_the_budget_takes_all_of_it() -> None:
    pyramid = build_pyramid((320, 480), Recipe(look="classic", total_iterations=5, levels=3, finish="vgg19:8"))
    assert sum(level.iterations for level in pyramid) == 5
    assert pyramid[-1].is_finish


def test_a_finish_that_ends_by_itself_is_shorter_at_large_sizes_as_all_levels_are() -> None:
    recipe = Recipe(look="classic", accelerate="auto", model="vgg19").accelerated()
    small, large, vast = (
        build_pyramid(size, recipe)[-1].iterations for size in [(512, 512), (2048, 2048), (8192, 8192)]
    )
    assert small == 150
    assert large == small // 4
    assert vast == Finish.iterations


def test_a_finish_that_is_named_with_a_budget_is_kept_at_any_size() -> None:
    recipe = Recipe(look="classic", model="compact", total_iterations=300, finish="vgg19:100")
    assert build_pyramid((2048, 2048), recipe)[-1].iterations == 100


@given(spent=st.integers(0, 60), total=st.integers(0, 200), finish=st.sampled_from([None, "vgg19:8"]))
def test_a_changed_budget_is_kept_and_nothing_spent_is_lost(spent: int, total: int, finish: str | None) -> None:
    planned = build_pyramid((400, 400), Recipe(look="classic", levels=3, total_iterations=60, finish=finish))
    used: list[int] = []
    for level in planned:
        used.append(min(level.iterations, spent - sum(used)))
        if used[-1] < level.iterations:
            break
    changed = rebudget(planned, used, total)
    assert sum(level.iterations for level in changed) == max(total, sum(used))
    assert [level.size for level in changed] == [level.size for level in planned]
    for level, before in zip(changed, used[:-1], strict=False):
        assert level.iterations == before


def test_nearest_neighbors_are_found_anew_at_each_level_and_twice_more_by_layer() -> None:
    pyramid = build_pyramid((160, 240), Recipe(look="neighbors", min_size=40, total_iterations=80))
    content, joint, by_layer = Matching.OF_CONTENT, Matching.JOINT, Matching.BY_LAYER
    assert [(level.size[0], level.matching) for level in pyramid] == [
        (40, content), (80, joint), (80, joint), (160, joint), (160, joint), (160, by_layer), (160, by_layer),
    ]  # fmt: skip
    assert [level.iterations for level in pyramid] == [20, 10, 10, 10, 10, 10, 10]
    assert [level.keeps_begin for level in pyramid] == [False] + [True] * 6


def test_a_finish_of_nearest_neighbors_matches_by_layer_and_corrects_nothing() -> None:
    recipe = Recipe(look="neighbors", model="compact", levels=1, total_iterations=30, finish="vgg19:6")
    assert build_pyramid((64, 64), recipe) == [
        Level((64, 64), 12, matching=Matching.OF_CONTENT),
        Level((64, 64), 6, matching=Matching.BY_LAYER),
        Level((64, 64), 6, matching=Matching.BY_LAYER),
        Level((64, 64), 6, is_finish=True, matching=Matching.BY_LAYER),
    ]


@given(total=st.integers(0, 40), levels=st.integers(1, 6), finish=st.sampled_from([None, "vgg19:3"]))
def test_budgets_of_nearest_neighbors_add_up(total: int, levels: int, finish: str | None) -> None:
    recipe = Recipe(look="neighbors", model="compact", levels=levels, total_iterations=total, finish=finish)
    pyramid = build_pyramid((200, 100), recipe)
    assert sum(level.iterations for level in pyramid) == total
    assert pyramid[-1].size == (200, 100)
    assert total == 0 or all(level.iterations for level in pyramid)
    assert pyramid[0].matching is Matching.OF_CONTENT or pyramid[0].is_finish


@pytest.mark.parametrize("level", [Level((3, 5), 7, is_finish=True), Level((3, 5), 7, matching=Matching.JOINT)])
def test_a_level_survives_a_checkpoint(level: Level) -> None:
    assert Level.from_list(level.as_list()) == level


def test_large_levels_get_a_budget_in_proportion_to_one_over_their_size() -> None:
    pyramid = build_pyramid((3266, 4899), Recipe(look="classic", total_iterations=1000))
    small, four, sixteen = pyramid[0].iterations, pyramid[-2].iterations, pyramid[-1].iterations
    assert {level.iterations for level in pyramid[:-3]} == {small}
    assert four == pytest.approx(small * 2**20 / 4e6, rel=0.1)
    assert sixteen == pytest.approx(small * 2**20 / 16e6, rel=0.1)


@given(total=st.integers(0, 60), edge=st.integers(900, 12_000), look=st.sampled_from(["classic", "neighbors"]))
def test_budgets_of_large_pictures_add_up(total: int, edge: int, look: str) -> None:
    pyramid = build_pyramid((edge, edge), Recipe(look=look, total_iterations=total))
    assert sum(level.iterations for level in pyramid) == total
    assert pyramid[-1].size == (edge, edge)
    assert total == 0 or all(level.iterations for level in pyramid)
