"""The loop: events, control, stopping."""

import math
import threading
from collections.abc import Callable

import pytest
import torch

from impasto.engine import Control, Engine, PlainProblem, Progress
from impasto.engine.pyramid import Level, build_pyramid
from impasto.errors import RecipeError
from impasto.images import resample, resize
from impasto.objective.objective import Objective
from impasto.objective.weighting import TERMS
from impasto.pipeline.level_images import noise
from impasto.recipe import Recipe, StopReason
from tests.tiny import TinyEncoder

SIZE = (32, 48)
Enlarge = Callable[[torch.Tensor, tuple[int, int]], torch.Tensor]


def build(recipe: Recipe, control: Control | None = None, enlarge: Enlarge = resample) -> Engine:
    encoder = TinyEncoder()
    content, style = (torch.rand((1, 3, *SIZE), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))

    def objective_at(level: Level, now: Recipe, _: torch.Tensor) -> Objective:
        return Objective(encoder, resize(content, level.size), [resize(style, level.size)], now)

    class Problem(PlainProblem):
        def enlarge(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
            return enlarge(image, size)

    return Engine(build_pyramid(SIZE, recipe), Problem(content, objective_at), recipe, control)


def run(engine: Engine, on_progress: Callable[[Progress], None] = lambda _: None) -> list[Progress]:
    events = []
    for progress in engine.run():
        on_progress(progress)
        events.append(progress)
    return events


def test_every_iteration_is_one_event_after_the_start() -> None:
    engine = build(Recipe(look="classic", total_iterations=7, levels=1))
    events = run(engine)
    assert [event.iteration for event in events] == list(range(8))
    assert engine.iteration == 7
    assert engine.stop_reason is StopReason.BUDGET


def test_an_iteration_is_one_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    evaluate = Objective.evaluate
    monkeypatch.setattr(Objective, "evaluate", lambda self, image: calls.append(1) or evaluate(self, image))
    for optimizer in ("lbfgs", "adam"):
        calls.clear()
        run(build(Recipe(look="classic", total_iterations=9, levels=2, optimizer=optimizer)))
        assert len(calls) == 9


def test_losses_carry_the_total_and_its_parts() -> None:
    events = run(build(Recipe(look="classic", total_iterations=3, levels=1)))
    assert events[0].losses == {}
    for event in events[1:]:
        assert list(event.losses) == ["total", *TERMS]
        assert event.losses["total"] == pytest.approx(sum(event.losses[term] for term in TERMS), rel=1e-5)


def test_levels_come_in_order_and_end_at_the_output_size() -> None:
    events = run(build(Recipe(look="classic", total_iterations=9, levels=3)))
    assert [event.level for event in events[1:]] == [1] * 3 + [2] * 3 + [3] * 3
    assert events[1].size == (8, 12)
    assert events[-1].size == SIZE
    assert events[-1].image().shape == (1, 3, *SIZE)


def test_the_objective_falls_on_each_level() -> None:
    events = run(build(Recipe(look="classic", total_iterations=60, levels=2)))
    for level in (1, 2):
        totals = [event.losses["total"] for event in events[1:] if event.level == level]
        assert min(totals) < totals[0]


def test_best_is_the_lowest_objective_of_the_level() -> None:
    events = run(build(Recipe(look="classic", total_iterations=20, levels=1, optimizer="adam", learning_rate=30)))
    totals = [event.losses["total"] for event in events[1:]]
    assert [event.best for event in events[1:]] == [min(totals[: k + 1]) for k in range(20)]


def test_stopping_keeps_the_best_picture_at_full_size() -> None:
    control = Control()
    engine = build(Recipe(look="classic", total_iterations=40, levels=2), control)
    run(engine, lambda event: control.stop() if event.iteration == 5 else None)
    assert engine.iteration == 5
    assert engine.image.shape == (1, 3, *SIZE)
    assert engine.stop_reason is StopReason.STOPPED


@pytest.mark.parametrize("stop_at", [5, 21])
def test_a_picture_changes_its_size_as_it_is_told_to(stop_at: int) -> None:
    sizes = []

    def enlarge(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        sizes.append((tuple(image.shape[-2:]), size))
        return torch.full((1, 3, *size), 2.0)

    control = Control()
    engine = build(Recipe(look="classic", total_iterations=40, levels=2), control, enlarge)
    run(engine, lambda event: control.stop() if event.iteration == stop_at else None)
    assert sizes == [((16, 24), SIZE)]
    assert engine.image.equal(torch.ones(1, 3, *SIZE))


def test_cancelling_ends_the_run() -> None:
    control = Control()
    engine = build(Recipe(look="classic", total_iterations=40), control)
    run(engine, lambda event: control.cancel() if event.iteration == 3 else None)
    assert engine.iteration == 3
    assert engine.stop_reason is StopReason.CANCELLED


def test_a_paused_run_waits_until_it_is_resumed() -> None:
    control = Control()
    engine = build(Recipe(look="classic", total_iterations=10, levels=1), control)
    seen: list[int] = []

    def follow(event: Progress) -> None:
        seen.append(event.iteration)
        if event.iteration == 4:
            control.pause()
            threading.Timer(0.3, lambda: (seen.append(-1), control.resume())).start()

    run(engine, follow)
    assert seen == [0, 1, 2, 3, 4, -1, 5, 6, 7, 8, 9, 10]
    assert engine.seconds < 10


def test_a_paused_run_can_be_stopped() -> None:
    control = Control()
    control.pause()
    engine = build(Recipe(look="classic", total_iterations=10), control)
    threading.Timer(0.2, control.stop).start()
    run(engine)
    assert engine.iteration == 0


def test_a_plateau_ends_the_run_when_asked() -> None:
    engine = build(Recipe(look="classic", total_iterations=3000, levels=1, plateau=0.3))
    run(engine)
    assert engine.iteration < 3000
    assert engine.stop_reason is StopReason.PLATEAU


def test_a_budget_of_zero_gives_the_start() -> None:
    engine = build(Recipe(look="classic", total_iterations=0, levels=1))
    (event,) = run(engine)
    assert event.iteration == 0
    assert engine.image.shape == (1, 3, *SIZE)


def test_the_time_left_is_told_once_something_was_measured() -> None:
    events = run(build(Recipe(look="classic", total_iterations=10, levels=2)))
    assert math.isnan(events[0].eta_seconds)
    assert events[1].eta_seconds > 0
    assert events[-1].eta_seconds == 0


def test_noise_is_the_same_for_the_same_seed_only() -> None:
    assert noise((8, 8), 3).equal(noise((8, 8), 3))
    assert not noise((8, 8), 3).equal(noise((8, 8), 4))


def test_noise_has_imagenets_mean_and_the_stated_deviation() -> None:
    image = noise((400, 400), 0)
    assert 0 <= image.min() <= image.max() <= 1
    assert image.mean((0, 2, 3)).tolist() == pytest.approx([0.485, 0.456, 0.406], abs=0.02)
    assert 0.26 < image.std().item() < 0.36  # 90/255 = 0.353, less what clipping takes


def test_a_live_change_is_recorded_with_its_iteration_and_replayed() -> None:
    control = Control()
    steered = build(Recipe(look="classic", total_iterations=20, levels=2), control)

    def steer(event: Progress) -> None:
        if event.iteration == 4:
            control.change(strength=80, style_weight=3)
        if event.iteration == 13:
            control.change(tv_weight=0)

    run(steered, steer)
    assert [(change.iteration, change.values) for change in steered.recipe.changes] == [
        (4, {"strength": 80, "style_weight": 3}),
        (13, {"tv_weight": 0}),
    ]
    replayed = build(Recipe(**steered.recipe.model_dump()))
    run(replayed)
    assert replayed.image.equal(steered.image)
    plain = build(Recipe(look="classic", total_iterations=20, levels=2))
    run(plain)
    assert not plain.image.equal(steered.image)


def test_a_change_starts_best_and_curvature_anew() -> None:
    control = Control()
    engine = build(Recipe(look="classic", total_iterations=12, levels=1), control)
    events = run(engine, lambda event: control.change(style_weight=1000) if event.iteration == 6 else None)
    assert events[7].losses["total"] != events[6].losses["total"]
    assert events[7].best == events[7].losses["total"]


@pytest.mark.parametrize(("budget", "expected"), [(30, 30), (12, 12), (3, 6)])
def test_the_budget_can_be_changed_on_the_way(budget: int, expected: int) -> None:
    control = Control()
    engine = build(Recipe(look="classic", total_iterations=20, levels=2), control)
    run(engine, lambda event: control.change(total_iterations=budget) if event.iteration == 6 else None)
    assert engine.iteration == expected
    assert engine.total_iterations == expected
    replayed = build(Recipe(**engine.recipe.model_dump()))
    run(replayed)
    assert replayed.image.equal(engine.image)


def test_only_weights_strength_and_budget_can_be_changed() -> None:
    with pytest.raises(RecipeError, match=r"^height cannot be changed while a run goes on; these can: "):
        Control().change(height=3)
    with pytest.raises(RecipeError, match=r"^strength is 101\.0; it must be "):
        Control().change(strength=101)


def test_a_state_remembers_the_changes_that_were_made() -> None:
    control = Control()
    recipe = Recipe(look="classic", total_iterations=20, levels=2)
    engine = build(recipe, control)
    states = []

    def follow(event: Progress) -> None:
        if event.iteration == 5:
            control.change(strength=90)
        if event.iteration == 8:
            states.append(engine.state())

    run(engine, follow)
    resumed = build(recipe)
    resumed.load_state(states[0])
    run(resumed)
    assert resumed.image.equal(engine.image)
    assert resumed.recipe.changes == engine.recipe.changes


def test_a_run_ends_with_each_terms_share_of_the_pull() -> None:
    engine = build(Recipe(look="classic", total_iterations=10, levels=2))
    run(engine)
    assert list(engine.gradient_share) == list(TERMS)
    assert sum(engine.gradient_share.values()) == pytest.approx(1)
    assert min(engine.gradient_share.values()) > 0


def test_a_term_that_is_off_has_no_influence() -> None:
    engine = build(Recipe(look="classic", total_iterations=5, levels=1, tv_weight=0))
    run(engine)
    assert engine.gradient_share["tv"] == 0


def test_a_picture_in_tiles_does_without_the_shares() -> None:
    content = torch.rand((1, 3, 96, 128), generator=torch.Generator().manual_seed(0))
    recipe = Recipe(look="classic", total_iterations=2, levels=1, tile_edge=64)
    problem = PlainProblem(content, lambda _, now, __: Objective(TinyEncoder(), content, [content.flip(-1)], now))
    engine = Engine(build_pyramid((96, 128), recipe), problem, recipe)
    run(engine)
    assert (engine.iteration, engine.gradient_share) == (2, {})
