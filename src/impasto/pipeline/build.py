"""Wires a run together: encoder, level images, objectives and engine."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from impasto.devices import mmap_temporaries, release_freed_pages, retain_freed_pages
from impasto.encoders import Encoder, build_encoder
from impasto.encoders.bias_corrected import BiasCorrectedEncoder
from impasto.encoders.compact import Compact
from impasto.encoders.weights.store import OnDownload
from impasto.engine import Control, Engine, Problem
from impasto.engine.pyramid import Level, build_pyramid
from impasto.images import Picture, fill_transparent
from impasto.objective.masks import check_mask, check_pairs, resize_mask
from impasto.objective.objective import Objective
from impasto.objective.view import is_tiled
from impasto.objective.weighting import style_layers_of
from impasto.optimizers.scratch import Scratch
from impasto.pipeline.color_preservation import finisher, prepare, style_colors
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
    scratch: Path | None = None,
    shared_by: Callable[["StyleTransfer"], Problem] | None = None,
) -> Engine:
    """Plans the levels of a run and builds its engine.

    Args:
        inputs: The pictures.
        recipe: As resolved.
        encoder: The recipe's.
        device: Where it computes.
        control: As in `Engine`.
        finishing_encoder: As in `StyleTransfer`.
        scratch: A folder for what does not fit into memory.
        shared_by: Makes the problem one that several processes share.
    """
    transfer = StyleTransfer(inputs, recipe, encoder, device, finishing_encoder)
    problem = transfer if shared_by is None else shared_by(transfer)
    folder = None if scratch is None else Scratch(scratch)
    return Engine(build_pyramid(transfer.size, recipe), problem, recipe, control, folder)


class StyleTransfer:
    """Style transfer as an `impasto.engine.Problem`, built from a run's inputs.

    Args:
        inputs: The pictures.
        recipe: With layers and budget filled in.
        encoder: The run's encoder, on the device.
        device: Where it computes.
        finishing_encoder: Computes the last iterations, and corrects the run's encoder before them; None for none.

    Attributes:
        size: Height and width of the output.
    """

    def __init__(
        self,
        inputs: Inputs,
        recipe: Recipe,
        encoder: Encoder,
        device: torch.device,
        finishing_encoder: Encoder | None = None,
    ) -> None:
        self.size = target_size(inputs.content.size, recipe)
        largest = largest_sizes(inputs.content.size, [style.size for style in inputs.styles], self.size, recipe)
        self._content = fill_transparent(inputs.content)
        content, styles = prepare(self._content, [fill_transparent(s) for s in inputs.styles], recipe, *largest)
        self._images = LevelImages(
            content.pixels,
            [style.pixels for style in styles],
            recipe,
            encoder,
            device,
            content_masks=[as_mask(mask) for mask in inputs.content_masks],
            style_masks=_style_masks(inputs),
            lock_mask=None if inputs.lock_mask is None else as_mask(inputs.lock_mask),
            visible=_visible(inputs.content),
        )
        self._device = device
        self._encoder, self._finishing_encoder = encoder, finishing_encoder
        self._restore_colors = finisher(self._content, recipe)
        self._match_colors = self._color_matching(recipe)
        self._ready: tuple[Recipe, Objective] | None = (
            None  # of the finish, prepared when its encoder runs for the correction
        )
        self.start, self.resample, self.enlarge = self._images.start, self._images.resample, self._images.enlarged

    def objective(self, level: Level, recipe: Recipe, begin: Tensor) -> Objective:
        """See `impasto.engine.Problem`."""
        encoders = [encoder for encoder in (self._encoder, self._finishing_encoder) if encoder is not None]
        retains = self._device.type == "cpu" and not any(encoder.is_low_memory for encoder in encoders)
        with mmap_temporaries(retain_freed_pages if retains else release_freed_pages):
            if self._finishing_encoder is not None and level.is_finish:
                return self._finishing_objective(level, recipe, self._finishing_encoder, begin)
            # The correction is a map of the whole picture, which a picture in tiles has no room for.
            is_whole = not is_tiled(level.size, recipe.tile_edge)
            corrects = level.is_corrected and is_whole
            if self._finishing_encoder is not None and corrects and isinstance(self._encoder, Compact):
                return self._corrected_objective(level, recipe, begin, self._encoder, self._finishing_encoder)
            return self._images.objective(level.size, recipe, begin=begin, matching=level.matching)

    def _finishing_objective(
        self, level: Level, recipe: Recipe, finishing_encoder: Encoder, begin: Tensor
    ) -> Objective:
        recipe = for_encoder(recipe, finishing_encoder)
        if self._ready is not None and self._ready[0] == recipe:
            return self._ready[1]
        return self._images.objective(
            level.size, recipe, finishing_encoder, begin=begin, matching=level.matching
        )  # fmt: skip

    def _corrected_objective(
        self, level: Level, recipe: Recipe, begin: Tensor, student: Compact, teacher: Encoder
    ) -> Objective:
        """For the corrected encoder; the objective of the finish is made here too, from the same forward passes."""
        corrected = BiasCorrectedEncoder(student, teacher, begin)
        finishing = for_encoder(recipe, teacher)
        self._ready = finishing, self._images.objective(level.size, finishing, teacher, corrected.recording_teacher())
        return self._images.objective(level.size, recipe, corrected)

    def postprocess(self, image: Tensor) -> Tensor:
        """See `impasto.engine.Problem`: restores the content's colors, and the content where it is locked."""
        return self._images.keep_locked(self._restore_colors(self._match_colors(image)), self._content)

    def _color_matching(self, recipe: Recipe) -> Callable[[Tensor], Tensor]:
        """What brings the colors of nearest neighbors to the styles'; nothing where styles have regions."""
        images = self._images
        if (
            recipe.style_loss != "neighbors"
            or recipe.auto_mask
            or any(mask is not None for mask in images.content_masks)
        ):
            return lambda image: image
        return style_colors(images.styles, images.style_masks, images.blend, recipe)

    def save_memory(self) -> str:
        """See `impasto.engine.Problem`: switches on the encoders' low-memory mode."""
        encoders = [encoder for encoder in (self._encoder, self._finishing_encoder) if encoder is not None]
        able = [encoder for encoder in encoders if encoder.supports_low_memory and not encoder.is_low_memory]
        for encoder in able:
            encoder.is_low_memory = True
        if not able:
            return ""
        release_freed_pages()
        return "activations are kept as bytes, slower, the same picture"


def as_mask(picture: Picture) -> Tensor:
    """A mask from a picture's brightness, shape (1, 1, H, W); transparency is outside."""
    mask = picture.pixels.mean(dim=1, keepdim=True)
    return check_mask(mask if picture.alpha is None else mask * picture.alpha, picture.name or "mask")


def _visible(picture: Picture) -> Tensor | None:
    """A picture's alpha as a mask, shape (1, 1, H, W); None if the picture is opaque."""
    return None if picture.alpha is None or bool((picture.alpha == 1).all()) else picture.alpha


def _style_masks(inputs: Inputs) -> list[Tensor | None]:
    """Each style's mask, restricted to its visible part; None if all of it is taken."""
    given: Sequence[Picture | None] = inputs.style_masks or [None] * len(inputs.styles)
    check_pairs(len(inputs.styles), (), inputs.style_masks)
    masks: list[Tensor | None] = []
    for style, picture in zip(inputs.styles, given, strict=True):
        mask, visible = None if picture is None else as_mask(picture), _visible(style)
        if mask is not None and visible is not None:
            name = picture.name if picture is not None else ""
            mask = check_mask(resize_mask(mask, style.size) * visible, f"{name} within what is visible of {style.name}")
        masks.append(visible if mask is None else mask)
    return masks


def encoder_of(
    recipe: Recipe, device: torch.device, on_download: OnDownload | None = None, *, trust: bool = False
) -> Encoder:
    """The encoder that a recipe names, on a device; `on_download` receives a download's bytes so far and in total."""
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
    """The recipe with layers and budget filled in where they are open, and patterns replaced by matching layers.

    Raises:
        LayerError: If the recipe names a layer that the encoder does not have.
    """
    filled = {
        "content_layers": encoder.expand_layers(recipe.content_layers or encoder.content_layers),
        "style_layers": encoder.expand_layers(recipe.style_layers or style_layers_of(recipe, encoder)),
        "total_iterations": recipe.num_iterations,
        "plateau": recipe.plateau_fraction,
        "precision": encoder.precision,
    }
    return recipe.replace(**filled)


def for_encoder(recipe: Recipe, encoder: Encoder) -> Recipe:
    """The recipe, with the encoder's own layers instead of its layers if the encoder lacks any of them."""
    own = {"content_layers": encoder.content_layers, "style_layers": style_layers_of(recipe, encoder)}
    return recipe.replace(
        **{
            name: layers if set(getattr(recipe, name) or {}) - set(encoder.layers) else getattr(recipe, name) or layers
            for name, layers in own.items()
        }
    )
