"""``impasto rerun``: the command of `impasto.runs.rerun`."""

from typing import Annotated, Any

from cyclopts import Parameter

from impasto.cli.options import INPUT, TypedPath, TypedPaths, build, given_values, named_as_typed, with_options
from impasto.cli.painting import paint
from impasto.recipe import Recipe, RunOptions


@with_options(Recipe, RunOptions)
def rerun(
    picture: Annotated[TypedPath, Parameter(name="PICTURE", group=INPUT, help="A picture that Impasto has painted.")],
    /,
    *,
    content_image_path: Annotated[
        TypedPath | None, Parameter(group=INPUT, help="The content picture, instead of the one found by name and hash.")
    ] = None,
    style_image_path: Annotated[
        TypedPaths | None,
        Parameter(group=INPUT, negative=(), help="A style picture, instead of those found; once for each."),
    ] = None,
    **values: Any,
) -> int:
    """Paint a picture again by the recipe that is written in it; options given here override its values."""
    from impasto.runs.rerun import plan_rerun

    changes, options = given_values(Recipe, values), given_values(RunOptions, values)
    with named_as_typed(Recipe, changes):
        request = plan_rerun(
            picture, content=content_image_path, styles=style_image_path or [], masks=list(options), changes=changes
        )
    return paint(
        request.content, request.styles, request.recipe, build(RunOptions, {**options, **request.masks}),
        notes=request.notes,
    )  # fmt: skip
