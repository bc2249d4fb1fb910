"""Memory of a run: the expected peak, counted tensor by tensor, and the savings when that is too much.

The peak is reached in the loop, when the losses have computed their gradients and autograd still holds all activations,
or while the targets of a wide style image are computed. Everything is counted from the encoder's and the optimizer's
tensors, except for the constants below, which were measured (`benchmarks/memory.py`).
"""

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from impasto.devices import LARGEST_KEPT_BLOCK
from impasto.encoders import Encoder
from impasto.encoders.base import DTYPES
from impasto.engine.pyramid import build_pyramid
from impasto.errors import OutOfMemoryError
from impasto.losses import STYLE_LOSSES
from impasto.losses.neighbors import GRID_STRIDE, cells_of
from impasto.objective.weighting import style_layers_of, texture_layers_of
from impasto.optimizers.lbfgs import LEAST_HISTORY
from impasto.pipeline.build import for_encoder
from impasto.recipe import Recipe, size_in_words

logger = logging.getLogger(__name__)

PROCESS_BYTES = 290_000_000
"""A process with CPU torch and libvips loaded, before any picture (Linux, x86-64)."""

WEIGHT_COPIES = 1.2
"""Copies of an encoder's float32 weights: the one in use, and what loading leaves in the heap."""

PICTURES_ALIVE = 6
"""Float32 pictures that a run holds besides the optimizer's: content, candidate, best, gradient, differences."""

FRAGMENTATION = 1.25
"""Resident bytes for each byte in use, since the allocator keeps freed blocks that do not fit the next request."""

LOADING_COPIES = 1.75
"""Float32 copies of an input picture while it is read and shrunk to the run's size."""

TRANSFORM_BYTES = 30_000_000
"""Kernels, plans and buffers of the Fourier transforms of L-BFGS."""


_PICTURE = 12  # bytes a pixel of three float32 channels

_SAMPLES = 6  # of three channels as read, at 16 bit


@dataclass(frozen=True)
class Sizes:
    """Heights and widths of a run's pictures.

    Attributes:
        output: Of the finest level.
        inputs: Of the input files: content, styles, masks.
        styles: At which each style image is used.
    """

    output: tuple[int, int]
    inputs: Sequence[tuple[int, int]]
    styles: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class MemoryPlan:
    """How a run saves memory, and how much it is expected to take.

    Attributes:
        recipe: With a shorter history if memory requires it.
        is_low_memory: Whether encoders store activations as bytes; the gradient stays the same.
        peak_bytes: Expected peak of the process.
        lowered: A sentence for each saving.
    """

    recipe: Recipe
    is_low_memory: bool
    peak_bytes: int
    lowered: tuple[str, ...] = ()


def plan_memory(encoders: Sequence[Encoder], recipe: Recipe, sizes: Sizes, limit: int | None = None) -> MemoryPlan:
    """The plan of a run, with savings switched on one after the other until it fits the limit.

    Savings that do not change the picture come first: activations as bytes, then a shorter history of L-BFGS.

    Args:
        encoders: The run's own, and the finishing one if there is one; only their layers and the number of their
            weights are looked at.
        recipe: With layers filled in.
        sizes: Of the pictures.
        limit: Bytes that the process may use; None for no limit.

    Raises:
        OutOfMemoryError: If the run needs more than the limit with all memory savings on.
    """
    is_low_memory = all(encoder.is_low_memory for encoder in encoders)
    plan = MemoryPlan(recipe, is_low_memory, peak_bytes(encoders, recipe, sizes, is_low_memory=is_low_memory))
    for lower in (_in_low_memory, _with_short_history):
        if limit is None or plan.peak_bytes <= limit:
            return plan
        plan = lower(plan, encoders, sizes)
    if limit is not None and plan.peak_bytes > limit:
        raise OutOfMemoryError(
            f"The run needs {size_in_words(plan.peak_bytes)} of memory with all memory savings on, and --max-memory is "
            f"{size_in_words(limit)}. {_way_out(encoders, plan, sizes, limit)}"
        )
    return plan


def _in_low_memory(plan: MemoryPlan, encoders: Sequence[Encoder], sizes: Sizes) -> MemoryPlan:
    if plan.is_low_memory or not any(encoder.supports_low_memory for encoder in encoders):
        return plan
    peak = peak_bytes(encoders, plan.recipe, sizes, is_low_memory=True)
    sentence = (
        f"To save memory, activations are kept as bytes: {size_in_words(peak)} instead of "
        f"{size_in_words(plan.peak_bytes)}, a little slower, the same picture."
    )
    return replace(plan, is_low_memory=True, peak_bytes=peak, lowered=(*plan.lowered, sentence))


def _with_short_history(plan: MemoryPlan, encoders: Sequence[Encoder], sizes: Sizes) -> MemoryPlan:
    if plan.recipe.optimizer != "lbfgs" or plan.recipe.history_size <= LEAST_HISTORY:
        return plan
    recipe = plan.recipe.replace(history_size=LEAST_HISTORY)
    peak = peak_bytes(encoders, recipe, sizes, is_low_memory=plan.is_low_memory)
    sentence = (
        f"To save memory, history_size is {LEAST_HISTORY} instead of {plan.recipe.history_size}: {size_in_words(peak)} "
        f"instead of {size_in_words(plan.peak_bytes)}."
    )
    return replace(plan, recipe=recipe, peak_bytes=peak, lowered=(*plan.lowered, sentence))


def _way_out(encoders: Sequence[Encoder], plan: MemoryPlan, sizes: Sizes, limit: int) -> str:
    """A sentence: the largest height that fits, by bisection; or the memory that is needed."""

    def fits(height: int) -> bool:
        scale = height / sizes.output[0]
        scaled = [(height, max(1, round(sizes.output[1] * scale)))]
        scaled += [(max(1, round(h * scale)), max(1, round(w * scale))) for h, w in sizes.styles]
        there = Sizes(scaled[0], sizes.inputs, scaled[1:])
        return peak_bytes(encoders, plan.recipe, there, is_low_memory=plan.is_low_memory) <= limit

    lowest, highest = 0, sizes.output[0]
    while highest - lowest > 1:
        middle = (lowest + highest) // 2
        lowest, highest = (middle, highest) if fits(middle) else (lowest, middle)
    if lowest < min(16, sizes.output[0]):
        return f"Not even a small picture fits; allow at least {size_in_words(plan.peak_bytes)}."
    return f"--height {lowest} would fit."


def peak_bytes(encoders: Sequence[Encoder], recipe: Recipe, sizes: Sizes, *, is_low_memory: bool = False) -> int:
    """Expected peak memory of a run's process in bytes.

    Args:
        encoders: The run's own, and the finishing one if there is one; only their layers and the number of their
            weights are looked at. Both stay loaded, and the one that takes more decides the peak.
        recipe: With layers filled in.
        sizes: Of the pictures.
        is_low_memory: Whether encoders that can store activations as bytes do so.
    """
    pixels = math.prod(sizes.output)
    inputs = [math.prod(size) for size in sizes.inputs]
    weights = 4 * sum(parameter.numel() for encoder in encoders for parameter in encoder.parameters())
    at_work = max(
        _bytes_at_work(_Network(encoder, for_encoder(recipe, encoder)), sizes, encoder, is_low_memory=is_low_memory)
        for encoder in encoders
    )
    pictures = [_PICTURE * pixels] * (PICTURES_ALIVE + _optimizer_pictures(recipe, sizes.output))
    pictures += [_PICTURE * math.prod(size) for size in sizes.styles]
    running = at_work + _resident(pictures, is_low_memory)
    loading = LOADING_COPIES * _PICTURE * max(inputs, default=0)
    transforms = TRANSFORM_BYTES if recipe.optimizer == "lbfgs" else 0
    constant = PROCESS_BYTES + transforms + WEIGHT_COPIES * weights
    return int(constant + _SAMPLES * sum(inputs) + max(running, loading))


def _bytes_at_work(network: "_Network", sizes: Sizes, encoder: Encoder, *, is_low_memory: bool) -> float:
    """Resident bytes of one encoder's activations, in the loop or while a style's targets are computed."""
    pixels = math.prod(sizes.output)
    largest_style = max((math.prod(size) for size in sizes.styles), default=0)
    is_low_memory = is_low_memory and (encoder.supports_low_memory or encoder.is_low_memory)
    loop = network.low_memory_bytes() if is_low_memory else network.plain_bytes()
    candidates = [network.columns * network.turns * math.prod(size) for size in sizes.styles]
    matching = [*candidates, *[max(candidates, default=0.0)] * 2, *[network.columns * pixels] * 4]
    return max(
        _resident(matching, is_low_memory),
        _resident(((size * pixels) for size in loop), is_low_memory),
        _resident(((size * largest_style) for size in network.target_bytes()), is_low_memory),
    )


def _resident(blocks: "Sequence[float] | Iterator[float]", is_low_memory: bool) -> float:
    """Resident bytes of blocks in use; in low memory freed blocks are returned, see `release_freed_pages`."""
    return sum(block if is_low_memory or block >= LARGEST_KEPT_BLOCK else block * FRAGMENTATION for block in blocks)


def _optimizer_pictures(recipe: Recipe, output: tuple[int, int]) -> int:
    if recipe.optimizer == "adam":
        return 2
    num_pairs = min(recipe.history_size, sum(level.iterations for level in build_pyramid(output, recipe)))
    return 2 * num_pairs + 2


class _Network:
    """The tensors that an encoder and its losses hold, each in bytes per pixel of the picture."""

    def __init__(self, encoder: Encoder, recipe: Recipe) -> None:
        self.width = DTYPES[encoder.precision if recipe.precision == "auto" else recipe.precision].itemsize
        self.pads = recipe.padding != "zero" or recipe.tileable
        self.content = list(recipe.content_layers or encoder.content_layers)
        style = list(recipe.style_layers or style_layers_of(recipe, encoder))
        self.wanted = {*self.content, *style, *texture_layers_of(recipe, encoder)}
        self.style_sources = [set(encoder.style_sources(layer)) for layer in style]
        is_matched = recipe.style_loss == "neighbors"
        self.sorted = [] if is_matched or not STYLE_LOSSES[recipe.style_loss].sorts else style
        self.turns = 4 if recipe.style_rotations else 1
        self.columns = (
            4
            * sum(encoder.layers[layer].channels * cells_of(encoder.layers[layer].stride) ** 2 for layer in style)
            / GRID_STRIDE**2
            if is_matched
            else 0.0
        )
        self.projections = {
            layer: projection for layer in self.content if (projection := encoder.projection(layer)) is not None
        }
        names = list(encoder.layers)
        deepest = max(names.index(layer) for layer in self.wanted)
        self.layers = {name: encoder.layers[name] for name in names[: deepest + 1]}
        #  (before, after, values a pixel) of each pooling
        self.pools = [
            (before, after, self.layers[before].channels / self.layers[after].stride ** 2)
            for before, after in itertools.pairwise(self.layers)
            if self.layers[after].stride > self.layers[before].stride
        ]

    def values(self, layer: str) -> float:
        """Values of a layer's feature map per pixel of the picture."""
        return self.layers[layer].channels / self.layers[layer].stride ** 2

    def loss_bytes(self) -> list[float]:
        """What losses hold in float32: the content's differences and squares, also in the space of the projection.

        Style losses that sort hold the places and the targets of all values besides.
        """
        places = [size * self.values(layer) for layer in self.sorted for size in (8, 4)]
        places += [self.columns] * 3  # targets, features on the grid, and these scaled
        own = [4 * self.values(layer) for layer in self.content]
        projections = [
            4 * len(projection) / self.layers[layer].stride ** 2 for layer, projection in self.projections.items()
        ]
        return 3 * own + 3 * projections + places

    def plain_bytes(self) -> list[float]:
        """At the start of the backward pass: everything that autograd holds; and a gradient of features on its way."""
        maps = [self.values(layer) * self.width for layer in self.layers]
        padded = [3.0 * self.width, *maps[:-1]] if self.pads else []
        maps += [layer.inner / layer.stride**2 * self.width for layer in self.layers.values()]
        gradients = [max(self.values(layer) * self.width for layer in self.wanted)]
        pools = [size for _, _, values in self.pools for size in (values * self.width, values * 8)]
        return [*maps, *padded, *gradients, *pools, *self.loss_bytes()]

    def low_memory_bytes(self) -> list[float]:
        """The same in low memory: bytes for signs and maxima; features are freed once their gradients are known."""
        silent = {before for before, _, _ in self.pools} - self.wanted
        marks = [self.values(layer) for layer in self.layers if layer not in silent]
        marks += [values for _, _, values in self.pools]
        maps = [self.values(layer) * self.width for layer in self.layers if layer in self.wanted]
        first_block = [self.values(layer) * self.width for layer in self.layers][:1] * 3
        return [*max(maps, first_block, key=sum), *marks, *self.loss_bytes()]

    def target_bytes(self) -> list[float]:
        """While a style image is looked at: features that others still wait for, and one layer's input and output."""
        peak: list[float] = []
        held: dict[str, float] = {}
        waiting, seen = self.style_sources, set()
        pools = {after: values for _, after, values in self.pools}
        before = 3.0
        for layer in self.layers:
            if layer in pools:
                peak = max(peak, [*held.values(), before * self.width, pools[layer] * (self.width + 8)], key=sum)
                before = pools[layer]
            now = self.values(layer)
            peak = max(peak, [*held.values(), before * self.width, now * self.width], key=sum)
            seen.add(layer)
            waiting = [sources for sources in waiting if not sources <= seen]
            held[layer] = now * self.width
            held = {name: size for name, size in held.items() if any(name in sources for sources in waiting)}
            before = now
        return peak
