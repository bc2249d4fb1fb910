"""``impasto stylize``: which pictures, which recipe."""

from typing import Annotated, Any

from cyclopts import Parameter

from impasto.cli.options import INPUT, TypedPath, TypedPaths, build, with_options
from impasto.cli.painting import paint
from impasto.errors import UserError
from impasto.recipe import Recipe, RunOptions


@with_options(Recipe, RunOptions)
def stylize(
    *pictures: Annotated[
        TypedPath,
        Parameter(
            name="PICTURES", group=INPUT, help="CONTENT, a picture or a folder of pictures; then one STYLE or several."
        ),
    ],
    content_image_path: Annotated[
        TypedPath | None, Parameter(group=INPUT, help="The content picture or folder, instead of by position.")
    ] = None,
    style_image_path: Annotated[
        TypedPaths | None,
        Parameter(group=INPUT, negative=(), help="A style picture, instead of by position; once for each."),
    ] = None,
    recipe: Annotated[
        TypedPath | None,
        Parameter(group=INPUT, help="A recipe as .toml or .json; options given here override its values."),
    ] = None,
    **values: Any,
) -> int:
    """Paint CONTENT, a picture or a folder of pictures, in the style of one or several pictures."""
    given = [*([content_image_path] if content_image_path else []), *pictures, *(style_image_path or [])]
    has_content = bool(content_image_path or pictures)
    if not has_content or len(given) < 2:
        missing = "style" if has_content else "content"
        raise UserError(
            f"No {missing} picture is given; write: impasto stylize CONTENT STYLE, or name them by "
            "--content-image-path and --style-image-path."
        )
    content, *styles = given
    base = None if recipe is None else Recipe.from_file(recipe)
    return paint(
        content, styles, build(Recipe, values, base), build(RunOptions, values).replace(recipe_file=recipe)
    )  # fmt: skip
