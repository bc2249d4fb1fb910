"""One picture in the style of others: pictures, encoder, levels and engine wired together."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from impasto.color import finisher, prepare, stays_gray
from impasto.encoders import Encoder, build_encoder
from impasto.engine import Control, Engine, Progress, noise
from impasto.errors import RecipeError, UserError
from impasto.images import Picture, as_picture, fill, output_size, resample, resize
from impasto.objective import Objective
from impasto.pyramid import Level, build_pyramid
from impasto.recipe import Recipe

__all__ = ["Result", "stylize"]

logger = logging.getLogger(__name__)

WIDEST_STYLE = 4
"""A style image brought to the output's height is shrunk further if it had more than so many times its pixels."""


@dataclass(frozen=True, eq=False)
class Result:
    """A painted picture and how it came about.

    Attributes:
        image: Shape (1, 3, H, W), float32 in [0, 1], on the CPU.
        recipe: What decided it, with layers and iterations filled in.
        content: The content image, which gives alpha, profile and EXIF to the written file.
        styles: The style images.
        iterations: Evaluations of the objective that were spent.
        seconds: Time at work.
        stop_reason: Why the run ended, in words.
        losses: ``total`` and its weighted parts at the picture.
        is_cancelled: Whether the run was cancelled.
        weights_sha256: Of the encoder's weights.
    """

    image: Tensor
    recipe: Recipe
    content: Picture
    styles: Sequence[Picture]
    iterations: int
    seconds: float
    stop_reason: str
    losses: Mapping[str, float]
    is_cancelled: bool
    weights_sha256: str

    @property
    def is_gray(self) -> bool:
        """Whether it is grey because the content is and its colors were kept; it is then written as one channel."""
        return stays_gray(self.content, self.recipe)

    def provenance(self) -> str:
        """What `impasto rerun` needs to make this picture again, as one line of ASCII JSON; it holds no path."""
        return json.dumps(
            {
                "impasto": version("impasto"),
                "recipe": self.recipe.model_dump(mode="json"),
                "content": {"name": self.content.name, "sha256": self.content.sha256},
                "styles": [{"name": style.name, "sha256": style.sha256} for style in self.styles],
                "weights_sha256": self.weights_sha256,
                "iterations": self.iterations,
                "stop_reason": self.stop_reason,
            },
            ensure_ascii=True,
        )


def stylize(
    content: Any,
    styles: Any,
    recipe: Recipe | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    encoder: Encoder | Callable[[], Encoder] | None = None,
    **changes: Any,
) -> Result:
    """Paints the content image in the manner of the style images.

    Args:
        content: A path, a PIL image, an array, a tensor or a `Picture`; see `impasto.images.as_picture`.
        styles: One of the same, or a sequence of them; each counts the same.
        recipe: What decides the pixels; the default recipe if None.
        device: ``"auto"`` (the first accelerator, else the CPU) or a name that torch knows.
        threads: Processor threads; None leaves torch's setting.
        on_progress: Called with the start and after each iteration.
        control: Pauses, stops or cancels the run from another thread or from `on_progress`.
        encoder: Built before, or how to build it once the pictures are read; by default the recipe's is built.
        changes: Values of the recipe by name, as ``height=600``.

    Returns:
        The picture, and why the run stopped. Whatever the weights, it is finite and in [0, 1].

    Raises:
        RecipeError: If a parameter is unknown or out of its range, or the device is not there.
        ImageError: If a picture cannot be read.
        LayerError: If the encoder does not have a layer that the recipe names.
        WeightsError: If the encoder's weights are not to be had.

    Reference: Gatys, Ecker & Bethge (2016), CVPR, "Image Style Transfer Using Convolutional Neural Networks".
    """
    recipe = (recipe or Recipe()).replace(**changes)
    picture = as_picture(content)
    style_pictures = [as_picture(style) for style in _listed(styles)]
    place = pick_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    if not isinstance(encoder, Encoder):
        encoder = encoder() if encoder is not None else encoder_of(recipe, place)
    recipe = complete(recipe, encoder)
    for warning in recipe.warnings():
        logger.warning("%s", warning)
    engine = build_engine(picture, style_pictures, recipe, encoder, place, control)
    for progress in engine.run():
        if on_progress is not None:
            on_progress(progress)
    return Result(
        image=engine.image.detach().cpu(),
        recipe=recipe,
        content=picture,
        styles=style_pictures,
        iterations=engine.iteration,
        seconds=engine.seconds,
        stop_reason=engine.stop_reason,
        losses=dict(engine.losses),
        is_cancelled=engine.control.is_cancelled,
        weights_sha256=encoder.weights_sha256,
    )


def build_engine(
    content: Picture,
    styles: Sequence[Picture],
    recipe: Recipe,
    encoder: Encoder,
    device: torch.device,
    control: Control | None = None,
) -> Engine:
    """Lays out the levels of a run and gives the engine what it needs at each of them."""
    size = output_size(content.size, height=recipe.height, longest_edge=recipe.size)
    levels = build_pyramid(size, recipe)
    finish = finisher(content, recipe)
    content, styles = prepare(content, styles, recipe)

    def objective_at(level: Level) -> Objective:
        return Objective(
            encoder,
            resize(content.pixels, level.size).to(device),
            [resize(style.pixels, style_size(style.size, level.size)).to(device) for style in styles],
            recipe,
        )

    start = _start(content, styles, recipe, levels[0].size).to(device)
    return Engine(levels, objective_at, start, recipe, resample, control, finish)


def _start(content: Picture, styles: Sequence[Picture], recipe: Recipe, size: tuple[int, int]) -> Tensor:
    """The picture that the recipe starts from, shape (1, 3, *size)."""
    if recipe.init_method == "random":
        return noise(size, recipe.seed)
    if recipe.init_method == "style":
        return fill(styles[0].pixels, size)
    return resize(content.pixels, size)


def style_size(size: tuple[int, int], output: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which a style image is looked at: the output's height, its own aspect ratio.

    Strokes then have the size that they have when both pictures hang side by side. A panorama is kept from taking
    more than `WIDEST_STYLE` times the output's pixels.

    Args:
        size: The style image's height and width.
        output: The output's (on a coarse level, the level's) height and width.
    """
    height, width = output[0], size[1] * output[0] / size[0]
    excess = height * width / (WIDEST_STYLE * output[0] * output[1])
    scale = 1 / max(1.0, excess**0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def encoder_of(recipe: Recipe, device: torch.device) -> Encoder:
    """The encoder that a recipe names, on a device."""
    return build_encoder(
        recipe.model, pooling=recipe.pooling, padding=recipe.padding, precision=recipe.precision, device=device
    )


def complete(recipe: Recipe, encoder: Encoder) -> Recipe:
    """The recipe with the encoder's layers and the optimizer's budget filled in where it leaves them open.

    Raises:
        LayerError: If the recipe names a layer that the encoder does not have.
    """
    filled = {
        "content_layers": recipe.content_layers or encoder.content_layers,
        "style_layers": recipe.style_layers or encoder.style_layers,
        "total_iterations": recipe.num_iterations,
    }
    encoder.check_layers([*filled["content_layers"], *filled["style_layers"]])  # type: ignore[misc]
    return recipe.replace(**filled)


def pick_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is the first accelerator, else the CPU.

    Raises:
        RecipeError: If this machine (or this torch) has no such device.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError):
        raise RecipeError(f"Device '{name}' is not available here; use --device auto or cpu.") from None
    return device


def _listed(styles: Any) -> Sequence[Any]:
    listed: list[Any] = list(styles) if isinstance(styles, list | tuple) else [styles]
    if not listed:
        raise UserError("No style image was given; at least one is needed.")
    return listed
