"""Estimates of a run before it starts: its levels, time and peak memory."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from impasto.devices import pick_device
from impasto.encoders import Encoder, outline_encoder
from impasto.engine.pyramid import Level, build_pyramid, expected_iterations
from impasto.losses.neighbors import cells_of, grid_of, nearest
from impasto.objective.objective import Objective
from impasto.pipeline.build import complete, encoder_of, for_encoder
from impasto.pipeline.level_images import noise, style_sizes, target_size
from impasto.pipeline.memory import Sizes
from impasto.pipeline.memory_plan import MemoryPlan, plan_within, slowdown_of
from impasto.recipe import Recipe

SEARCHED = 2048
"""Places of the search for nearest neighbors that is timed."""

TIMED_SIZE = (96, 144)
"""Height and width of the picture on which an iteration is timed."""

BUSY_ALONE, BUSY_TOGETHER = 1.3, 0.9
"""Time that passes, over what one thread computes, above which other programs are at work: for one thread, and for
several, which take about half of that on two idle processors."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Attributes:
        recipe: With layers and iterations filled in.
        levels: Height, width and iterations of each level, coarse to fine.
        seconds: Time of all iterations.
        memory: Expected peak memory of the process, and the savings that are switched on.
        is_busy: Whether other programs take part of the processor now, so that a run would take longer.
    """

    recipe: Recipe
    levels: Sequence[tuple[int, int, int]]
    seconds: float
    memory: MemoryPlan
    is_busy: bool = False


def estimate(
    recipe: Recipe,
    content_size: tuple[int, int],
    file_sizes: Sequence[tuple[int, int]],
    device: str = "auto",
    *,
    trust: bool = False,
    max_memory: int | None = None,
    has_scratch: bool = False,
) -> Estimate:
    """Estimates a run without a download: memory by arithmetic, time from a small iteration on this machine.

    Args:
        recipe: Of the run.
        content_size: Height and width of the content image.
        file_sizes: Height and width of each style image.
        device: As in `impasto.pipeline.api`.
        trust: As in `impasto.pipeline.api`.
        max_memory: As in `impasto.pipeline.api`.
        has_scratch: Whether there is a scratch folder.

    Raises:
        LayerError: If the encoder does not have a layer that the recipe names.
        WeightsError: If the encoder's weights are damaged.
        OutOfMemoryError: If the run does not fit, with all memory savings on.
    """
    place = pick_device(device)
    recipe = recipe.accelerated()
    encoders = [_outline(recipe, place) or encoder_of(recipe, place, trust=trust)]
    recipe = complete(recipe, encoders[0])
    if recipe.finishing is not None:
        finish = recipe.replace(model=recipe.finishing.model)
        encoders.append(_outline(finish, place) or encoder_of(finish, place))
    size = target_size(content_size, recipe)
    sizes = Sizes(size, [content_size, *file_sizes], style_sizes(file_sizes, size, recipe))
    plan = plan_within(encoders, recipe, sizes, place, max_memory, has_scratch=has_scratch)
    levels = build_pyramid(size, recipe)
    timed = [_time_a_pixel(encoder, for_encoder(recipe, encoder), place) for encoder in encoders]
    seconds_a_pixel = [seconds for seconds, _ in timed]
    return Estimate(
        recipe=plan.recipe,
        levels=[(*level.size, level.iterations) for level in levels],
        seconds=sum(
            seconds_a_pixel[level.is_finish]
            * math.prod(level.size)
            * expected_iterations(level, recipe)
            * slowdown_of(encoders[level.is_finish], plan.recipe, level.size, is_low_memory=plan.is_low_memory)
            for level in levels
        )
        + _search_seconds(encoders[0], recipe, levels, sizes, place),
        memory=plan,
        is_busy=any(is_busy for _, is_busy in timed),
    )


def _outline(recipe: Recipe, device: torch.device) -> Encoder | None:
    padding = "circular" if recipe.tileable else recipe.padding
    return outline_encoder(
        recipe.model, pooling=recipe.pooling, padding=padding, precision=recipe.precision, device=device
    )


def _search_seconds(
    encoder: Encoder, recipe: Recipe, levels: Sequence[Level], sizes: Sizes, device: torch.device
) -> float:
    """Seconds of finding nearest neighbors on all levels, from a small search on this machine."""
    if recipe.style_loss != "neighbors":
        return 0.0
    columns = torch.rand(SEARCHED, SEARCHED // 4, device=device)
    best = math.inf
    for _ in range(2):
        start = time.perf_counter()
        nearest(columns, columns).sum().item()
        best = min(best, time.perf_counter() - start)
    channels = sum(
        encoder.layers[layer].channels * cells_of(encoder.layers[layer].stride) ** 2
        for layer in recipe.style_layers or ()
    )
    turns = 4 if recipe.style_rotations else 1
    products = 0.0
    for level in levels:
        share = math.prod(level.size) / math.prod(sizes.output)
        places = [math.prod(grid_of(size)) * share * turns for size in sizes.styles]
        products += math.prod(grid_of(level.size)) * sum(places) * channels
    return best / (SEARCHED**2 * columns.shape[1]) * products


def _time_a_pixel(encoder: Encoder, recipe: Recipe, device: torch.device) -> tuple[float, bool]:
    """Seconds of an iteration, a pixel, while nothing else is at work; and whether something is.

    Threads that wait for each other, while other programs have their processors, take up to a hundred times as long as
    they do alone. One thread, by the time that it computes, does not see other programs, and several are never slower.
    """
    image = noise(TIMED_SIZE, seed=0).to(device)
    objective = Objective(encoder, image, [image], recipe)

    def best_of(clock: Callable[[], float], count: int) -> float:
        best = math.inf
        for _ in range(count):
            start = clock()
            objective.evaluate(image).total.item()
            best = min(best, clock() - start)
        return best / math.prod(TIMED_SIZE)

    together = best_of(time.perf_counter, 3)  # the first one warms up
    if device.type != "cpu":
        return together, False
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = best_of(time.thread_time, 2)
    finally:
        torch.set_num_threads(num_threads)
    return min(together, alone), together > alone * (BUSY_ALONE if num_threads == 1 else BUSY_TOGETHER)
