"""The overview of a sweep whose cells have ended: sheet, tables and report, as `impasto.runs.sweep` makes them."""

import logging
import shutil
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.recipe import Recipe
from impasto.runs.cell_facts import CellFacts
from impasto.runs.sweep import write_overview
from impasto.runs.sweep_plan import Cell, plan_cells, variants_of
from impasto.runs.sweep_results import CellResult, CellState, Results
from impasto.service.core import Core
from impasto.service.jobs.attempts import Assignment, LateError
from impasto.service.jobs.causes import cause_of
from impasto.service.jobs.listing import MAX_LIMIT, list_jobs
from impasto.service.jobs.records import JobRecord
from impasto.service.jobs.states import State
from impasto.service.worker.inputs import InputFiles, fetch_inputs
from impasto.service.worker.painting import Outcome

__all__ = ["Overview"]

logger = logging.getLogger(__name__)


class Overview:
    """Makes the overview of a sweep, in one step.

    Args:
        core: The service's.
        assignment: Of the sweep.
    """

    def __init__(self, core: Core, assignment: Assignment) -> None:
        self.assignment = assignment
        self._core = core
        self._folder = core.settings.scratch / f"{assignment.job.id}-{assignment.attempt}"

    def follow_orders(self) -> None:
        """There are none to be given; raises `LateError` if the attempt does not count any more."""
        self._core.attempts.orders(self.assignment)

    def hand_back(self) -> None:
        """It is short, and is made to its end."""

    def abandon(self) -> None:
        """It is short, and is made to its end."""

    def step(self) -> Outcome:
        """Makes it."""
        me, artifacts = self.assignment, self._core.artifacts
        try:
            out = self._make()
            keys = {"sheet": "sheet.png", "report": "report.html", "table": "results.csv"}
            made = {role: f"{me.folder}/{name}" for role, name in keys.items() if (out / name).is_file()}
            for role, key in made.items():
                artifacts.put(key, out / keys[role])
            self._core.attempts.finish(me, State.DONE, made)
        except LateError:
            return Outcome.LATE
        except (ImpastoError, OSError) as error:
            self._core.attempts.fail(me, f"The sheet of the sweep cannot be made: {error}", cause_of(error))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return Outcome.ENDED

    def _make(self) -> Path:
        job, out = self.assignment.job, self._folder / "out"
        shutil.rmtree(self._folder, ignore_errors=True)
        out.mkdir(parents=True)
        files = fetch_inputs(self._core.database, self._core.artifacts, job, self._folder / "in")
        recipe = Recipe(**job.recipe)
        # By base names alone: the report shows commands, and nobody's folders.
        names = [Path(style.name) for style in files.styles]
        cells = plan_cells([Path(files.content.name)], [names], recipe, variants_of(job.vary or {}, recipe))
        facts = CellFacts({cell.recipe.model for cell in cells})
        jobs = self._cells()
        results = [self._result(cell, painted, files, facts, out) for cell, painted in zip(cells, jobs, strict=False)]
        pictures = [("content", files.content), *(("style", style) for style in files.styles)]
        inputs = [(f"{role} {path.name}", path) for role, path in pictures]
        write_overview(out, Results(job.name, results, inputs))
        return out

    def _result(self, cell: Cell, job: JobRecord, files: InputFiles, facts: CellFacts, out: Path) -> CellResult:
        if "result" not in job.artifacts:
            return CellResult.of(cell, CellState.FAILED, error=job.error or f"It was {job.state}.")
        picture, losses = out / f"{cell.name}.png", out / cell.name / "losses.csv"
        self._core.artifacts.fetch(job.artifacts["result"], picture)
        if "losses" in job.artifacts:
            losses.parent.mkdir()
            self._core.artifacts.fetch(job.artifacts["losses"], losses)
        known = facts.of_picture(picture, losses, files.content, files.styles)
        state = CellState.STOPPED if job.state is State.STOPPED else CellState.DONE
        return CellResult.of(cell, state, picture=picture, facts=known, curve=losses if losses.is_file() else None)

    def _cells(self) -> list[JobRecord]:
        job, cursor, cells = self.assignment.job, None, list[JobRecord]()
        while True:
            page = list_jobs(self._core.database, None, parent_id=job.id, limit=MAX_LIMIT, cursor=cursor)
            cells += page.items
            cursor = page.next_cursor
            if cursor is None:
                return cells
