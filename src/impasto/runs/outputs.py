"""The files of a run: where each one goes, and that no earlier result is lost.

A run told to write a picture file ``OUT.png`` writes that file, and all else into the folder ``OUT`` beside it. A run
told to write to ``OUT``, without the suffix of a picture, writes everything into the folder ``OUT``:

=====================================  =============================================================
``00000.png``, ``00100.png``, …        the picture at that iteration, at the final size or a screen's
``losses.csv``, ``losses.png``         a row for each iteration; their plot
``final.png``                          the result
``checkpoint``                         the run's state, from which ``resume`` goes on
=====================================  =============================================================

Runs never mix in a folder: if any of these files exists, a new run writes all of its files under the next free number,
as ``00100-2.png``, ``losses-2.csv`` and ``final-2.png``. An existing ``OUT.png`` is refused. With ``overwrite``
``OUT.png`` is replaced at the very end, whatever it was, and the run takes the plain names in the folder: the files of
the earlier run that had them go when the new run begins, its final picture at the end. A file there that Impasto did
not leave (see `impasto.runs.own_files`) is never replaced or removed: the run takes the first number without one. With
``resume`` the latest run that left a checkpoint goes on under its own names; a final picture that it had saved already
stays, and the new one takes the next free name.

The tiles of a Deep Zoom picture ``OUT.dzi`` lie in the folder ``OUT_files``. The two are one: each of them is refused,
or replaced, as an ``OUT.png`` is. A folder of that name that holds anything but tiles is never replaced.

No file of a run is ever one of its inputs, under whatever name or link: that is refused before the run.
"""

import csv
import itertools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import CheckpointError, OutputError, did_you_mean
from impasto.formats.deep_zoom import tiles_of
from impasto.formats.embedded_recipe import DEEP_ZOOM
from impasto.formats.files import PICTURE_SUFFIXES, TEMPORARY, is_folder, reason, replace_file
from impasto.images import WRITABLE_SUFFIXES, check_writable
from impasto.runs.own_files import LOSS_COLUMNS, is_own

__all__ = ["LossLog", "Outputs", "has_checkpoint", "names_a_picture", "next_free", "plan_outputs"]

_MAX_STEM_BYTES = 240

_RUN_FILE = re.compile(
    r"(?:(?:\d{5,}|final|losses)(?:-(?P<number>\d+))?\.(?:png|csv)|checkpoint(?:-(?P<checkpoint>\d+))?)",
    re.ASCII | re.IGNORECASE,  # where upper and lower case are one, another spelling is in the way as well
)


@dataclass(frozen=True)
class Outputs:
    """The places of one run's files.

    Attributes:
        final: The result's file.
        folder: Where intermediate pictures, losses and their plot go.
        number: Of this run in its folder, from 1; part of the files' names from 2 on.
        overwrite: Whether files of an earlier run are replaced.
        resume: Whether an earlier run goes on.
        notes: What was decided otherwise than asked, in sentences.
    """

    final: Path
    folder: Path
    number: int
    overwrite: bool
    resume: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether the result itself lies in the folder."""
        return self.final.parent == self.folder

    @property
    def losses(self) -> Path:
        """The table of losses."""
        return self._numbered("losses", "csv")

    @property
    def plot(self) -> Path:
        """The plot of the losses."""
        return self._numbered("losses", "png")

    @property
    def checkpoint(self) -> Path:
        """The run's state."""
        return self.folder / f"checkpoint{_ending(self.number)}"

    def intermediate(self, iteration: int) -> Path:
        """The picture of an iteration."""
        return self._numbered(f"{iteration:05d}", "png")

    def final_now(self) -> Path:
        """The result's file, or the next free name if somebody else took it during the run."""
        may_replace = self.overwrite and (not self.is_folder or is_own(self.final))
        return self.final if may_replace else next_free(self.final)

    def check_free(self, path: Path) -> None:
        """Raises `OutputError` if a file is in the way of one in between that Impasto did not leave."""
        with _as_output_error(path):
            if os.path.lexists(path) and not is_own(path):
                raise OutputError(f"'{path}' was not left by Impasto and is not replaced.")

    def prepare_folder(self) -> None:
        """Creates the folder, and with `overwrite` removes what an earlier run left under this run's names.

        Raises:
            OutputError: If the folder cannot be created or cleared.
        """
        with _as_output_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for unfinished in self.folder.glob(TEMPORARY) if self.resume else ():  # of a process killed as it wrote
                if not unfinished.is_dir():
                    unfinished.unlink(missing_ok=True)
            replaced_later = (self.final, self.checkpoint)
            for path in _files_of(self.folder, self.number) if self.overwrite and not self.resume else ():
                if path not in replaced_later and is_own(path):
                    path.unlink()

    def drop_checkpoint(self) -> None:
        """Removes the run's state, and the folder if nothing else was kept in it."""
        with _as_output_error(self.checkpoint):
            if not is_own(self.checkpoint):
                return
            self.checkpoint.unlink()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _numbered(self, stem: str, suffix: str) -> Path:
        return self.folder / f"{stem}{_ending(self.number)}.{suffix}"


def plan_outputs(
    output_file: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    inputs: Collection[Path] = (),
    is_pyramid: bool = False,
) -> Outputs:
    """Decides where a run's files go, before the run; creates nothing.

    Args:
        output_file: A picture file, or a folder if its name has no suffix of a picture.
        overwrite: Whether an earlier result may be replaced.
        resume: Whether an earlier run is to go on.
        inputs: Files that the run reads, which it must not replace: pictures, masks, recipe, model.
        is_pyramid: Whether the result is to have smaller copies beside it.

    Raises:
        CheckpointError: If there is no run that could go on.
        OutputError: If the place cannot be written to, its format cannot be written, a file is in the way, or a file of
            the run would be one of its inputs.
    """
    _check_name(output_file)
    is_file = names_a_picture(output_file)
    folder = output_file.with_suffix("") if is_file else output_file
    for place in (output_file, folder):
        _check_place(place)
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            f"'{folder}' is a file, and a folder of that name is needed; choose another name with --output-file."
        )
    if resume:
        number = _resumable_number(folder)
    elif overwrite:
        number = _own_number(folder, inputs)
    else:
        number = _next_number(folder)
    final = output_file if is_file else folder / f"final{_ending(number)}.png"
    check_writable(final, is_pyramid=is_pyramid)
    files = _files_of(folder, number)
    _check_inputs([final, *files], inputs)
    in_the_way = next((place for place in _places(final) if os.path.lexists(place)), None)
    if is_file and in_the_way and not overwrite and not resume:
        raise OutputError(f"'{in_the_way}' exists; add --overwrite to replace it, or choose another name.")
    judged_later = (final, folder / f"checkpoint{_ending(number)}")  # a damaged checkpoint has a sentence of its own
    foreign = [path for path in files if resume and path not in judged_later and not is_own(path)]
    if foreign:
        raise OutputError(f"'{foreign[0]}' was not left by Impasto and is in the way of --resume; move it elsewhere.")
    notes = []
    if overwrite and not resume and number > 1:
        notes.append(
            f"'{folder}' holds files that Impasto did not leave; they stay, and this run's files are numbered {number}."
        )
    return Outputs(final, folder, number, overwrite, resume, tuple(notes))


def names_a_picture(output_file: Path) -> bool:
    """Whether an output's name has the suffix of a picture, so that it is a file and no folder."""
    return output_file.suffix.lower() in (*PICTURE_SUFFIXES, *WRITABLE_SUFFIXES)


def _places(final: Path) -> list[Path]:
    """What a result takes: its file, and for Deep Zoom the folder of its tiles."""
    return [final, tiles_of(final)] if final.suffix.lower() == DEEP_ZOOM else [final]


def _check_name(output_file: Path) -> None:
    """Raises `OutputError` for what looks like a slip in a file's suffix, and would become a folder."""
    suffix = output_file.suffix.lower()
    is_slip = re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix) and not names_a_picture(output_file)
    if str(output_file) == "-":
        raise OutputError("'-' is not a place for pictures; give --output-file a file or a folder.")
    if is_slip and not is_folder(output_file):
        raise OutputError(
            f"'{output_file}' has the suffix '{suffix}', which names no format that can be written. "
            f"{did_you_mean(suffix, sorted(WRITABLE_SUFFIXES))} If a folder of this name is meant, create it first."
        )


def _check_place(path: Path) -> None:
    """Raises `OutputError` for a loop of links, a name too long, a zero byte, or a folder that cannot be entered."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise OutputError(
            f"Cannot write to '{path}': {reason(error)}. Choose another name with --output-file."
        ) from None


def _check_inputs(files: Iterable[Path], inputs: Collection[Path]) -> None:
    """Raises `OutputError` if a file of the run is one of its inputs, also by a link."""
    for file, path in itertools.product(files, inputs):
        try:
            is_same = file.samefile(path)
        except (OSError, ValueError):  # one of them is not there, or cannot be looked at
            continue
        if is_same:
            raise OutputError(f"'{file}' is an input of this run; choose another name with --output-file.")
        if file.suffix.lower() == DEEP_ZOOM and path.resolve().is_relative_to(tiles_of(file.resolve())):
            raise OutputError(f"'{path}', an input of this run, is a tile of '{file}'; choose another name.")


def next_free(path: Path) -> Path:
    """The path itself if nothing is there, else the first of ``name-2.png``, ``name-3.png``, … that is free."""
    numbered = (path.with_stem(f"{short_stem(path.stem)}{_ending(number)}") for number in itertools.count(2))
    candidates = itertools.chain([path], numbered)
    return next(path for path in candidates if not any(place.exists() for place in _places(path)))


def short_stem(stem: str) -> str:
    """A stem to which a suffix and a number can be added; most file systems take names of 255 bytes."""
    while len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem


class LossLog:
    """The table of losses, a row as it comes, each on the disk at once.

    Args:
        path: The file.
        after: The iteration at which a run goes on: rows up to it stay, later ones go. None begins a new table, in
            whose place no file may be.

    Raises:
        OutputError: If the file is in the way, or cannot be written to.
    """

    def __init__(self, path: Path, *, after: int | None = None) -> None:
        self._path = path
        with _as_output_error(path):
            is_there = after is not None and path.is_file()
            if after is not None and is_there:
                _cut(path, after)
            self._stream = path.open("a" if is_there else "x", newline="", encoding="ascii", buffering=1)
            self._writer = csv.DictWriter(self._stream, LOSS_COLUMNS, extrasaction="ignore", lineterminator="\n")
            if not is_there:
                self._writer.writeheader()

    def write(self, *, iteration: int, level: int, losses: Mapping[str, float], seconds: float) -> None:
        """Adds one row; a term that is switched off leaves its column empty.

        Raises:
            OutputError: If the disk is full, or the file cannot be written to any more.
        """
        numbers = {name: f"{value:.9g}" for name, value in losses.items()}
        with _as_output_error(self._path):
            self._writer.writerow({"iteration": iteration, "level": level, "seconds": f"{seconds:.3f}"} | numbers)

    def close(self) -> None:
        """Closes the file.

        Raises:
            OutputError: If the disk is full.
        """
        with _as_output_error(self._path):
            self._stream.close()


def _run_files(folder: Path) -> list[re.Match[str]]:
    with _as_output_error(folder):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [match for match in map(_RUN_FILE.fullmatch, names) if match]


def _number(match: re.Match[str]) -> int:
    return int(match["number"] or match["checkpoint"] or 1)


def _files_of(folder: Path, number: int) -> list[Path]:
    """What is there under the names of one run, whoever left it."""
    return sorted(folder / match[0] for match in _run_files(folder) if _number(match) == number)


def _next_number(folder: Path) -> int:
    return max(map(_number, _run_files(folder)), default=0) + 1


def _own_number(folder: Path, inputs: Collection[Path]) -> int:
    """The first number whose files may be replaced: Impasto left all of them, if there are any."""
    for number in itertools.count(1):
        files = _files_of(folder, number)
        _check_inputs(files, inputs)
        if all(map(is_own, files)):
            break
    return number


def has_checkpoint(output_file: Path) -> bool:
    """Whether a run to a picture file (or a folder) has left a checkpoint."""
    return bool(_checkpoints(output_file.with_suffix("") if names_a_picture(output_file) else output_file))


def _checkpoints(folder: Path) -> list[re.Match[str]]:
    return [match for match in _run_files(folder) if match[0].lower().startswith("checkpoint")]


def _resumable_number(folder: Path) -> int:
    """Of the latest run that left a checkpoint."""
    checkpoints = _checkpoints(folder)
    own = [match for match in checkpoints if is_own(folder / match[0])]
    if not checkpoints:
        raise CheckpointError(
            f"There is no checkpoint in '{folder}' to resume from; give the --output-file of the run that is to go on, "
            "or start anew without --resume."
        )
    return max(map(_number, own or checkpoints))


def _cut(losses: Path, iteration: int) -> None:
    """Leaves the table's head and its rows up to an iteration."""
    head, *rows = losses.read_text(encoding="ascii", errors="replace").splitlines(keepends=True) or [""]
    numbers = (row.partition(",")[0] for row in rows)
    kept = [row for row, number in zip(rows, numbers, strict=True) if number.isdecimal() and int(number) <= iteration]
    replace_file(losses, "".join([head, *kept]).encode("ascii", errors="replace"))


def _ending(number: int) -> str:
    return "" if number == 1 else f"-{number}"


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, csv.Error) as error:
        raise OutputError(f"Cannot write to '{path}': {getattr(error, 'strerror', None) or error}.") from None
