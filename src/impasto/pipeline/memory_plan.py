"""The plan of a run's memory: whole or in tiles, and what is kept, so that the run fits into what there is."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from impasto.devices import allowed_bytes
from impasto.encoders import Encoder
from impasto.errors import OutOfMemoryError
from impasto.objective.view import is_tiled
from impasto.objective.weighting import texture_layers_of
from impasto.optimizers.lbfgs import LEAST_HISTORY
from impasto.pipeline.build import for_encoder
from impasto.pipeline.memory import Sizes, peak_bytes, view_of
from impasto.recipe import Recipe, choices, size_in_words

EDGES = (4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 128)
"""Edges of tiles that a plan considers, in pixels."""

KEPT = choices("kept_targets")
"""How targets are kept, from the most memory to the least."""

PLANNED = ("tile_edge", "kept_targets", "history_size")
"""Parameters of the recipe that a plan may fill in."""

BACKWARD = 2.0
"""Time of a backward pass, in forward passes."""

AS_BYTES = 1.4
"""Time of an iteration whose activations are kept as bytes: 1.25 of VGG19's without, 1.65 of compact's, most of it
since freed memory goes back to the system at once."""


@dataclass(frozen=True)
class MemoryPlan:
    """How a run saves memory, and how much it is expected to take.

    Attributes:
        recipe: With the edge of tiles, what is kept, and a shorter history if memory requires it.
        is_low_memory: Whether encoders store activations as bytes; the gradient stays the same.
        peak_bytes: Expected peak of the process.
        lowered: A sentence for each saving, and for what tiles do without.
        slowdown: Time of an iteration of the finest level, in those of the whole picture.
        uses_scratch: Whether what L-BFGS remembers is in files.
    """

    recipe: Recipe
    is_low_memory: bool
    peak_bytes: int
    lowered: tuple[str, ...] = ()
    slowdown: float = 1.0
    uses_scratch: bool = False


def plan_memory(
    encoders: Sequence[Encoder],
    recipe: Recipe,
    sizes: Sizes,
    limit: int | None = None,
    *,
    is_strict: bool = True,
    has_scratch: bool = False,
) -> MemoryPlan:
    """The plan of a run: as it is if that fits the limit, else with the savings that cost the least time.

    Activations as bytes come first, since they do not change the picture; then tiles, with activations as they are or
    as bytes, and with targets that are kept, kept as half precision, or made anew, whichever is fastest; then a shorter
    history of L-BFGS. What the recipe names stays.

    Args:
        encoders: The run's own, and the finishing one if there is one; only their layers and the number of their
            weights are looked at.
        recipe: With layers filled in.
        sizes: Of the pictures.
        limit: Bytes that the process may use; None for no limit.
        is_strict: Whether to refuse what does not fit, and not to try it with all savings.
        has_scratch: Whether there is a folder for what does not fit; it is used last.

    Raises:
        OutOfMemoryError: If the run needs more than the limit with all memory savings on.
        RecipeError: If the recipe names an edge of tiles and an encoder cannot say how far it looks.
    """
    is_low_memory = all(encoder.is_low_memory for encoder in encoders)
    peak = peak_bytes(encoders, recipe, sizes, is_low_memory=is_low_memory)
    slowdown = slowdown_of(encoders[0], recipe, sizes.output, is_low_memory=is_low_memory)
    plan = MemoryPlan(recipe, is_low_memory, peak, slowdown=slowdown)
    if limit is None or peak <= limit:
        return plan
    lean = _in_low_memory(plan, encoders, sizes)
    leanest = lean
    plans = [lean] if lean is plan else [plan, lean]
    tries = itertools.chain([lean], _lower(plans, encoders, sizes))
    if has_scratch and recipe.optimizer == "lbfgs":
        # With activations as bytes: memory that is freed goes back at once then, and nothing is left between blocks.
        in_scratch = [_in_scratch(plans[-1], encoders, sizes)]
        tries = itertools.chain(tries, in_scratch, _lower(in_scratch, encoders, sizes))
    for candidate in tries:
        if candidate.peak_bytes <= limit:
            return candidate
        leanest = min(leanest, candidate, key=lambda one: one.peak_bytes)
    if is_strict:
        raise OutOfMemoryError(
            f"The run needs {size_in_words(leanest.peak_bytes)} of memory with all memory savings on, and "
            f"--max-memory is {size_in_words(limit)}. {_way_out(encoders, leanest, sizes, limit)}"
        )
    return leanest


def plan_within(
    encoders: Sequence[Encoder],
    recipe: Recipe,
    sizes: Sizes,
    device: torch.device,
    limit: int | None,
    *,
    has_scratch: bool = False,
) -> MemoryPlan:
    """The plan of a run on this machine; as `plan_memory`, whose errors it raises.

    Args:
        encoders: As there.
        recipe: As there.
        sizes: As there.
        device: Where it computes.
        limit: Bytes that were allowed; None for what is free, within which the plan stays if it can.
        has_scratch: As there; no use on an accelerator, whose memory is not the machine's.
    """
    most = allowed_bytes(device) if limit is None else limit
    has_scratch = has_scratch and device.type == "cpu"
    plan = plan_memory(encoders, recipe, sizes, most, is_strict=limit is not None, has_scratch=has_scratch)
    if plan.recipe.is_corrected and is_tiled(sizes.output, plan.recipe.tile_edge):
        sentence = f"In tiles, {recipe.model} is not corrected by the encoder that finishes."
        plan = replace(plan, lowered=(*plan.lowered, sentence))
    return plan


def slowdown_of(encoder: Encoder, recipe: Recipe, size: tuple[int, int], *, is_low_memory: bool = False) -> float:
    """Time of an iteration that saves memory, in iterations of the whole picture.

    Args:
        encoder: Of the run.
        recipe: With the edge of tiles, and how targets are kept.
        size: Height and width of the picture.
        is_low_memory: Whether activations are kept as bytes.
    """
    recipe = for_encoder(recipe, encoder)
    view = view_of(encoder, recipe, size, _layers(encoder, recipe))
    bytes_cost = AS_BYTES if is_low_memory else 1.0
    if view.is_whole:
        return bytes_cost
    passes: float = 1 + BACKWARD
    if recipe.style_weight and (recipe.style_loss != "neighbors" or texture_layers_of(recipe, encoder)):
        passes += 1 if recipe.style_loss != "neighbors" else 0.5  # the fine layers alone
    if recipe.kept_targets == "none" and recipe.content_weight:
        passes += 1
    return bytes_cost * view.overlap * passes / (1 + BACKWARD)


def _layers(encoder: Encoder, recipe: Recipe) -> Collection[str]:
    named = (recipe.content_layers or encoder.content_layers, recipe.style_layers or encoder.style_layers)
    return {layer for layers in named for layer in layers}


def _in_low_memory(plan: MemoryPlan, encoders: Sequence[Encoder], sizes: Sizes) -> MemoryPlan:
    if plan.is_low_memory or not any(encoder.supports_low_memory for encoder in encoders):
        return plan
    peak = peak_bytes(encoders, plan.recipe, sizes, is_low_memory=True)
    sentence = (
        f"To save memory, activations are kept as bytes: {size_in_words(peak)} instead of "
        f"{size_in_words(plan.peak_bytes)}, about {AS_BYTES} times the time an iteration, the same picture."
    )
    slowdown = slowdown_of(encoders[0], plan.recipe, sizes.output, is_low_memory=True)
    lowered = (*plan.lowered, sentence)
    return replace(plan, is_low_memory=True, peak_bytes=peak, lowered=lowered, slowdown=slowdown)


def _in_scratch(plan: MemoryPlan, encoders: Sequence[Encoder], sizes: Sizes) -> MemoryPlan:
    peak = peak_bytes(encoders, plan.recipe, sizes, is_low_memory=plan.is_low_memory, uses_scratch=True)
    sentence = "To save memory, what L-BFGS remembers is in the scratch folder."
    return replace(plan, uses_scratch=True, peak_bytes=peak, lowered=(*plan.lowered, sentence))


def _lower(plans: Sequence[MemoryPlan], encoders: Sequence[Encoder], sizes: Sizes) -> Iterator[MemoryPlan]:
    """Plans in tiles and with a shorter history, in the order in which they are to be tried.

    Args:
        plans: As it is, and with activations as bytes.
        encoders: See `plan_memory`.
        sizes: See `plan_memory`.
    """
    given = plans[-1].recipe
    histories = [given.history_size]
    if given.optimizer == "lbfgs" and given.history_size > LEAST_HISTORY and not plans[-1].uses_scratch:
        histories.append(LEAST_HISTORY)
    for history in histories:
        shorter = given if history == given.history_size else given.replace(history_size=history)
        if shorter is not given:
            yield _lowered(plans[-1], shorter, encoders, sizes)
        tiled = [
            _lowered(plan, shorter.replace(tile_edge=edge, kept_targets=kept), encoders, sizes)
            for plan in plans
            for edge, kept in itertools.product(_edges(encoders, given, sizes), _kept(given))
        ]
        yield from sorted(tiled, key=lambda plan: plan.slowdown)


def _edges(encoders: Sequence[Encoder], recipe: Recipe, sizes: Sizes) -> Sequence[int]:
    if recipe.tile_edge is not None:
        return [recipe.tile_edge]
    if any(encoder.reach(_layers(encoder, for_encoder(recipe, encoder))) is None for encoder in encoders):
        return []
    return [edge for edge in EDGES if edge < max(sizes.output)]


def _kept(recipe: Recipe) -> Sequence[str]:
    return KEPT[KEPT.index(recipe.kept_targets) :]


def _lowered(plan: MemoryPlan, recipe: Recipe, encoders: Sequence[Encoder], sizes: Sizes) -> MemoryPlan:
    peak = peak_bytes(encoders, recipe, sizes, is_low_memory=plan.is_low_memory, uses_scratch=plan.uses_scratch)
    slowdown = slowdown_of(encoders[0], recipe, sizes.output, is_low_memory=plan.is_low_memory)
    sentences = []
    if recipe.tile_edge is not None and (recipe.tile_edge, recipe.kept_targets) != (
        plan.recipe.tile_edge,
        plan.recipe.kept_targets,
    ):
        kept = {
            "float32": "", "float16": ", targets are kept in half precision", "none": ", targets are computed anew",
        }[recipe.kept_targets]  # fmt: skip
        sentences.append(
            f"To save memory, the picture is evaluated in tiles of {recipe.tile_edge} pixels{kept}: "
            f"{size_in_words(peak)} instead of {size_in_words(plan.peak_bytes)}, {slowdown:.1f} times the time an "
            "iteration, the same picture but for rounding."
        )
    if recipe.history_size != plan.recipe.history_size:
        sentences.append(
            f"To save memory, history_size is {recipe.history_size} instead of {plan.recipe.history_size}: "
            f"{size_in_words(peak)} in all."
        )
    return replace(plan, recipe=recipe, peak_bytes=peak, slowdown=slowdown, lowered=(*plan.lowered, *sentences))


def _way_out(encoders: Sequence[Encoder], plan: MemoryPlan, sizes: Sizes, limit: int) -> str:
    """A sentence: the largest height that fits, by bisection; or the memory that is needed."""

    def fits(height: int) -> bool:
        scale = height / sizes.output[0]
        scaled = [(height, max(1, round(sizes.output[1] * scale)))]
        scaled += [(max(1, round(h * scale)), max(1, round(w * scale))) for h, w in sizes.styles]
        there = Sizes(scaled[0], sizes.inputs, scaled[1:])
        peak = peak_bytes(
            encoders, plan.recipe, there, is_low_memory=plan.is_low_memory, uses_scratch=plan.uses_scratch
        )
        return peak <= limit

    lowest, highest = 0, sizes.output[0]
    while highest - lowest > 1:
        middle = (lowest + highest) // 2
        lowest, highest = (middle, highest) if fits(middle) else (lowest, middle)
    if lowest < min(16, sizes.output[0]):
        return f"Not even a small picture fits; allow at least {size_in_words(plan.peak_bytes)}."
    return f"--height {lowest} would fit."
