"""A picture painted again: its provenance, its inputs found by name and hash, and the recipe for the rerun."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from impasto.errors import ImageError, RecipeError
from impasto.formats.files import is_file
from impasto.images import read_recipe_json
from impasto.recipe import Recipe
from impasto.recipe.files import parse_json
from impasto.recipe.messages import shortened
from impasto.recipe.model_names import is_custom, model_file, public_name

__all__ = ["InputFile", "Provenance", "RerunRequest", "plan_rerun", "read_provenance", "sha256_of"]

_PICTURE_OPTIONS = "--content-image-path or --style-image-path"


@dataclass(frozen=True)
class InputFile:
    """What a picture remembers of one of its inputs: base name and SHA-256 of the file."""

    name: str
    sha256: str

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Takes what was written; raises `TypeError` or `KeyError` if it is anything else."""
        if not all(isinstance(values[field], str) for field in ("name", "sha256")):
            raise TypeError("name and hash must be text")
        return cls(**values)


@dataclass(frozen=True)
class Provenance:
    """What a picture remembers of its making.

    Attributes:
        values: All of it, as `impasto.pipeline.api.Result.provenance` wrote it.
        recipe: The resolved recipe.
        content: The content image.
        styles: The style images.
        masks: By the run option that takes them.
        weights_sha256: Of the encoder's weights; of its file, if it is a custom model.
        iterations: How many were spent.
        stop_reason: Why the run ended.
    """

    values: Mapping[str, Any]
    recipe: Mapping[str, Any]
    content: InputFile
    styles: Sequence[InputFile]
    masks: Mapping[str, Sequence[InputFile]]
    weights_sha256: str
    iterations: int
    stop_reason: str


@dataclass(frozen=True)
class RerunRequest:
    """What is to be run to paint a picture again.

    Attributes:
        content: The content image.
        styles: The style images.
        recipe: The recorded recipe under the given values.
        masks: Values of `RunOptions` for the recorded masks that were not given anew.
        notes: Why the picture will differ, in sentences.
    """

    content: Path
    styles: Sequence[Path]
    recipe: Recipe
    masks: Mapping[str, Any]
    notes: Sequence[str]


def read_provenance(picture: Path) -> Provenance:
    """Reads what `impasto.pipeline.api.Result.provenance` wrote into a picture.

    Raises:
        ImageError: If the file is not a readable image, or holds no such text.
    """
    text = read_recipe_json(picture)
    try:
        values = parse_json(text)
        return Provenance(
            values=values,
            recipe=dict(values["recipe"]),
            content=InputFile.read(values["content"]),
            styles=[InputFile.read(style) for style in values["styles"]],
            masks={
                "content_mask": [InputFile.read(mask) for mask in values.get("content_masks", [])],
                "style_mask": [InputFile.read(mask) for mask in values.get("style_masks", [])],
                "lock_mask": [InputFile.read(values["lock_mask"])] if "lock_mask" in values else [],
            },
            weights_sha256=str(values["weights_sha256"]),
            iterations=int(values.get("iterations", 0)),
            stop_reason=str(values.get("stop_reason", "")),
        )
    except (RecipeError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise ImageError(
            f"The recipe in '{picture}' is damaged or of another version; use impasto stylize --recipe instead."
        ) from None


def plan_rerun(
    picture: Path,
    *,
    content: Path | None = None,
    styles: Sequence[Path] = (),
    masks: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> RerunRequest:
    """Finds again what a picture was painted from.

    Args:
        picture: A picture that Impasto has painted.
        content: The content image, instead of the recorded one.
        styles: The style images, instead of the recorded ones.
        masks: Names of the run options for masks that are given anew; the recorded ones are then not looked for.
        changes: Values of the recipe by name, instead of the recorded ones.

    Raises:
        ImageError: If the picture holds no recipe, or an input is neither given nor found.
        RecipeError: If a value is out of its range.
    """
    provenance = read_provenance(picture)
    search = _Search(picture)
    given_styles: Sequence[Path | None] = styles or [None] * len(provenance.styles)
    given = [content, *given_styles]
    recorded: list[InputFile | None] = [provenance.content, *provenance.styles]
    if len(given) != len(recorded):
        # Another number of styles is another picture; there is nothing to compare them with.
        recorded[1:] = [None] * (len(given) - 1)
    found_content, *found_styles = (search.locate(*pair) for pair in zip(given, recorded, strict=True))
    recipe = _recipe(provenance, dict(changes or {}), search)
    found = {
        name: [search.locate(None, file) for file in files]
        for name, files in provenance.masks.items()
        if files and name not in masks
    }
    mask_values = {name: paths[0] if name == "lock_mask" else paths for name, paths in found.items()}
    return RerunRequest(found_content, found_styles, recipe, mask_values, search.notes)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        ImageError: If it cannot be read.
    """
    try:
        if not path.is_file():
            raise ImageError(f"There is no file '{path}'. Check the path.")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"Cannot read '{path}': {error.strerror}.") from None


def _recipe(provenance: Provenance, changes: dict[str, Any], search: "_Search") -> Recipe:
    """The recorded recipe under the given values, with the file of a custom model found again."""
    recorded, given = str(provenance.recipe.get("model", "")), changes.get("model")
    recorded_file, given_file = model_file(recorded), model_file(given or "")
    is_other_model = given is not None and public_name(given) != recorded
    if recorded_file is None or is_other_model:
        recipe = _base(provenance.recipe, is_other_model=given is not None).replace(**changes)
        search.notes += _other_weights(provenance, recipe)
        return recipe
    identity = InputFile(recorded_file.name, provenance.weights_sha256)
    file = search.locate(given_file, identity, option="--model")
    model = str(file) + recorded.removeprefix(recorded_file.name)
    return _base(provenance.recipe, is_other_model=False).replace(**{**changes, "model": model})


def _base(values: Mapping[str, Any], *, is_other_model: bool) -> Recipe:
    """The recorded recipe, only what differs from the defaults counting as set, so that no option warns in vain."""
    values = {"look": "classic", **values}  # of pictures from before there were looks
    defaults = Recipe(look=values["look"]).model_dump() | {"look": None}
    layers = {"content_layers", "style_layers"} if is_other_model else set()
    set_values = {name: value for name, value in values.items() if value != defaults.get(name, ...)}
    return Recipe(**{name: value for name, value in set_values.items() if name not in layers})


class _Search:
    """Looks for inputs in the picture's folder, the one above it and the current one.

    The folders are those of the path as it was given and of the file that it leads to, however it was typed.
    """

    def __init__(self, picture: Path) -> None:
        self.notes: list[str] = []
        self._picture = picture
        places = [Path(normalize(picture)) for normalize in _NORMALIZERS]
        folders = [*(place.parent for place in places), *(place.parent.parent for place in places), Path.cwd()]
        self._folders = list({os.path.realpath(folder): _as_typed(folder) for folder in reversed(folders)}.values())
        self._folders.reverse()
        self._beside = list(dict.fromkeys(_as_typed(place.parent) for place in places))

    def locate(self, given: Path | None, recorded: InputFile | None, option: str = _PICTURE_OPTIONS) -> Path:
        """The file to use for one input: the given one, or the recorded one where it can be found."""
        if given is not None:
            if recorded is not None and is_file(given) and sha256_of(given) != recorded.sha256:
                self.notes.append(
                    f"{given} is not the {shortened(recorded.name)} of {self._picture}; the picture will differ."
                )
            return given
        if recorded is None or not recorded.name:
            raise ImageError(
                f"'{self._picture}' was painted from pictures that were no files; give them by --content-image-path "
                "and --style-image-path."
            )
        for path in self._candidates(recorded.name):
            if _has_sha256(path, recorded.sha256):
                return path
        namesakes = [folder / recorded.name for folder in self._folders if is_file(folder / recorded.name)]
        found = f"'{shortened(str(namesakes[0]), 300)}' has other content" if namesakes else "it is not there"
        raise ImageError(
            f"'{self._picture}' was painted from '{shortened(recorded.name)}', and {found} (looked in "
            f"{', '.join(repr(str(folder)) for folder in self._folders)}); give it by {option}."
        )

    def _candidates(self, name: str) -> Iterator[Path]:
        """Files of that name first; then, as the file may have been renamed, the other files beside the picture."""
        yield from (folder / name for folder in self._folders if is_file(folder / name))
        for folder in self._beside:
            renamed = (path for path in _files_in(folder) if path.suffix == Path(name).suffix)
            yield from (path for path in renamed if path.name != name and is_file(path))


_NORMALIZERS: Sequence[Callable[[Path], str]] = (os.path.abspath, os.path.realpath)
"""The path as typed and, through all links, the file's own."""


def _as_typed(folder: Path) -> Path:
    """A folder as a person would write it: from the current one, if it lies in there."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _files_in(folder: Path) -> Sequence[Path]:
    """What is in a folder, by name; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _has_sha256(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except ImageError:  # somebody's unreadable file is not what is looked for
        return False


def _other_weights(provenance: Provenance, recipe: Recipe) -> list[str]:
    """A warning if the weights on this machine are not those that the picture was painted with."""
    from impasto.encoders.weights.store import describe

    if recipe.model != provenance.recipe.get("model") or is_custom(recipe.model):
        return []
    sha256 = describe(recipe.model).sha256
    if not sha256 or not provenance.weights_sha256 or sha256 == provenance.weights_sha256:
        return []
    return [f"the weights of {recipe.model} differ from those of the recorded run; the picture will differ."]
