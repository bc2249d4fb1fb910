"""The files of a run: where each one goes, and that no earlier result is lost.

A run told to write a picture file ``OUT.png`` writes that file, and all else into the folder ``OUT`` beside it. A run
told to write to ``OUT``, without the suffix of a picture, writes everything into the folder ``OUT``:

=====================================  =============================================================
``00000.png``, ``00100.png``, …        the picture at that iteration, enlarged to the final size
``losses.csv``, ``losses.png``         a row for each iteration; their plot
``final.png``                          the result
``checkpoint``                         the run's state, from which ``resume`` goes on
=====================================  =============================================================

Runs never mix in a folder: if any of these files exists, a new run writes all of its files under the next free number,
as ``00100-2.png``, ``losses-2.csv`` and ``final-2.png``. An existing ``OUT.png`` is refused. With ``overwrite`` the run
takes the plain names: the intermediate pictures and losses of the earlier run that had them go when the new run begins,
its final picture is replaced at the very end. With ``resume`` the latest run that left a checkpoint goes on under
its own names; a final picture that it had saved already stays, and the new one takes the next free name.
"""

import csv
import itertools
import mimetypes
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import CheckpointError, OutputError
from impasto.formats.files import TEMPORARY, replace_file
from impasto.images import WRITABLE_SUFFIXES, check_writable

__all__ = ["LOSS_COLUMNS", "LossLog", "Outputs", "has_checkpoint", "names_a_picture", "next_free", "plan_outputs"]

LOSS_COLUMNS = ("iteration", "level", "total", "content", "style", "tv", "seconds")
"""Of ``losses.csv``: weighted, normalized losses of the candidate that this iteration evaluated."""

_RUN_FILE = re.compile(
    r"(?:(?:\d{5,}|final|losses)(?:-(?P<number>\d+))?\.(?:png|csv)|checkpoint(?:-(?P<checkpoint>\d+))?)"
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
    """

    final: Path
    folder: Path
    number: int
    overwrite: bool
    resume: bool = False

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
        return self.final if self.overwrite else next_free(self.final)

    def prepare_folder(self) -> None:
        """Creates the folder, and with `overwrite` removes what an earlier run left under this run's names.

        Only pictures of iterations that the earlier run's own table lists are removed, never somebody's frames.

        Raises:
            OutputError: If the folder cannot be created or cleared.
        """
        with _as_output_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for unfinished in self.folder.glob(TEMPORARY) if self.resume else ():  # of a process killed as it wrote
                unfinished.unlink(missing_ok=True)
            if self.overwrite and not self.resume and self.losses.is_file():
                for iteration in _iterations_in(self.losses):
                    self.intermediate(iteration).unlink(missing_ok=True)
                self.plot.unlink(missing_ok=True)
                self.losses.unlink()

    def drop_checkpoint(self) -> None:
        """Removes the run's state, and the folder if nothing else was kept in it."""
        with _as_output_error(self.checkpoint):
            self.checkpoint.unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _numbered(self, stem: str, suffix: str) -> Path:
        return self.folder / f"{stem}{_ending(self.number)}.{suffix}"


def plan_outputs(
    output_file: Path, *, overwrite: bool = False, resume: bool = False, inputs: Collection[Path] = ()
) -> Outputs:
    """Decides where a run's files go, before the run; creates nothing.

    Args:
        output_file: A picture file, or a folder if its name has no suffix of a picture.
        overwrite: Whether an earlier result may be replaced.
        resume: Whether an earlier run is to go on.
        inputs: Pictures that the run reads, which it must not replace.

    Raises:
        CheckpointError: If there is no run that could go on.
        OutputError: If the place cannot be written to, its format cannot be written, or a file is in the way.
    """
    is_file = names_a_picture(output_file)
    folder = output_file.with_suffix("") if is_file else output_file
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            f"'{folder}' is a file, and a folder of that name is needed; choose another name with --output-file."
        )
    number = _resumable_number(folder) if resume else 1 if overwrite else _next_number(folder)
    final = output_file if is_file else folder / f"final{_ending(number)}.png"
    check_writable(final)
    if any(final.exists() and path.exists() and final.samefile(path) for path in inputs):
        raise OutputError(f"'{final}' is an input of this run; choose another name with --output-file.")
    if is_file and final.exists() and not overwrite and not resume:
        raise OutputError(f"'{final}' exists; add --overwrite to replace it, or choose another name.")
    return Outputs(final=final, folder=folder, number=number, overwrite=overwrite, resume=resume)


def next_free(path: Path) -> Path:
    """The path itself if nothing is there, else the first of ``name-2.png``, ``name-3.png``, … that is free."""
    candidates = (path.with_stem(f"{path.stem}{_ending(number)}") for number in itertools.count(1))
    return next(candidate for candidate in candidates if not candidate.exists())


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


def names_a_picture(path: Path) -> bool:
    """Whether a name has the suffix of a picture, of any format."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    return path.suffix.lower() in WRITABLE_SUFFIXES or kind.startswith("image/")


def _run_files(folder: Path) -> list[re.Match[str]]:
    with _as_output_error(folder):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [match for match in map(_RUN_FILE.fullmatch, names) if match]


def _next_number(folder: Path) -> int:
    numbers = (int(match["number"] or match["checkpoint"] or 1) for match in _run_files(folder))
    return max(numbers, default=0) + 1


def has_checkpoint(output_file: Path) -> bool:
    """Whether a run to a picture file (or a folder) has left a checkpoint."""
    return bool(_checkpoints(output_file.with_suffix("") if names_a_picture(output_file) else output_file))


def _checkpoints(folder: Path) -> list[re.Match[str]]:
    return [match for match in _run_files(folder) if match[0].startswith("checkpoint")]


def _resumable_number(folder: Path) -> int:
    """Of the latest run that left a checkpoint."""
    checkpoints = _checkpoints(folder)
    if not checkpoints:
        raise CheckpointError(
            f"There is no checkpoint in '{folder}' to resume from; give the --output-file of the run that is to go on, "
            "or start anew without --resume."
        )
    return max(int(match["checkpoint"] or 1) for match in checkpoints)


def _cut(losses: Path, iteration: int) -> None:
    """Leaves the table's head and its rows up to an iteration."""
    head, *rows = losses.read_text(encoding="ascii", errors="replace").splitlines(keepends=True) or [""]
    numbers = (row.partition(",")[0] for row in rows)
    kept = [row for row, number in zip(rows, numbers, strict=True) if number.isdecimal() and int(number) <= iteration]
    replace_file(losses, "".join([head, *kept]).encode("ascii", errors="replace"))


def _ending(number: int) -> str:
    return "" if number == 1 else f"-{number}"


def _iterations_in(losses: Path) -> Iterator[int]:
    """Iterations of which an earlier run may have saved a picture: the start, and each in its table."""
    with losses.open(newline="", encoding="ascii", errors="replace") as stream:
        rows = [row.get("iteration") or "" for row in csv.DictReader(stream)]
    return iter([0, *(int(text) for text in rows if text.isdecimal())])


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, csv.Error) as error:
        raise OutputError(f"Cannot write to '{path}': {getattr(error, 'strerror', None) or error}.") from None
