"""A run before its first iteration: where its files go and what it is made from, everything checked that can be."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto.formats.embedded_recipe import check_recipe
from impasto.images import Picture, check_writable, fill_transparent, load_picture
from impasto.pipeline.build import as_mask
from impasto.pipeline.level_images import check_styles, style_sizes, target_size
from impasto.pipeline.provenance import Inputs, provenance_of
from impasto.recipe import Recipe, RunOptions
from impasto.recipe.model_names import model_file
from impasto.runs.outputs import Outputs, plan_outputs

__all__ = ["RunPlan", "plan_run"]

logger = logging.getLogger(__name__)

FAR_LARGER, LARGE_EDGE = 4, 3000
"""An output is warned of whose longest edge is so many times the content's, and has more pixels than this."""

SOFT = 2.0
"""A style image enlarged by more than this has no strokes as fine as the output could show."""


@dataclass(frozen=True)
class RunPlan:
    """What a run will read and write.

    Attributes:
        outputs: The places of its files.
        inputs: The pictures, loaded.
        size: Height and width of the output in pixels.
    """

    outputs: Outputs
    inputs: Inputs
    size: tuple[int, int]


def plan_run(content: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions) -> RunPlan:
    """Checks what can be checked before anything is computed; what it refuses, a run and a dry run refuse alike.

    Args:
        content: The content image.
        styles: One or several style images.
        recipe: What decides the pixels.
        options: Where the results go; masks; the recipe's file.

    Raises:
        UserError: If a picture cannot be read, pictures and recipe do not suit each other, or the output could not be
            written as asked.
    """
    masks = [*options.content_mask, *options.style_mask, *([options.lock_mask] if options.lock_mask else [])]
    others = filter(None, (options.recipe_file, model_file(recipe.model)))
    outputs = plan_outputs(
        options.output_file, overwrite=options.overwrite, resume=options.resume,
        inputs=[content, *styles, *masks, *others],
    )  # fmt: skip
    for note in outputs.notes:
        logger.warning("%s", note)
    check_styles(recipe, len(styles), options.content_mask, options.style_mask)
    inputs = Inputs(
        content=_load(content, options.max_pixels),
        styles=[_load(style, options.max_pixels) for style in styles],
        content_masks=[_load(mask, options.max_pixels) for mask in options.content_mask],
        style_masks=[_load(mask, options.max_pixels) for mask in options.style_mask],
        lock_mask=None if options.lock_mask is None else _load(options.lock_mask, options.max_pixels),
    )
    for mask in (*inputs.content_masks, *inputs.style_masks, *([inputs.lock_mask] if inputs.lock_mask else [])):
        as_mask(mask)
    for picture in (inputs.content, *inputs.styles):
        fill_transparent(picture)
    size = target_size(inputs.content.size, recipe)
    check_writable(outputs.final, size=size, bit_depth=recipe.bit_depth)
    check_recipe(json.dumps(provenance_of(recipe, inputs, "0" * 64, "0" * 64), ensure_ascii=True))
    _warn_of_size(size, inputs.content.size)
    _warn_of_soft_strokes(inputs.styles, size, recipe)
    return RunPlan(outputs, inputs, size)


def _warn_of_size(size: tuple[int, int], content_size: tuple[int, int]) -> None:
    """Says so where the output is far larger than the content, as a strip is at a usual height."""
    factor = max(size) / max(content_size)
    if factor > FAR_LARGER and max(size) > LARGE_EDGE:
        logger.warning(
            "The output has %d×%d pixels, an edge %.0f times the content's; --size sets its longest edge instead.",
            size[1], size[0], factor,
        )  # fmt: skip


def _warn_of_soft_strokes(styles: Sequence[Picture], size: tuple[int, int], recipe: Recipe) -> None:
    """Says so where a style image is used far larger than it is."""
    used_sizes = style_sizes([style.size for style in styles], size, recipe)
    for style, used in zip(styles, used_sizes, strict=True):
        factor = used[0] / style.size[0]
        if factor > SOFT:
            logger.warning(
                "%s has %d×%d pixels and is used at %.1f times that size, so its strokes will be soft; take a larger "
                "picture of it, or finer strokes with a smaller --style-scale.",
                style.name or "The style image", style.size[1], style.size[0], factor,
            )  # fmt: skip


def _load(path: Path, max_pixels: int) -> Picture:
    picture = load_picture(path, max_pixels=max_pixels)
    for note in picture.notes:
        logger.warning("%s: %s.", path, note)
    return picture
