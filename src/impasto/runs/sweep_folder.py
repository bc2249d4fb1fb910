"""The folder of a sweep: whose it is, which of its cells are finished, and what may be replaced in it.

=========================  ==========================================================================
``sweep.json``             what is swept, so that no other sweep is mixed in
``003-strength-50.png``    one picture a cell, with its recipe inside
``003-strength-50/``       its losses, its facts, and while it is not finished its checkpoint
``sheet.png``              the contact sheet; ``sheet-2.png`` … where one page would be too large
``results.csv``, ``.json`` the tables
``report.html``            all of it on one page
=========================  ==========================================================================
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImageError, OutputError
from impasto.formats.files import TEMPORARY, replace_file
from impasto.recipe import Recipe, StopReason
from impasto.recipe.messages import shown
from impasto.runs.outputs import has_checkpoint, names_a_picture
from impasto.runs.own_files import is_own
from impasto.runs.rerun import Provenance, read_provenance
from impasto.runs.sweep_plan import Cell
from impasto.runs.sweep_results import CellState, Fact

__all__ = ["SweepFolder"]

MANIFEST = "sweep.json"
_FACTS = "facts.json"


@dataclass(frozen=True)
class SweepFolder:
    """Where a sweep's files are.

    Attributes:
        path: The folder.
    """

    path: Path

    def picture(self, cell: Cell) -> Path:
        """The file of a cell's picture."""
        return self.path / f"{cell.name}.png"

    def losses(self, cell: Cell) -> Path:
        """The table of losses of a cell's run."""
        return self.path / cell.name / "losses.csv"

    def check(self, cells: Sequence[Cell], manifest: Mapping[str, Any], inputs: Collection[Path], *, anew: bool) -> None:
        """Checks before anything is computed that the sweep may write here; writes nothing.

        Args:
            cells: Of the sweep.
            manifest: What is swept.
            inputs: Files that the sweep reads.
            anew: Whether an earlier sweep may be replaced.

        Raises:
            OutputError: If the place is no folder, holds another sweep, or a file is in the way.
        """
        if names_a_picture(self.path):
            raise OutputError(f"'{self.path}' names a picture, and a sweep fills a folder; choose another --output-file.")
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"'{self.path}' is a file, and a sweep needs a folder; choose another --output-file.")
        self._check_inputs(cells, inputs)
        before = self._manifest()
        difference = "" if before is None or anew else _first_difference(before, manifest)
        if difference:
            raise OutputError(
                f"'{self.path}' holds another sweep: {difference}. Choose another --output-file, or give --overwrite to "
                "begin anew."
            )
        for cell in cells:
            picture = self.picture(cell)
            if os.path.lexists(picture) and (before is None and not anew or _provenance(picture) is None):
                raise OutputError(f"'{picture}' is in the way and is not of this sweep; choose another --output-file.")

    def begin(self, manifest: Mapping[str, Any], *, anew: bool) -> None:
        """Makes the folder and says in it what is swept; with `anew`, first removes what the earlier sweep left.

        Raises:
            OutputError: If it cannot be written.
        """
        try:
            before = self._manifest()
            for name in _listed_names(before) if before is not None and anew else ():
                self._remove(name)
            self.path.mkdir(parents=True, exist_ok=True)
            for unfinished in self.path.glob(TEMPORARY):  # of a process killed as it wrote
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot write to '{self.path}': {error.strerror or error}.") from None
        replace_file(self.path / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())

    def state(self, cell: Cell) -> CellState:
        """Whether a cell is finished, stopped or open; one that failed is open, to be tried again."""
        provenance = _provenance(self.picture(cell))
        if provenance is None:
            return CellState.OPEN
        is_stopped = StopReason.read(provenance.stop_reason) is StopReason.STOPPED
        return CellState.STOPPED if is_stopped else CellState.DONE

    def has_checkpoint(self, cell: Cell) -> bool:
        """Whether a cell's run can go on."""
        with suppress(OutputError):  # its own run says why
            return has_checkpoint(self.picture(cell))
        return False

    def hand_on(self, before: Cell, cell: Cell) -> None:
        """Lets a cell go on where another one ended that differs from it in nothing but a smaller budget."""
        checkpoint = self.path / before.name / "checkpoint"
        if self.has_checkpoint(cell) or self.picture(cell).exists() or not checkpoint.is_file():
            return
        with suppress(OSError):  # then it begins anew, to the same picture
            folder = self.path / cell.name
            folder.mkdir(parents=True, exist_ok=True)
            for source in (self.losses(before), checkpoint):  # the checkpoint last: what is there is then whole
                temporary = folder / TEMPORARY.replace("*", source.name)
                shutil.copyfile(source, temporary)
                temporary.replace(folder / source.name)

    def drop_checkpoint(self, cell: Cell) -> None:
        """Removes the state of a run that nobody will go on with."""
        with suppress(OSError):
            (self.path / cell.name / "checkpoint").unlink(missing_ok=True)

    def write_facts(self, cell: Cell, facts: Mapping[str, Fact]) -> None:
        """Keeps what is known of a finished cell.

        Raises:
            OutputError: If it cannot be written.
        """
        replace_file(self.path / cell.name / _FACTS, json.dumps(facts, indent=1).encode())

    def read_facts(self, cell: Cell) -> dict[str, Fact] | None:
        """What `write_facts` wrote; None if a process was killed before."""
        try:
            facts = json.loads((self.path / cell.name / _FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def _check_inputs(self, cells: Sequence[Cell], inputs: Collection[Path]) -> None:
        identities = {identity: path for path in inputs if (identity := _identity(path)) is not None}
        files = [self.picture(cell) for cell in cells]
        files += [self.path / name for name in ("sheet.png", "results.csv", "results.json", "report.html", MANIFEST)]
        for file in files:
            identity = _identity(file)
            if identity is not None and identity in identities:
                raise OutputError(f"'{file}' is an input of this sweep; choose another --output-file.")

    def _manifest(self) -> Mapping[str, Any] | None:
        try:
            manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError):
            manifest = None
        if not (isinstance(manifest, dict) and isinstance(manifest.get("recipe"), dict)):
            raise OutputError(f"'{self.path / MANIFEST}' cannot be read; move it elsewhere, or choose another folder.")
        return manifest

    def _remove(self, name: str) -> None:
        """Removes a cell's files, as far as Impasto left them."""
        picture, folder = self.path / f"{name}.png", self.path / name
        if _provenance(picture) is not None:
            picture.unlink()
        if folder.is_dir() and not folder.is_symlink():
            for file in folder.iterdir():
                if file.name == _FACTS or is_own(file):
                    file.unlink()
            with suppress(OSError):  # something else is in it
                folder.rmdir()


def _first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first difference between two sweeps, in words; empty if there is none."""
    for name in {**now["recipe"], **before["recipe"]}:
        default = Recipe.model_fields[name].default if name in Recipe.model_fields else None
        old, new = (manifest["recipe"].get(name, default) for manifest in (before, now))
        if old != new:
            return f"{name} was {shown(old)} and is {shown(new)} now"
    for name, new in now["varies"].items():
        old = before.get("varies", {}).get(name)
        if old != new:
            was = "did not vary" if old is None else f"was {', '.join(old)}"
            return f"{name} {was} and is {', '.join(new)} now"
    if gone := [name for name in before.get("varies", {}) if name not in now["varies"]]:
        return f"{gone[0]} varied and does not now"
    for role, new in now["inputs"].items():
        for index, (picture, old) in enumerate(zip(new, before.get("inputs", {}).get(role, []), strict=False), 1):
            if picture["sha256"] != old["sha256"]:
                which = f"number {index} of the {role}s" if len(new) > 1 else f"the {role}"
                return f"{which} is not the '{old['name']}' of that sweep"
    return "" if before.get("cells") == now["cells"] else "its cells are others"


def _listed_names(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Names of cells; none that leads out of the folder."""
    names = manifest.get("cells", [])
    yield from (name for name in names if isinstance(name, str) and name == Path(name).name) if isinstance(
        names, list
    ) else ()


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file is, by whatever name; None if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _provenance(file: Path) -> Provenance | None:
    """What a finished picture says of itself; None if there is none, or it is not Impasto's."""
    try:
        return read_provenance(file)
    except (ImageError, OSError):
        return None
