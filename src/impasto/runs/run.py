"""One run from files to files: what can be checked is checked first, what can be kept is kept."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from impasto.encoders.base import Encoder
from impasto.engine import Control, Progress
from impasto.engine.checkpoint import Checkpoints
from impasto.errors import ImpastoError, OutputError
from impasto.images import Picture, output_size, resize, save_picture
from impasto.objective.ranks import Ranks
from impasto.pipeline import Execution, Masks, Result, stylize
from impasto.pipeline.color_preservation import stays_gray
from impasto.pipeline.level_images import target_size
from impasto.pipeline.memory_plan import MemoryPlan
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.runs.loss_plot import plot_losses
from impasto.runs.outputs import LossLog, Outputs, next_free
from impasto.runs.own_files import marker
from impasto.runs.plan import plan_run

__all__ = ["SCREEN_EDGE", "RunReport", "run"]

SCREEN_EDGE = 3840
"""Longest edge of pictures in between, in pixels: that of the usual large screens."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunReport:
    """What a run came to.

    Attributes:
        result: The picture, why the run stopped, its resolved recipe.
        final: The file it was saved to; None if the run was cancelled.
        folder: Where intermediate pictures and losses are; None if there are none.
    """

    result: Result
    final: Path | None
    folder: Path | None


def run(
    content: Path,
    styles: Sequence[Path],
    recipe: Recipe,
    options: RunOptions,
    *,
    encoder: Encoder | Callable[[], Encoder] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_saved: Callable[[Path], None] | None = None,
    on_plan: Callable[[MemoryPlan], None] | None = None,
    control: Control | None = None,
    keeps_checkpoint: bool = True,
    keeps_losses: bool = False,
    on_checkpoint: Callable[[Path], None] | None = None,
    ranks: Ranks | None = None,
) -> RunReport:
    """Paints one picture and saves it, with the pictures in between and the losses, as the options say.

    Args:
        content: The content image.
        styles: One or several style images.
        recipe: What decides the pixels.
        options: Where the results go, the device, saving.
        encoder: Built before, or how to build it once the inputs are checked; by default the recipe's is built.
        on_progress: Called after each iteration.
        on_saved: Called with each picture in between, once it is on the disk.
        on_plan: Told of the expected memory before the first iteration.
        control: Stops or cancels the run from outside.
        keeps_checkpoint: Whether the checkpoint of a run that has ended stays beside its other files, for a larger
            budget later; that of a run that was stopped always stays.
        keeps_losses: Whether the table of losses is kept also where nothing else is in between.
        on_checkpoint: Called with the checkpoint's file whenever it was written anew.
        ranks: As in `impasto.pipeline.Execution`.

    Raises:
        UserError: If a picture cannot be read or the output not be written; before anything is computed.
        ImpastoError: If the run itself fails.
    """
    plan = plan_run(content, styles, recipe, options)
    outputs, inputs = plan.outputs, plan.inputs
    with _Recorder(outputs, inputs.content, recipe, options, on_progress, on_saved, keeps_losses) as recorder:
        result = stylize(
            inputs.content, inputs.styles, recipe,
            masks=Masks(inputs.content_masks, inputs.style_masks, inputs.lock_mask),
            execution=Execution(
                device=options.device, threads=options.threads, trust=options.trust, max_memory=options.max_memory,
                scratch=options.scratch, ranks=ranks,
                checkpoints=Checkpoints(
                    outputs.checkpoint, options.checkpoint_every, options.resume,
                    at_end=recorder.wants_folder and keeps_checkpoint, on_written=on_checkpoint,
                ),
            ),
            encoder=encoder, control=control, on_progress=recorder, on_plan=on_plan,
        )  # fmt: skip
    final = None if result.is_cancelled else _save_final(result, outputs, is_pyramid=options.pyramid)
    if not (recorder.wants_folder and keeps_checkpoint) and result.stop_reason is not StopReason.STOPPED:
        recorder.attempt(outputs.drop_checkpoint)
    if options.plot and recorder.has_table:
        recorder.attempt(lambda: _plot(outputs))
    return RunReport(result, final, outputs.folder if recorder.has_table else None)


def _plot(outputs: Outputs) -> None:
    outputs.check_free(outputs.plot)
    plot_losses(outputs.losses, outputs.plot)


def _save_final(result: Result, outputs: Outputs, *, is_pyramid: bool) -> Path:
    """Saves the result; if its place does not take it after all, as a full disk, then somewhere else.

    Raises:
        ImpastoError: If its place did not take it; it says where the picture is now.
    """
    final = outputs.final_now()
    try:
        _save(result, final, is_pyramid=is_pyramid)
    except OutputError as error:
        raise ImpastoError(f"{error} {_save_elsewhere(result, final)}".rstrip()) from None
    return final


def _save(result: Result, path: Path, *, is_pyramid: bool = False) -> None:
    save_picture(
        result.image, path, source=result.content, recipe_json=result.provenance(),
        bit_depth=result.recipe.bit_depth, keep_profile=result.recipe.keep_profile,
        is_gray=result.is_gray, is_pyramid=is_pyramid,
    )  # fmt: skip


def _save_elsewhere(result: Result, final: Path) -> str:
    """Saves the result where files may always go, or, as a last resort, its bare pixels as an 8-bit PNG; says where."""
    places: list[Callable[[], str | Path]] = [tempfile.gettempdir, Path.home, Path.cwd]
    for find in places:
        with suppress(OutputError, OSError, RuntimeError):  # the latter two if there is no such place
            refuge = next_free(Path(find()) / final.name)
            _save(result, refuge)
            return f"The finished picture is in '{refuge}' instead."
    for find in (lambda: final.parent, *places):
        with suppress(OutputError, OSError, RuntimeError):
            refuge = next_free(Path(find()) / f"{final.stem[:100]}.png")
            save_picture(result.image, refuge, bit_depth="8")
            return f"The finished picture is in '{refuge}' instead, as a PNG without its recipe."
    return ""


class _Recorder:
    """Follows a run's progress and keeps its losses and the pictures in between.

    A disk that fills up on the way costs these files, with one warning, but not the run.

    Attributes:
        has_table: Whether a table of losses is there, with at least one row.
        wants_folder: Whether anything besides the final picture is wanted once the run has ended.
    """

    def __init__(
        self,
        outputs: Outputs,
        picture: Picture,
        recipe: Recipe,
        options: RunOptions,
        on_progress: Callable[[Progress], None] | None,
        on_saved: Callable[[Path], None] | None,
        keeps_losses: bool,
    ) -> None:
        self.has_table = False
        self._outputs, self._picture, self._interval = outputs, picture, options.saving_interval
        self._size = _on_screen(target_size(picture.size, recipe))
        self._is_gray = stays_gray(picture, recipe)
        self._on_progress, self._on_saved = on_progress, on_saved
        # A run that only wants its one picture file leaves no folder beside it.
        self._is_keeping = self.wants_folder = outputs.is_folder or options.plot or self._interval > 0 or keeps_losses
        self._log: LossLog | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self.attempt(self._log.close)

    def __call__(self, event: Progress) -> None:
        """Keeps what is due of one iteration, then passes it on."""
        if not event.losses and self._outputs.overwrite and not self._outputs.resume:
            self.attempt(self._outputs.drop_checkpoint)
        if self._is_keeping:
            self.attempt(lambda: self._keep(event))
        if self._on_progress is not None:
            self._on_progress(event)

    def attempt(self, action: Callable[[], None]) -> None:
        """Writes something that the result can do without; after the first failure nothing more is kept."""
        try:
            action()
        except OutputError as error:
            self._is_keeping = False
            logger.warning("%s Losses and pictures in between are not kept from here on.", error)

    def _keep(self, event: Progress) -> None:
        if self._log is None:
            self._outputs.prepare_folder()
            self._log = LossLog(self._outputs.losses, after=event.iteration if self._outputs.resume else None)
            self.has_table = event.iteration > 0
        if event.losses:
            self._log.write(iteration=event.iteration, level=event.level, losses=event.losses, seconds=event.seconds)
            self.has_table = True
        if self._interval and event.iteration % self._interval == 0:
            self._save(event)

    def _save(self, event: Progress) -> None:
        path = self._outputs.intermediate(event.iteration)
        self._outputs.check_free(path)
        image = resize(event.image(), self._size)
        save_picture(
            image, path, source=self._picture, recipe_json=marker(iteration=event.iteration), bit_depth="8",
            is_gray=self._is_gray,
        )  # fmt: skip
        if self._on_saved is not None:
            self._on_saved(path)


def _on_screen(size: tuple[int, int]) -> tuple[int, int]:
    """The size, or that of a screen if it is larger."""
    return size if max(size) <= SCREEN_EDGE else output_size(size, height=1, longest_edge=SCREEN_EDGE)
