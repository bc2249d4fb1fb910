"""One run from files to files: what can be checked is checked first, what can be kept is kept."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from impasto.encoders.base import Encoder
from impasto.engine import Control, Progress
from impasto.engine.checkpoint import Checkpoints
from impasto.errors import OutputError
from impasto.images import Picture, load_picture, resize, save_picture
from impasto.pipeline import Execution, Masks, Result, stylize
from impasto.pipeline.color_preservation import stays_gray
from impasto.pipeline.level_images import target_size
from impasto.pipeline.memory import MemoryPlan
from impasto.recipe import Recipe, RunOptions
from impasto.runs.loss_plot import plot_losses
from impasto.runs.outputs import LossLog, Outputs, next_free, plan_outputs

__all__ = ["RunReport", "run"]

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

    Raises:
        UserError: If a picture cannot be read or the output not be written; before anything is computed.
        ImpastoError: If the run itself fails.
    """
    masks = [*options.content_mask, *options.style_mask, *([options.lock_mask] if options.lock_mask else [])]
    outputs = plan_outputs(
        options.output_file, overwrite=options.overwrite, resume=options.resume, inputs=[content, *styles, *masks]
    )
    picture, *style_pictures = (_load(path, options.max_pixels) for path in (content, *styles))
    content_masks, style_masks = (
        [_load(path, options.max_pixels) for path in paths] for paths in (options.content_mask, options.style_mask)
    )
    lock_mask = None if options.lock_mask is None else _load(options.lock_mask, options.max_pixels)
    with _Recorder(outputs, picture, recipe, options, on_progress, on_saved) as recorder:
        result = stylize(
            picture, style_pictures, recipe,
            masks=Masks(content_masks, style_masks, lock_mask),
            execution=Execution(
                device=options.device, threads=options.threads, trust=options.trust, max_memory=options.max_memory,
                checkpoints=Checkpoints(
                    outputs.checkpoint, options.checkpoint_every, options.resume, at_end=recorder.wants_folder
                ),
            ),
            encoder=encoder, control=control, on_progress=recorder, on_plan=on_plan,
        )  # fmt: skip
    final = None if result.is_cancelled else _save_final(result, outputs)
    if not recorder.wants_folder:
        recorder.attempt(outputs.drop_checkpoint)
    if options.plot and recorder.has_table:
        recorder.attempt(lambda: plot_losses(outputs.losses, outputs.plot))
    return RunReport(result, final, outputs.folder if recorder.has_table else None)


def _load(path: Path, max_pixels: int) -> Picture:
    picture = load_picture(path, max_pixels=max_pixels)
    for note in picture.notes:
        logger.warning("%s: %s.", path, note)
    return picture


def _save_final(result: Result, outputs: Outputs) -> Path:
    """Saves the result; if its place has been lost on the way, as on a full disk, then somewhere else.

    Raises:
        OutputError: If the place has been lost; it says where the picture is now.
    """
    final = outputs.final_now()
    try:
        _save(result, final)
    except OutputError as error:
        refuge = _save_elsewhere(result, final.name)
        if refuge is None:
            raise
        raise OutputError(f"{error} The finished picture is in '{refuge}' instead.") from None
    return final


def _save(result: Result, path: Path) -> None:
    save_picture(
        result.image, path, source=result.content, recipe_json=result.provenance(),
        bit_depth=result.recipe.bit_depth, keep_profile=result.recipe.keep_profile,
        is_gray=result.is_gray,
    )  # fmt: skip


def _save_elsewhere(result: Result, name: str) -> Path | None:
    """Saves the result to the first place that takes it: the folder for temporary files, the home, or here."""
    for find in (tempfile.gettempdir, Path.home, Path.cwd):
        try:
            refuge = next_free(Path(find()) / name)
            _save(result, refuge)
        except (OutputError, OSError, RuntimeError):  # the latter two if there is no such place
            continue
        return refuge
    return None


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
    ) -> None:
        self.has_table = False
        self._outputs, self._picture, self._interval = outputs, picture, options.saving_interval
        self._size = target_size(picture.size, recipe)
        self._is_gray = stays_gray(picture, recipe)
        self._on_progress, self._on_saved = on_progress, on_saved
        # A run that only wants its one picture file leaves no folder beside it.
        self._is_keeping = self.wants_folder = outputs.is_folder or options.plot or self._interval > 0
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
        image = resize(event.image(), self._size)
        save_picture(image, path, source=self._picture, bit_depth="8", is_gray=self._is_gray)
        if self._on_saved is not None:
            self._on_saved(path)
