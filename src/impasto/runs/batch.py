"""A folder of pictures as a batch: which of them are painted, where each goes, and what is passed over."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImageError, OutputError
from impasto.formats.files import names_a_picture
from impasto.images import read_recipe_json
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.recipe.model_names import public_name
from impasto.runs.outputs import has_checkpoint, next_free
from impasto.runs.outputs import names_a_picture as is_picture_file

__all__ = ["Batch", "pictures_in", "plan_batch"]


@dataclass(frozen=True)
class Batch:
    """What is to be painted.

    Attributes:
        jobs: Each picture with the options of its run.
        passed_over: A sentence for each picture that is finished already.
        notes: Sentences on files that are no pictures, and on names that were taken.
    """

    jobs: Sequence[tuple[Path, RunOptions]]
    passed_over: Sequence[str] = ()
    notes: Sequence[str] = ()


def plan_batch(folder: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions) -> Batch:
    """Decides where each picture of a folder goes: to ``STEM.png`` in the output folder, and never two to one place.

    Args:
        folder: With the pictures.
        styles: Style images, to tell a finished picture of these from others.
        recipe: What decides the pixels, likewise.
        options: Where the results go; whether a batch goes on.

    Raises:
        ImageError: If the folder cannot be read or holds no picture.
        OutputError: If the output is no folder.
    """
    target = options.output_file
    if is_picture_file(target):
        raise OutputError(f"'{folder}' is a folder, so --output-file must be one too; got '{target}'.")
    pictures, num_others = pictures_in(folder)
    notes = (
        [f"{num_others} of {num_others + len(pictures)} files in '{folder}' are not pictures."] if num_others else []
    )
    jobs, passed_over = [], []
    hashes = [_sha256(style) for style in styles] if options.resume else []
    for picture, name in zip(pictures, _names(pictures), strict=True):
        file = target / f"{name}.png"
        if not options.resume:
            jobs.append((picture, options.replace(output_file=file if options.overwrite else _next_free(file))))
            continue
        values = _provenance(file)
        if values is not None and _is_finished(values, recipe, [_sha256(picture), *hashes]):
            passed_over.append(f"{picture}: passed over, '{file}' is finished.")
        elif file.exists() and values is None:
            notes.append(f"'{file}' was not painted by Impasto and stays; '{picture}' is painted beside it.")
            jobs.append((picture, options.replace(output_file=_next_free(file), resume=False)))
        else:  # begun and not finished, or finished from other pictures or by another recipe
            goes_on = has_checkpoint(file) and (values is None or _same(values, recipe, [_sha256(picture), *hashes]))
            jobs.append((picture, options.replace(output_file=file, resume=goes_on, overwrite=True)))
    return Batch(jobs, passed_over, notes)


def pictures_in(folder: Path) -> tuple[list[Path], int]:
    """The pictures in a folder by name, and the number of its other files; hidden ones count as neither.

    Raises:
        ImageError: If it cannot be read or holds no picture.
    """
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise ImageError(f"Cannot read the folder '{folder}': {error.strerror}.") from None
    pictures = [path for path in files if names_a_picture(path)]
    if not pictures:
        raise ImageError(f"No picture is in the folder '{folder}'; pictures are known by their names' suffix.")
    return pictures, len(files) - len(pictures)


def _names(pictures: Sequence[Path]) -> list[str]:
    """A name for each result: the picture's stem; with its suffix, and a number, where that alone is not enough.

    Upper and lower case count as one, as some file systems have it.
    """
    stems = Counter(path.stem.casefold() for path in pictures)
    wanted = [
        path.stem if stems[path.stem.casefold()] == 1 else f"{path.stem}{path.suffix.replace('.', '-')}"
        for path in pictures
    ]
    taken: set[str] = {name.casefold() for path, name in zip(pictures, wanted, strict=True) if name == path.stem}
    names = []
    for path, name in zip(pictures, wanted, strict=True):
        unique, number = name, 1
        while name != path.stem and unique.casefold() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.casefold())
        names.append(unique)
    return names


def _next_free(file: Path) -> Path:
    try:
        return next_free(file)
    except OSError:  # a name too long, which its own run refuses
        return file


def _provenance(file: Path) -> Mapping[str, Any] | None:
    """What a finished picture says of itself; None if it is not there or not Impasto's."""
    try:
        values = json.loads(read_recipe_json(file))
        return values if isinstance(values, dict) and isinstance(values.get("recipe"), dict) else None
    except (ImageError, OSError, ValueError, RecursionError):
        return None


def _is_finished(values: Mapping[str, Any], recipe: Recipe, hashes: Sequence[str]) -> bool:
    """Whether a picture is what this batch would paint, with no smaller budget, and was not stopped on request."""
    reason = StopReason.read(str(values.get("stop_reason")))
    if reason is StopReason.STOPPED or not _same(values, recipe, hashes):
        return False
    return reason is not StopReason.BUDGET or int(values.get("iterations", 0)) >= recipe.num_iterations


def _same(values: Mapping[str, Any], recipe: Recipe, hashes: Sequence[str]) -> bool:
    """Whether a picture was made from these pictures by this recipe, but for the budget and what a run fills in."""
    try:
        found = [values["content"]["sha256"], *(style["sha256"] for style in values["styles"])]
    except (KeyError, TypeError):
        return False
    wanted = {name: value for name, value in recipe.model_dump(mode="json").items() if value is not None}
    wanted |= {"model": public_name(recipe.model)}
    wanted.pop("total_iterations", None)
    return found == list(hashes) and all(values["recipe"].get(name) == value for name, value in wanted.items())


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:  # its own run says why
        return ""
