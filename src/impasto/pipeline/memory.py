"""Memory of a run: the expected peak, counted tensor by tensor.

The peak is reached in the loop, when the losses have computed their gradients and autograd still holds all activations,
or while the targets of a wide style image are computed. Everything is counted from the encoder's and the optimizer's
tensors, except for the constants below, which were measured (`benchmarks/memory.py`).
"""

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from impasto.devices import LARGEST_KEPT_BLOCK
from impasto.encoders import Encoder
from impasto.encoders.base import DTYPES
from impasto.engine.pyramid import build_pyramid
from impasto.losses import STYLE_LOSSES
from impasto.losses.neighbors import GRID_STRIDE, cells_of
from impasto.losses.quantiles import NUM_BINS, VALUES_AT_A_TIME
from impasto.objective.neighbor_term import MARGIN
from impasto.objective.view import View, is_tiled
from impasto.objective.weighting import style_layers_of, texture_layers_of
from impasto.pipeline.build import for_encoder
from impasto.recipe import Recipe

PROCESS_BYTES = 290_000_000
"""A process with CPU torch and libvips loaded, before any picture (Linux, x86-64)."""

WEIGHT_COPIES = 1.2
"""Copies of an encoder's float32 weights: the one in use, and what loading leaves in the heap."""

PICTURES_ALIVE = 4
"""Float32 pictures in the loop besides what the optimizer remembers: content, candidate, best, gradient on its way."""

OPTIMIZER_PICTURES = {"lbfgs": 2, "adam": 4}
"""What an optimizer remembers besides a history: the last gradient and the direction; the moments and the next ones."""

PICTURES_ON_THE_MOVE = 6
"""Float32 pictures while L-BFGS finds the next one, with all that it remembers in files: spectra too, and a part of a
file while it is looked at. The activations of tiles are not there then."""

FRAGMENTATION = 1.25
"""Resident bytes for each byte in use, since the allocator keeps freed blocks that do not fit the next request."""

WORKSPACE_OF_TILES = 1.35
"""Resident bytes for each byte of activations in tiles where freed blocks go back at once: threads have buffers."""

FRAGMENTATION_OF_TILES = 2.0
"""The same in tiles, whose shapes differ: what one leaves free does not always fit the next one."""

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


def peak_bytes(
    encoders: Sequence[Encoder],
    recipe: Recipe,
    sizes: Sizes,
    *,
    is_low_memory: bool = False,
    uses_scratch: bool = False,
) -> int:
    """Expected peak memory of a run's process in bytes.

    Args:
        encoders: The run's own, and the finishing one if there is one; only their layers and the number of their
            weights are looked at. Both stay loaded, and the one that takes more decides the peak.
        recipe: With layers filled in, the edge of tiles, and how targets are kept.
        sizes: Of the pictures.
        is_low_memory: Whether encoders that can store activations as bytes do so.
        uses_scratch: Whether what L-BFGS remembers is in files.
    """
    pixels = math.prod(sizes.output)
    inputs = [math.prod(size) for size in sizes.inputs]
    weights = 4 * sum(parameter.numel() for encoder in encoders for parameter in encoder.parameters())
    networks = [_Network(encoder, for_encoder(recipe, encoder)) for encoder in encoders]
    at_work = max(
        _bytes_at_work(network, sizes, encoder, is_low_memory=is_low_memory)
        for network, encoder in zip(networks, encoders, strict=True)
    )
    remembered = _optimizer_pictures(recipe, sizes.output, uses_scratch=uses_scratch)
    pictures = [_PICTURE * pixels] * (PICTURES_ALIVE + remembered)
    styles = [_PICTURE * math.prod(size) for size in sizes.styles]
    if is_tiled(sizes.output, recipe.tile_edge):  # then styles are held while targets are made, before any gradient
        pictures = max(pictures, [*pictures[2:], *styles], key=sum)
    else:
        pictures += styles
    running = at_work + _resident(pictures, is_low_memory)
    if uses_scratch:
        kept = max(_kept_bytes(*each, sizes) for each in zip(networks, encoders, strict=True))
        running = max(running, kept + PICTURES_ON_THE_MOVE * _PICTURE * pixels)
    loading = LOADING_COPIES * _PICTURE * max(inputs, default=0)
    transforms = TRANSFORM_BYTES if recipe.optimizer == "lbfgs" else 0
    constant = PROCESS_BYTES + transforms + WEIGHT_COPIES * weights
    return int(constant + _SAMPLES * sum(inputs) + max(running, loading))


def _bytes_at_work(network: "_Network", sizes: Sizes, encoder: Encoder, *, is_low_memory: bool) -> float:
    """Resident bytes of one encoder's activations, in the loop or while a style's targets are computed."""
    pixels = math.prod(sizes.output)
    view = view_of(encoder, network.recipe, sizes.output, network.wanted)
    window = view.window_pixels
    largest_style = max((_style_window(view, network, size) for size in sizes.styles), default=0)
    is_low_memory = is_low_memory and (encoder.supports_low_memory or encoder.is_low_memory)
    loop = network.low_memory_bytes() if is_low_memory else network.plain_bytes()
    candidates = network.candidates_bytes(sizes)
    queries = [network.columns * min(window, pixels)] * 4
    kept = _kept_bytes(network, encoder, sizes)
    matching = [*candidates, *[max(candidates, default=0.0)] * 2, *queries]
    apart = FRAGMENTATION if view.is_whole else FRAGMENTATION_OF_TILES
    activations = _resident((size * window for size in loop), is_low_memory, apart)
    if is_low_memory and not view.is_whole:
        activations *= WORKSPACE_OF_TILES
    return max(
        _resident([*matching, kept], is_low_memory),
        activations + kept + network.counting_bytes(),
        _resident((size * largest_style for size in network.target_bytes()), is_low_memory) + network.counting_bytes(),
    )


def _kept_bytes(network: "_Network", encoder: Encoder, sizes: Sizes) -> float:
    """What is kept of a picture in tiles from one evaluation to the next, to compare its features with."""
    if view_of(encoder, network.recipe, sizes.output, network.wanted).is_whole:
        return 0.0
    keeps = network.recipe.kept_targets
    if keeps == "none":
        return sum(network.candidates_bytes(sizes))
    targets = network.columns + sum(4 * network.values(layer) for layer in network.content)
    return math.prod(sizes.output) * targets * (0.5 if keeps == "float16" else 1.0)


def view_of(encoder: Encoder, recipe: Recipe, size: tuple[int, int], layers: Collection[str]) -> View:
    """How a run looks at a picture of a height and width; whole if the encoder cannot say how far it looks.

    Args:
        encoder: Of the run.
        recipe: With the edge of tiles.
        size: Height and width.
        layers: That are looked at.
    """
    is_matched = recipe.style_loss == "neighbors"
    edge = recipe.tile_edge
    return View.of(
        size, encoder, encoder, layers, None if edge is None or encoder.reach(layers) is None else edge,
        MARGIN if is_matched else 0, wraps=recipe.tileable, interpolates=is_matched,
    )  # fmt: skip


def _style_window(view: View, network: "_Network", size: tuple[int, int]) -> int:
    sources = [layer for layers in network.style_sources for layer in layers]
    return view_of(view.encoder, network.recipe, size, sources).window_pixels


def _resident(blocks: Iterable[float], is_low_memory: bool, apart: float = FRAGMENTATION) -> float:
    """Resident bytes of blocks in use; in low memory freed blocks are returned, see `release_freed_pages`."""
    return sum(block if is_low_memory or block >= LARGEST_KEPT_BLOCK else block * apart for block in blocks)


def _optimizer_pictures(recipe: Recipe, output: tuple[int, int], *, uses_scratch: bool) -> int:
    if uses_scratch:
        return 0
    if recipe.optimizer == "adam":
        return OPTIMIZER_PICTURES[recipe.optimizer]
    num_pairs = min(recipe.history_size, sum(level.iterations for level in build_pyramid(output, recipe)))
    return OPTIMIZER_PICTURES[recipe.optimizer] + 2 * num_pairs


class _Network:
    """The tensors that an encoder and its losses hold, each in bytes per pixel of the picture."""

    def __init__(self, encoder: Encoder, recipe: Recipe) -> None:
        self.recipe = recipe
        self.width = DTYPES[encoder.precision if recipe.precision == "auto" else recipe.precision].itemsize
        self.pads = recipe.padding != "zero" or recipe.tileable
        self.content = list(recipe.content_layers or encoder.content_layers)
        style = list(recipe.style_layers or style_layers_of(recipe, encoder))
        self.wanted = {*self.content, *style, *texture_layers_of(recipe, encoder)}
        self.style_sources = [set(encoder.style_sources(layer)) for layer in style]
        is_matched = recipe.style_loss == "neighbors"
        self.counted = [] if is_matched or not STYLE_LOSSES[recipe.style_loss].counts else style
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

    def candidates_bytes(self, sizes: Sizes) -> list[float]:
        """Hypercolumns of each style image, in all its rotations; bytes, not bytes a pixel."""
        return [self.columns * self.turns * math.prod(size) for size in sizes.styles]

    def values(self, layer: str) -> float:
        """Values of a layer's feature map per pixel of the picture."""
        return self.layers[layer].channels / self.layers[layer].stride ** 2

    def loss_bytes(self) -> list[float]:
        """What losses hold in float32: the content's differences and squares, also in the space of the projection.

        Style losses that count hold the places of all values besides.
        """
        places = [size * self.values(layer) for layer in self.counted for size in (2, 4)]
        places += [self.columns] * 3  # targets, features on the grid, and these scaled
        own = [4 * self.values(layer) for layer in self.content]
        projections = [
            4 * len(projection) / self.layers[layer].stride ** 2 for layer, projection in self.projections.items()
        ]
        return 3 * own + 3 * projections + places

    def counting_bytes(self) -> float:
        """What counting holds whatever the size: bins of all channels, and some values at a time."""
        if not self.counted:
            return 0.0
        channels = [self.layers[layer].channels for layer in self.counted]
        return 8.0 * NUM_BINS * (2 * sum(channels) + 10 * max(channels)) + 32 * VALUES_AT_A_TIME

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
