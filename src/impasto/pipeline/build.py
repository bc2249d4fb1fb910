"""Wires a run together: encoder, level images, objectives and engine."""

import logging

import torch
from torch import Tensor

from impasto.devices import mmap_temporaries, release_freed_pages, retain_freed_pages
from impasto.encoders import Encoder, build_encoder
from impasto.encoders.bias_corrected import Corrected, Overheard, Translated
from impasto.encoders.compact import Compact
from impasto.encoders.weights.store import OnDownload
from impasto.engine import Control, Engine
from impasto.engine.pyramid import Level, build_pyramid
from impasto.images import Picture
from impasto.objective.masks import check_mask
from impasto.objective.objective import Objective
from impasto.pipeline.color_preservation import finisher, prepare
from impasto.pipeline.level_images import LevelImages, largest_sizes, target_size
from impasto.pipeline.provenance import Inputs
from impasto.recipe import Recipe

logger = logging.getLogger(__name__)


def build_engine(
    inputs: Inputs,
    recipe: Recipe,
    encoder: Encoder,
    device: torch.device,
    control: Control | None = None,
    finishing_encoder: Encoder | None = None,
) -> Engine:
    """Lays out the levels of a run and gives the engine what it needs at each of them."""
    size = target_size(inputs.content.size, recipe)
    largest = largest_sizes(inputs.content.size, [style.size for style in inputs.styles], size, recipe)
    content, styles = prepare(inputs.content, inputs.styles, recipe, *largest)
    scene = LevelImages(
        content.pixels,
        [style.pixels for style in styles],
        recipe,
        encoder,
        device,
        content_masks=[_as_mask(mask) for mask in inputs.content_masks],
        style_masks=[_as_mask(mask) for mask in inputs.style_masks],
        lock_mask=None if inputs.lock_mask is None else _as_mask(inputs.lock_mask),
    )
    levels = build_pyramid(size, recipe)
    finish_color = finisher(inputs.content, recipe)

    finish: list[tuple[Recipe, Objective]] = []  # made ready when its encoder looks at the pictures anyway

    def objective_at(level: Level, now: Recipe, begin: Tensor) -> Objective:
        is_low_memory = encoder.is_low_memory or (finishing_encoder is not None and finishing_encoder.is_low_memory)
        keeps = device.type == "cpu" and not is_low_memory
        with mmap_temporaries(retain_freed_pages if keeps else release_freed_pages):
            return make_objective(level, now, begin)

    def make_objective(level: Level, now: Recipe, begin: Tensor) -> Objective:
        if finishing_encoder is None or not (level.is_finish or level.is_corrected):
            return scene.objective(level.size, now)
        finishing = for_encoder(now, finishing_encoder)
        if level.is_finish:
            ready = [objective for recipe, objective in finish if recipe == finishing]
            return ready[0] if ready else scene.objective(level.size, finishing, finishing_encoder)
        if not isinstance(encoder, Compact):
            return scene.objective(level.size, now)
        translated = Translated(encoder, finishing_encoder)
        objective = scene.objective(level.size, finishing, finishing_encoder, Overheard(translated))
        finish[:] = [(finishing, objective)]
        return scene.objective(level.size, now, Corrected(translated, begin), translated)

    return Engine(
        levels,
        objective_at,
        scene.start(levels[0].size),
        recipe,
        scene.resample,
        control,
        lambda image: scene.keep_locked(finish_color(image), inputs.content),
        lambda: _save_encoder_memory(encoder, finishing_encoder),
        scene.enlarged,
    )


def _save_encoder_memory(*encoders: Encoder | None) -> str:
    """Makes encoders lean that can be and are not yet; says so, or nothing if there are none."""
    able = [
        encoder
        for encoder in encoders
        if encoder is not None and encoder.supports_low_memory and not encoder.is_low_memory
    ]
    for encoder in able:
        encoder.is_low_memory = True
    if not able:
        return ""
    release_freed_pages()
    return "activations are kept as bytes, a little slower, the same picture"


def _as_mask(picture: Picture) -> Tensor:
    """A picture's brightness as a mask, shape (1, 1, H, W); transparency is outside."""
    mask = picture.pixels.mean(dim=1, keepdim=True)
    return check_mask(mask if picture.alpha is None else mask * picture.alpha, picture.name or "mask")


def encoder_of(
    recipe: Recipe, device: torch.device, on_download: OnDownload | None = None, *, trust: bool = False
) -> Encoder:
    """The encoder that a recipe names, on a device; `on_download` is told of a download's bytes so far and in all."""
    return build_encoder(
        recipe.model,
        pooling=recipe.pooling,
        padding="circular" if recipe.tileable else recipe.padding,
        precision=recipe.precision,
        smoothing=recipe.smoothing,
        trust=trust,
        device=device,
        on_download=on_download,
    )


def complete(recipe: Recipe, encoder: Encoder) -> Recipe:
    """The recipe with layers and budget filled in where it leaves them open, and patterns by the layers they match.

    Raises:
        LayerError: If the recipe names a layer that the encoder does not have.
    """
    filled = {
        "content_layers": encoder.expand_layers(recipe.content_layers or encoder.content_layers),
        "style_layers": encoder.expand_layers(recipe.style_layers or encoder.style_layers),
        "total_iterations": recipe.num_iterations,
    }
    return recipe.replace(**filled)


def for_encoder(recipe: Recipe, encoder: Encoder) -> Recipe:
    """The recipe with its layers, where an encoder has all of them, else with the encoder's own."""
    own = {"content_layers": encoder.content_layers, "style_layers": encoder.style_layers}
    return recipe.replace(
        **{
            name: layers if set(getattr(recipe, name) or {}) - set(encoder.layers) else getattr(recipe, name) or layers
            for name, layers in own.items()
        }
    )
