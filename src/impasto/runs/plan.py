"""A run before its first iteration: where its files go and what it is made from, everything checked that can be."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from impasto.formats.embedded_recipe import check_recipe
from impasto.images import Picture, check_writable, fill_transparent, load_picture, output_size
from impasto.pipeline.build import as_mask
from impasto.pipeline.level_images import check_styles, largest_sizes, style_sizes, target_size
from impasto.pipeline.provenance import Inputs, provenance_of
from impasto.recipe import Recipe, RunOptions
from impasto.recipe.model_names import model_file
from impasto.runs.outputs import Outputs, plan_outputs

__all__ = ["RunPlan", "plan_run"]

logger = logging.getLogger(__name__)

Size = tuple[int, int]
"""Height and width in pixels."""

FAR_LARGER, LARGE_EDGE = 4, 3000
"""An output is warned of whose longest edge is so many times the content's, and has more pixels than this."""

SOFT = 2.0
"""A style image enlarged by more than this has no strokes as fine as the output could show."""


@dataclass(frozen=True)
class RunPlan:
    """What a run will read and write.

    Attributes:
        outputs: The places of its files.
        inputs: The pictures, loaded; large ones at the size that the run needs.
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
        inputs=[content, *styles, *masks, *others], is_pyramid=options.pyramid,
    )  # fmt: skip
    for note in outputs.notes:
        logger.warning("%s", note)
    check_styles(recipe, len(styles), options.content_mask, options.style_mask)
    inputs = _load_inputs(content, styles, recipe, options)
    for mask in (*inputs.content_masks, *inputs.style_masks, *([inputs.lock_mask] if inputs.lock_mask else [])):
        as_mask(mask)
    for picture in (inputs.content, *inputs.styles):
        fill_transparent(picture)
    size = target_size(inputs.content.size, recipe)
    check_writable(outputs.final, size=size, bit_depth=recipe.bit_depth, is_pyramid=options.pyramid)
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


def _load_inputs(content: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions) -> Inputs:
    """The pictures, each no larger than the run looks at it, where it is a large one."""

    def load(path: Path, shrink_to: Callable[[Size], Size], *, is_mask: bool = False) -> Picture:
        picture = load_picture(path, max_pixels=options.max_pixels, shrink_to=shrink_to, is_mask=is_mask)
        for note in picture.notes:
            logger.warning("%s: %s.", path, note)
        return picture

    def content_size(size: Size) -> Size:
        most = largest_sizes(size, [size] * len(styles), target_size(size, recipe), recipe)[0]
        return _least_size(size, most, lambda other: target_size(other, recipe))

    def style_size(size: Size, index: int) -> Size:
        def used_at(other: Size) -> Size:
            return style_sizes([other] * len(styles), output, recipe)[index]

        most = largest_sizes(picture.size, [size] * len(styles), output, recipe)[1][index]
        return _least_size(size, most, used_at)

    picture = load(content, content_size)
    output = target_size(picture.size, recipe)
    style_pictures = [load(path, partial(style_size, index=index)) for index, path in enumerate(styles)]
    style_masks = [
        load(path, partial(lambda size, index: style_pictures[index].size, index=index), is_mask=True)
        for index, path in enumerate(options.style_mask)
    ]
    lock = options.lock_mask
    return Inputs(
        content=picture,
        styles=style_pictures,
        content_masks=[load(mask, lambda _: picture.size, is_mask=True) for mask in options.content_mask],
        style_masks=style_masks,
        lock_mask=None if lock is None else load(lock, lambda _: picture.size, is_mask=True),
    )


def _least_size(size: Size, needed: Size, used_at: Callable[[Size], Size]) -> Size:
    """The size that is needed of a picture, or enough more that rounding does not let the run use it at another one.

    Args:
        size: The picture's own.
        needed: The largest at which the run looks at it.
        used_at: At which size the run uses a picture of some size.
    """
    enlarged = (output_size(size, height=factor * needed[0], longest_edge=None) for factor in (1, 2, 4))
    return next((least for least in (needed, *enlarged) if used_at(least) == used_at(size)), size)
