"""The loop: levels from coarse to fine, iterations within them, events out and control in.

The engine never prints and knows no file. Progress bars, CSV files, previews and metrics are consumers of its events.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from impasto.devices import is_out_of_memory
from impasto.engine.events import Clock, Control, Progress
from impasto.engine.problem import Problem
from impasto.engine.pyramid import Level, expected_work, extend_pyramid, rebudget, work_of_one
from impasto.errors import OutOfMemoryError
from impasto.objective.objective import Objective
from impasto.objective.ranks import RanksError
from impasto.objective.weighting import TERMS
from impasto.optimizers import PixelOptimizer, build_optimizer
from impasto.optimizers.scratch import Scratch
from impasto.recipe import Change, Recipe, StopReason

logger = logging.getLogger(__name__)

PLATEAU_WINDOW = 50
"""Iterations over which the recipe's `plateau` measures progress; a fifth of a level that has fewer than 250."""


class Engine:
    """One run: ``for progress in engine.run(): ...``, then `image` and `stop_reason`.

    Args:
        levels: From `impasto.engine.pyramid.build_pyramid`.
        problem: Start and objectives.
        recipe: Settings of the optimizer, and changes during the run.
        control: Pauses and ends the run.
        scratch: Where the optimizer keeps what it seldom looks at; None for memory.

    Raises:
        OutOfMemoryError: From `run`, if memory runs out in the first iteration. Later, the best picture is kept.

    Attributes:
        losses: The objective and its parts at the best picture so far.
        iteration: Evaluations so far.
        stop_reason: Why the run ended; None before that.
        gradient_share: Each term's share of the gradient at the end; empty if the run was ended from outside, or
            evaluated in tiles.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        problem: Problem,
        recipe: Recipe,
        control: Control | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        self.levels, self.recipe = levels, recipe
        self.control = control or Control()
        self.iteration = 0
        self.losses: Mapping[str, float] = {}
        self.stop_reason: StopReason | None = None
        self.gradient_share: Mapping[str, float] = {}
        self._problem = problem
        self._is_out_of_memory = False
        self._optimizer: PixelOptimizer = build_optimizer(problem.start(levels[0].size), recipe, scratch)
        self._clock = Clock()
        self._asked = sum(level.iterations for level in levels)  # before any live change
        self._spent = [0]  # iterations, of each level that has begun
        self._begin: Tensor | None = None  # what the current level began with, if its objective needs that
        self._level_bests: list[float] = []
        self._enlarged: Tensor | None = None
        self._num_changes = 0  # of the recipe's, done so far

    @property
    def image(self) -> Tensor:
        """The best picture so far, postprocessed, of the current level's size; of the output's size after the run."""
        return self._problem.postprocess(self._optimizer.best_image if self._enlarged is None else self._enlarged)

    @property
    def seconds(self) -> float:
        """Time spent so far, without pauses."""
        return self._clock.seconds

    @property
    def total_iterations(self) -> int:
        """The whole budget."""
        return sum(level.iterations for level in self.levels)

    def run(self) -> Iterator[Progress]:
        """Yields an event before the first iteration and after each."""
        yield self._progress({})
        yield from self._run_level()
        while len(self._spent) < len(self.levels) and not self.control.is_ended and not self._is_out_of_memory:
            self._optimizer.resize(self._best_at(self.levels[len(self._spent)].size), self._problem.resample)
            self._spent.append(0)
            self._begin = self._optimizer.best_image if self._level.keeps_begin else None
            self._level_bests = []
            yield from self._run_level()
        self._enlarged = self._best_at(self.levels[-1].size)  # a checkpoint can still resume on a coarse level
        self.stop_reason = self._reason()
        logger.info("Ended after %d iterations: %s", self.iteration, self.stop_reason.sentence)

    def _best_at(self, size: tuple[int, int]) -> Tensor:
        """The best picture so far, as the start of a level of that size."""
        best = self._optimizer.best_image
        return best if best.shape[-2:] == size else self._problem.enlarge(best, size).clamp_(0, 1)

    def _run_level(self) -> Iterator[Progress]:
        level = self._level
        objective: Objective | None = None
        while True:
            pause = self.control.wait_while_paused()
            if self._apply_changes():
                objective = None
            if self.control.is_ended:
                return
            if self._spent[-1] >= self._level.iterations or self._is_level_exhausted():
                if objective is not None and len(self._spent) == len(self.levels):
                    self._measure_gradient_share(objective)
                return
            best_before = self._optimizer.best_loss
            try:
                if objective is None:
                    begin = self._optimizer.best_image if self._begin is None else self._begin
                    objective = self._problem.objective(level, self.recipe.at(self.iteration), begin)
                total, parts = self._optimizer.update(objective.evaluate(self._optimizer.candidate))
            except RanksError as error:
                if not self.iteration:
                    raise
                logger.warning("%s The best picture after %d iterations is kept.", error, self.iteration)
                self.control.stop()
                return
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                parts = []
            if not parts:  # here, after the handler, the error no longer holds tensors
                if not self._is_relieved():
                    return
                continue
            self.iteration += 1
            self._spent[-1] += 1
            losses = {"total": total, **dict(zip(TERMS, parts, strict=True))}
            if self._optimizer.best_loss < best_before or not self.losses:
                self.losses = losses
            self._level_bests.append(self._optimizer.best_loss)
            self._clock.lap(work_of_one(level, self.recipe), pause)
            yield self._progress(losses)

    def _measure_gradient_share(self, objective: Objective) -> None:
        if objective.num_tiles > 1:  # it takes the time of two iterations, and more memory than they do
            return
        try:
            image = self._optimizer.best_image
            known = self._optimizer.best_gradient
            gradient = objective.evaluate(image).gradient if known is None else known
            self.gradient_share = objective.gradient_share(image, gradient)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise

    def _is_relieved(self) -> bool:
        """Saves memory after it ran out; returns False, and prepares the end of the run, if nothing can be saved."""
        sentence = self._problem.save_memory() or self._optimizer.save_memory()
        if sentence:
            logger.warning("Memory ran out after %d iterations; %s.", self.iteration, sentence)
            return True
        if not self.iteration:
            raise OutOfMemoryError(
                f"Memory ran out at {self._level.size[1]}×{self._level.size[0]}, with all memory savings on. "
                "Lower --height, use --model compact, or close other programs."
            )
        self._is_out_of_memory = True
        logger.warning("Memory ran out after %d iterations, with all memory savings on.", self.iteration)
        return False

    def _apply_changes(self) -> bool:
        """Records requested changes in the recipe and applies those due now; returns whether the objective changed.

        Live changes go through the recipe, so that a run from the recorded recipe repeats this run.
        """
        wanted = self.control.take_changes()
        if wanted:
            change = Change(iteration=self.iteration, values=wanted)
            self.recipe = self.recipe.replace(changes=[*self.recipe.changes, change])
        due = [
            change.values for change in self.recipe.changes[self._num_changes :] if change.iteration <= self.iteration
        ]
        if not due:
            return False
        self._num_changes += len(due)
        for values in due:
            if "total_iterations" in values:
                self.levels = rebudget(self.levels, self._spent, int(values["total_iterations"]))
        if any(set(values) - {"total_iterations"} for values in due):
            self._optimizer.reset_curvature()
            self._level_bests = []
            return True
        return False

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; valid between two events of `run` and after it.

        Returns:
            Tensors, numbers, strings, and lists and dicts of them.
        """
        return {
            "levels": [level.as_list() for level in self.levels],
            "asked": self._asked,
            "spent": list(self._spent),
            "begin": [] if self._begin is None else [self._begin],
            "iteration": self.iteration,
            "losses": dict(self.losses),
            "level_bests": list(self._level_bests),
            "changes": [change.model_dump() for change in self.recipe.changes[: self._num_changes]],
            "seconds": self._clock.seconds,
            "pixel_iterations": self._clock.pixel_iterations,
            "optimizer": self._optimizer.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a `state`, before `run`; bit for bit, if this engine's budget is the same.

        With a larger budget, finished levels stay as they were; see `impasto.engine.pyramid.extend_pyramid`.

        Args:
            state: Of an engine for the same pictures and recipe; the budget may differ.

        Raises:
            ValueError: If this engine's budget is smaller.
        """
        planned = [Level.from_list(values) for values in state["levels"]]
        self._spent = list(state["spent"])
        self._begin = next(iter(state["begin"]), None)
        # A budget that was changed during the run stays, unless another one is asked for now.
        self.levels = planned if state["asked"] == self._asked else extend_pyramid(planned, self._spent, self.levels)
        self.iteration, self.losses = state["iteration"], dict(state["losses"])
        self._level_bests = list(state["level_bests"])
        done = [Change(**change) for change in state["changes"]]
        self._num_changes = len(done)
        self.recipe = self.recipe.replace(changes=[*done, *self.recipe.changes[len(done) :]])
        self._clock.seconds, self._clock.pixel_iterations = state["seconds"], state["pixel_iterations"]
        self._optimizer.load_state(state["optimizer"])

    @property
    def _level(self) -> Level:
        """The current level."""
        return self.levels[len(self._spent) - 1]

    def _is_level_exhausted(self) -> bool:
        return bool(self._optimizer.stop_reason) or self._is_on_plateau()

    def _is_on_plateau(self) -> bool:
        fraction = self.recipe.plateau_fraction
        window = min(PLATEAU_WINDOW, max(1, self._level.iterations // 5))
        if not fraction or len(self._level_bests) <= window:
            return False
        before, now = self._level_bests[-1 - window], self._level_bests[-1]
        return before - now < fraction * window / PLATEAU_WINDOW * before

    def _reason(self) -> StopReason:
        if self.control.is_cancelled:
            return StopReason.CANCELLED
        if self.control.is_stopped:
            return StopReason.STOPPED
        if self._is_out_of_memory:
            return StopReason.OUT_OF_MEMORY
        if self._optimizer.stop_reason:
            return StopReason(self._optimizer.stop_reason)
        return StopReason.PLATEAU if self._is_on_plateau() else StopReason.BUDGET

    def _progress(self, losses: Mapping[str, float]) -> Progress:
        index = len(self._spent) - 1
        return Progress(
            iteration=self.iteration,
            total_iterations=self.total_iterations,
            level=index + 1,
            num_levels=len(self.levels),
            size=self._level.size,
            losses=losses,
            best=self._optimizer.best_loss,
            seconds=self.seconds,
            eta_seconds=self._clock.remaining(
                expected_work(self._level, self.recipe, self._spent[-1])
                + sum(expected_work(level, self.recipe) for level in self.levels[index + 1 :])
            ),
            image=lambda: self.image,
        )
