"""What a run will take, before it starts: its levels, time and peak memory."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from impasto.encoders import Encoder
from impasto.images import output_size
from impasto.objective import Objective
from impasto.pyramid import build_pyramid
from impasto.recipe import Recipe
from impasto.scene import noise, style_size
from impasto.stylize import complete, encoder_of, pick_device

PROBE_SIZE = (96, 144)
"""Height and width of the picture on which an iteration is timed."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        recipe: With layers and iterations filled in.
        levels: Height, width and iterations of each level, coarse to fine.
        seconds: Time of all iterations.
        peak_bytes: Peak memory of the process.
    """

    recipe: Recipe
    levels: Sequence[tuple[int, int, int]]
    seconds: float
    peak_bytes: int


def estimate(
    recipe: Recipe,
    content_size: tuple[int, int],
    style_sizes: Sequence[tuple[int, int]],
    device: str = "auto",
    *,
    trust: bool = False,
) -> Estimate:
    """Estimates a run: memory by arithmetic, time by timing a small iteration on this machine.

    Args:
        recipe: What is to be run.
        content_size: Height and width of the content image.
        style_sizes: Height and width of each style image.
        device: As in `impasto.stylize`.
        trust: As in `impasto.stylize`.

    Raises:
        LayerError: If the encoder does not have a layer that the recipe names.
        WeightsError: If the encoder's weights are not to be had.
    """
    place = pick_device(device)
    encoder = encoder_of(recipe, place, trust=trust)
    recipe = complete(recipe, encoder)
    size = output_size(content_size, height=recipe.height, longest_edge=recipe.size)
    levels = build_pyramid(size, recipe)
    pixel_iterations = sum(math.prod(level.size) * level.iterations for level in levels)
    return Estimate(
        recipe=recipe,
        levels=[(*level.size, level.iterations) for level in levels],
        seconds=_seconds_a_pixel(encoder, recipe, place) * pixel_iterations,
        peak_bytes=peak_bytes(encoder, recipe, size, style_sizes),
    )


def _seconds_a_pixel(encoder: Encoder, recipe: Recipe, device: torch.device) -> float:
    image = noise(PROBE_SIZE, seed=0).to(device)
    objective = Objective(encoder, image, [image], recipe)
    best = math.inf
    for _ in range(3):  # the first one warms up
        start = time.perf_counter()
        objective.evaluate(image).total.item()
        best = min(best, time.perf_counter() - start)
    return best / math.prod(PROBE_SIZE)


PROCESS_BYTES = 350_000_000
"""Of a process that has loaded torch and decoded a picture, before any encoder."""

PICTURES_ALIVE = 12
"""Float32 pictures that a run holds besides curvature: content, candidate, best, gradients and what the steps need."""


def peak_bytes(encoder: Encoder, recipe: Recipe, size: tuple[int, int], style_sizes: Sequence[tuple[int, int]]) -> int:
    """Peak memory of a run's process in bytes, by arithmetic.

    Args:
        encoder: The encoder; only its layers and weights are looked at.
        recipe: With layers filled in.
        size: Height and width of the output.
        style_sizes: Height and width of each style image's file.
    """
    pixels = math.prod(size)
    style_pixels = max((math.prod(style_size(style, size)) for style in style_sizes), default=0)
    width = {"float32": 4, "bfloat16": 2}[recipe.precision]
    kept, widest = _activations(encoder, [*(recipe.content_layers or ()), *(recipe.style_layers or ())], width)
    pictures = PICTURES_ALIVE + (2 * recipe.history_size if recipe.optimizer == "lbfgs" else 3)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in encoder.state_dict().values())
    loop = pixels * (kept + 3 * widest + 12 * pictures)
    targets = style_pixels * 3 * widest + pixels * 12 * pictures
    return int(PROCESS_BYTES + weights + max(loop, targets))


def _activations(encoder: Encoder, wanted: Sequence[str], width: int) -> tuple[float, float]:
    """Bytes a pixel: of all activations that the backward pass keeps, and of the widest layer."""
    names = list(encoder.layers)
    deepest = max(names.index(layer) for layer in wanted)
    layers = [encoder.layers[name] for name in names[: deepest + 1]]
    kept = sum(layer.channels / layer.stride**2 for layer in layers) * width
    pooled = sum(
        before.channels / after.stride**2
        for before, after in itertools.pairwise(layers)
        if after.stride > before.stride
    )
    return kept + pooled * (width + 8), max(layer.channels / layer.stride**2 for layer in layers) * width
