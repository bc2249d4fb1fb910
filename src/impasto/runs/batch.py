"""A folder of pictures as a batch: which of them are painted, where each goes, and what is passed over."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from impasto.encoders import Encoder
from impasto.encoders.weights.store import describe
from impasto.engine.checkpoint import first_difference
from impasto.errors import ImageError, ImpastoError, OutputError
from impasto.formats.files import is_folder, names_a_picture
from impasto.pipeline.build import complete
from impasto.pipeline.memory_plan import PLANNED
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.recipe.model_names import is_custom, public_name
from impasto.runs.outputs import has_checkpoint, short_stem
from impasto.runs.outputs import names_a_picture as is_picture_file
from impasto.runs.rerun import Provenance, read_provenance, sha256_of

__all__ = ["Batch", "pictures_in", "plan_batch"]

_ENDING = ("impasto", "iterations", "stop_reason")
"""What a picture says of how it came about, not of what it was made from."""


@dataclass(frozen=True)
class Batch:
    """What is to be painted.

    Attributes:
        jobs: Each picture with the options of its run.
        passed_over: A sentence for each picture that is finished already.
        notes: Sentences on files that are no pictures, on names that were taken, and on what is painted again.
    """

    jobs: Sequence[tuple[Path, RunOptions]]
    passed_over: Sequence[str] = ()
    notes: Sequence[str] = ()


def plan_batch(
    folder: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions, encoder: Callable[[], Encoder]
) -> Batch:
    """Decides where each picture of a folder goes: to ``STEM.png`` in the output folder, and never two to one place.

    What only one picture suffers from, as a file that cannot be read, is left to its own run to say.

    Args:
        folder: With the pictures.
        styles: Style images, to tell a finished picture of these from others.
        recipe: What decides the pixels, likewise.
        options: Where the results go; whether a batch goes on.
        encoder: Builds the encoder; called only if a painted picture has to be compared with the recipe.

    Raises:
        ImageError: If the folder cannot be read or holds no picture.
        OutputError: If the output is no folder.
    """
    target = options.output_file
    if is_picture_file(target):
        raise OutputError(f"'{folder}' is a folder, so --output-file must be one too; got '{target}'.")
    pictures, num_others = pictures_in(folder)
    num_files = num_others + len(pictures)
    notes = [f"{num_others} of {num_files} files in '{folder}' are not pictures."] if num_others else []
    if is_folder(target) and target.samefile(folder):
        painted = [picture for picture in pictures if _provenance(picture) is not None]
        pictures = [picture for picture in pictures if picture not in painted]
        if painted:
            notes.append(f"{len(painted)} pictures in '{folder}' were painted by Impasto and are no contents.")
    planner = _Planner(pictures, options, _Finished(styles, recipe, options, encoder))
    jobs = list(filter(None, map(planner.plan, pictures)))
    return Batch(jobs, planner.passed_over, [*notes, *planner.notes])


def pictures_in(folder: Path) -> tuple[list[Path], int]:
    """The pictures in a folder by name, and the number of its other files; hidden ones and folders count as neither.

    Links that lead nowhere count by their names, so that none is lost in silence.

    Raises:
        ImageError: If it cannot be read or holds no picture.
    """
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"Cannot read the folder '{folder}': {error.strerror}.") from None
    files = [path for path in files if not is_folder(path)]
    pictures = [path for path in files if names_a_picture(path)]
    if not pictures:
        raise ImageError(f"No picture is in the folder '{folder}'; pictures are known by their names' suffix.")
    return pictures, len(files) - len(pictures)


class _Planner:
    """Finds each picture's place."""

    def __init__(self, pictures: Sequence[Path], options: RunOptions, finished: "_Finished") -> None:
        self.passed_over: list[str] = []
        self.notes: list[str] = []
        self._options, self._finished = options, finished
        self._names = _names(pictures)
        self._reserved = {_folded(name) for name in self._names.values()}
        self._inputs = {os.path.realpath(picture) for picture in pictures}

    def plan(self, picture: Path) -> tuple[Path, RunOptions] | None:
        """The picture with the options of its run; None if it is passed over."""
        notes: list[str] = []
        for file in self._places(self._names[picture]):
            is_there = os.path.lexists(file)
            if is_there and os.path.realpath(file) in self._inputs:
                notes.append(f"'{file}' is a content and stays; '{picture}' is painted beside it.")
                continue
            if not self._options.resume:
                if is_there and not self._options.overwrite:
                    continue
                self.notes += notes
                return picture, self._options.replace(output_file=file)
            provenance = _provenance(file) if is_there else None
            if is_there and (provenance is None or not self._finished.is_of(provenance, picture)):
                whose = "by Impasto" if provenance is None else "from this content"
                notes.append(f"'{file}' was not painted {whose} and stays; '{picture}' is painted beside it.")
                continue
            reason = self._why_not_finished(provenance)
            if provenance is not None and not reason:
                self.passed_over.append(f"{picture}: passed over, '{file}' is finished.")
                return None
            self.notes += [*notes, *([f"'{file}' is painted again: {reason}."] if reason else [])]
            return picture, self._options.replace(output_file=file, resume=_goes_on(file), overwrite=is_there)
        raise AssertionError("places never end")

    def _why_not_finished(self, provenance: Provenance | None) -> str:
        try:
            return "" if provenance is None else self._finished.why_not(provenance)
        except ImpastoError as error:  # of the styles or the encoder, which the run will refuse as well
            return f"what it was painted from cannot be compared ({str(error).rstrip('.')})"

    def _places(self, name: str) -> Iterator[Path]:
        """The place that the name stands for, then ``NAME-2``, …, without those that other pictures have."""
        target = self._options.output_file
        yield target / f"{name}.png"
        number = 2
        while True:
            if _folded(f"{name}-{number}") not in self._reserved:
                yield target / f"{name}-{number}.png"
            number += 1


class _Finished:
    """Tells a finished picture by what it says of itself."""

    def __init__(
        self, styles: Sequence[Path], recipe: Recipe, options: RunOptions, encoder: Callable[[], Encoder]
    ) -> None:
        self._styles, self._recipe, self._options, self._encoder = styles, recipe, options, encoder

    def is_of(self, provenance: Provenance, content: Path) -> bool:
        """Whether a picture was painted from this content; also if that cannot be read, which its run will say."""
        try:
            return provenance.content.sha256 == sha256_of(content)
        except ImageError:
            return True

    def why_not(self, provenance: Provenance) -> str:
        """Why a picture is not what this batch would paint; empty if it is, and no run was stopped on its way to it."""
        wanted = {**self._wanted, "content": provenance.values["content"]}
        filled_in = set(PLANNED) - self._recipe.model_fields_set | (
            {"history_size"} if self._options.max_memory else set()
        )
        recorded = {name: provenance.recipe[name] for name in filled_in if name in provenance.recipe}
        wanted["recipe"] = wanted["recipe"] | recorded  # what a run lowers so that it fits into memory
        before = {name: value for name, value in provenance.values.items() if name not in _ENDING}
        if difference := first_difference(before, wanted):
            return difference
        if StopReason.read(provenance.stop_reason) is StopReason.STOPPED:
            return "it was stopped on request"
        budget = provenance.recipe.get("total_iterations")
        done = max(provenance.iterations, budget if isinstance(budget, int) else 0)
        return f"{self._recipe.num_iterations} iterations are more than {done}" * (self._recipe.num_iterations > done)

    @cached_property
    def _wanted(self) -> Mapping[str, Any]:
        """The provenance that a picture of this batch will have, but for its content."""
        encoder = self._encoder()
        recipe = complete(self._recipe, encoder)
        masks = {
            "content_masks": [_identity(path) for path in self._options.content_mask],
            "style_masks": [_identity(path) for path in self._options.style_mask],
            "lock_mask": _identity(self._options.lock_mask) if self._options.lock_mask else None,
        }
        finishing = recipe.finishing
        finish = describe(finishing.model).sha256 if finishing and not is_custom(finishing.model) else None
        return {
            "recipe": recipe.model_dump(mode="json") | {"model": public_name(recipe.model)},
            "styles": [_identity(path) for path in self._styles],
            **{name: value for name, value in masks.items() if value},
            "weights_sha256": encoder.weights_sha256,
            **({"finish_weights_sha256": finish} if finish else {}),
        }


def _names(pictures: Sequence[Path]) -> dict[Path, str]:
    """A name for each result: the picture's stem; with its suffix, and a number, where that alone is not enough.

    Upper and lower case, and the ways to compose an accent, count as one, as some file systems have it. A stem such as
    ``photo.png`` is not enough either: its run's folder would have the place of the result of ``photo.jpg``.
    """
    stems = {picture: short_stem(picture.stem) for picture in pictures}
    counts = Counter(map(_folded, stems.values()))
    plain = {
        picture: stem
        for picture, stem in stems.items()
        if counts[_folded(stem)] == 1 and not stem.casefold().endswith(".png")
    }
    names, taken = dict(plain), set(map(_folded, plain.values()))
    for picture in (picture for picture in pictures if picture not in plain):
        wanted = unique = f"{stems[picture]}{picture.suffix.replace('.', '-')}"
        number = 1
        while _folded(unique) in taken:
            number += 1
            unique = f"{wanted}-{number}"
        taken.add(_folded(unique))
        names[picture] = unique
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _goes_on(file: Path) -> bool:
    try:
        return has_checkpoint(file)
    except OutputError:  # its own run says why
        return False


def _provenance(file: Path) -> Provenance | None:
    """What a finished picture says of itself; None if it is not Impasto's."""
    try:
        return read_provenance(file)
    except (ImageError, OSError):
        return None


def _identity(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": sha256_of(path)}
