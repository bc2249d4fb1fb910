"""``impasto rerun``: the recipe, the inputs and the weights of a picture, found again."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from impasto.cli.options import INPUT, build, with_options
from impasto.cli.painting import paint
from impasto.errors import ImageError
from impasto.recipe import Recipe, RunOptions

_PICTURE_OPTIONS = "--content-image-path or --style-image-path"


@with_options(Recipe, RunOptions)
def rerun(
    picture: Annotated[Path, Parameter(name="PICTURE", group=INPUT, help="A picture that Impasto has painted.")],
    /,
    *,
    content_image_path: Annotated[
        Path | None, Parameter(group=INPUT, help="The content picture, instead of the one found by name and hash.")
    ] = None,
    style_image_path: Annotated[
        list[Path] | None,
        Parameter(group=INPUT, negative=(), help="A style picture, instead of those found; once for each."),
    ] = None,
    **values: Any,
) -> int:
    """Paint a picture again by the recipe that is written in it; options given here override its values."""
    provenance = read_provenance(picture)
    notes: list[str] = []
    given_styles: Sequence[Path | None] = style_image_path or [None] * len(provenance.styles)
    given = [content_image_path, *given_styles]
    recorded: list[InputFile | None] = [provenance.content, *provenance.styles]
    if len(given) != len(recorded):
        # Another number of styles is another picture; there is nothing to compare them with.
        recorded[1:] = [None] * (len(given) - 1)
    content, *styles = (_locate(*pair, near=picture, notes=notes) for pair in zip(given, recorded, strict=True))
    recipe = _recipe(provenance, values, near=picture, notes=notes)
    # Masks that were given here replace the recorded ones; the others are looked for like the pictures.
    masks = {
        name: [_locate(None, file, near=picture, notes=notes) for file in files]
        for name, files in provenance.masks.items()
        if values.get(name) is None
    }
    found = {name: paths[0] if name == "lock_mask" else paths for name, paths in masks.items() if paths}
    return paint(content, styles, recipe, build(RunOptions, values | found), notes=notes)


@dataclass(frozen=True)
class InputFile:
    """What a picture remembers of one of its inputs: base name and SHA-256 of the file."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What a picture remembers of its making."""

    recipe: Mapping[str, Any]
    content: InputFile
    styles: Sequence[InputFile]
    masks: Mapping[str, Sequence[InputFile]]  # by the run option that takes them
    weights_sha256: str


def read_provenance(picture: Path) -> Provenance:
    """Reads what `Result.provenance` wrote into a picture.

    Raises:
        ImageError: If the file is no picture, or holds no such text.
    """
    from impasto.images import read_recipe_json

    text = read_recipe_json(picture)
    try:
        values = json.loads(text)
        return Provenance(
            recipe=dict(values["recipe"]),
            content=InputFile(**values["content"]),
            styles=[InputFile(**style) for style in values["styles"]],
            masks={
                "content_mask": [InputFile(**mask) for mask in values.get("content_masks", [])],
                "style_mask": [InputFile(**mask) for mask in values.get("style_masks", [])],
                "lock_mask": [InputFile(**values["lock_mask"])] if "lock_mask" in values else [],
            },
            weights_sha256=str(values["weights_sha256"]),
        )
    except (ValueError, TypeError, KeyError):
        raise ImageError(
            f"The recipe in '{picture}' is damaged or of another version; use impasto stylize --recipe instead."
        ) from None


def _recipe(provenance: Provenance, values: Mapping[str, Any], *, near: Path, notes: list[str]) -> Recipe:
    """The recorded recipe under the given values, with the file of a custom model found again."""
    from impasto.recipe.model_names import model_file, public_name

    recorded, given = str(provenance.recipe.get("model", "")), values.get("model")
    recorded_file, given_file = model_file(recorded), model_file(given or "")
    is_other_model = given is not None and public_name(given) != recorded
    if recorded_file is None or is_other_model:
        recipe = build(Recipe, values, _base(provenance.recipe, is_other_model=given is not None))
        notes += _other_weights(provenance, recipe)
        return recipe
    identity = InputFile(recorded_file.name, provenance.weights_sha256)
    file = _locate(given_file, identity, near=near, notes=notes, option="--model")
    model = str(file) + recorded.removeprefix(recorded_file.name)
    return build(Recipe, {**values, "model": model}, _base(provenance.recipe, is_other_model=False))


def _base(values: Mapping[str, Any], *, is_other_model: bool) -> Recipe:
    """The recorded recipe, only what differs from the defaults counting as set, so that no option warns in vain."""
    defaults = {name: field.default for name, field in Recipe.model_fields.items()}
    layers = {"content_layers", "style_layers"} if is_other_model else set()
    set_values = {name: value for name, value in values.items() if value != defaults.get(name, ...)}
    return Recipe(**{name: value for name, value in set_values.items() if name not in layers})


def _locate(
    given: Path | None, recorded: InputFile | None, *, near: Path, notes: list[str], option: str = _PICTURE_OPTIONS
) -> Path:
    """The file to use for one input: the given one, or the recorded one where it can be found."""
    if given is not None:
        if recorded is not None and given.is_file() and _sha256(given) != recorded.sha256:
            notes.append(f"{given} is not the {recorded.name} of {near}; the picture will differ.")
        return given
    if recorded is None or not recorded.name:
        raise ImageError(
            f"'{near}' was painted from pictures that were no files; give them by --content-image-path and "
            "--style-image-path."
        )
    folders = list(dict.fromkeys([near.parent, near.parent.parent, Path()]))
    for path in _candidates(folders, recorded.name):
        if _sha256(path) == recorded.sha256:
            return path
    namesakes = [folder / recorded.name for folder in folders if (folder / recorded.name).is_file()]
    found = f"'{namesakes[0]}' has other content" if namesakes else "it is not there"
    raise ImageError(
        f"'{near}' was painted from '{recorded.name}', and {found} (looked in "
        f"{', '.join(repr(str(folder)) for folder in folders)}); give it by {option}."
    )


def _candidates(folders: Sequence[Path], name: str) -> Iterator[Path]:
    """Files of that name first; then, as the file may have been renamed, the other files beside the picture."""
    yield from (folder / name for folder in folders if (folder / name).is_file())
    renamed = (path for path in sorted(folders[0].iterdir()) if path.suffix == Path(name).suffix)
    yield from (path for path in renamed if path.name != name and path.is_file())


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"Cannot read '{path}': {error.strerror}.") from None


def _other_weights(provenance: Provenance, recipe: Recipe) -> list[str]:
    """A warning if the weights on this machine are not those that the picture was painted with."""
    from impasto.encoders.weights.store import describe
    from impasto.recipe.model_names import is_custom

    if recipe.model != provenance.recipe.get("model") or is_custom(recipe.model):
        return []
    sha256 = describe(recipe.model).sha256
    if not sha256 or not provenance.weights_sha256 or sha256 == provenance.weights_sha256:
        return []
    return [f"the weights of {recipe.model} differ from those of the recorded run; the picture will differ."]
