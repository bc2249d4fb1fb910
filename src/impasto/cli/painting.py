"""What `stylize` and `rerun` have in common: one picture or a folder of them, followed by a reporter."""

import functools
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.dry_run import show_plan
from impasto.cli.reporters import Reporter, reporter_for
from impasto.cli.signals import stop_on_signal
from impasto.errors import ImageError, ImpastoError, OutOfMemoryError, OutputError, UserError
from impasto.recipe import Recipe, RunOptions, StopReason

if TYPE_CHECKING:
    from impasto.encoders.base import Encoder
    from impasto.engine import Progress
    from impasto.pipeline.memory import MemoryPlan

logger = logging.getLogger(__name__)


def paint(content: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions, notes: Sequence[str] = ()) -> int:
    """Paints a picture, or each picture of a folder; or, with ``dry_run``, says what would be done.

    A picture that fails does not keep the others of its folder from being painted. The encoder is loaded once.

    Args:
        content: A picture, or a folder of them.
        styles: Style pictures, or folders of them.
        recipe: What decides the pixels.
        options: Where the results go, the device, saving.
        notes: Warnings to be shown before the recipe's own.

    Returns:
        The exit code: 0 if all went well, 2 if every failure was the user's mistake, else 1; 128 + the number of a
        signal that ended the run.
    """
    with reporter_for(options) as reporter:
        # Through the log: the library says the same once more for each picture, and the reporter shows it once.
        for sentence in [*notes, *recipe.warnings()]:
            logger.warning("%s", sentence)
        codes: list[int] = []
        try:
            styles = [picture for style in styles for picture in (_pictures_in(style) if style.is_dir() else [style])]
            jobs = _batch(content, options) if content.is_dir() else [(content, options)]
            if options.dry_run:
                show_plan(jobs[0][0], styles, recipe, options)
                return 0
            encoder = functools.cache(functools.partial(_build_encoder, recipe, options, reporter))
            for path, job_options in jobs:
                codes.append(_paint_one(path, styles, recipe, job_options, encoder, reporter))
                if codes[-1] > 128:
                    break
        except ImpastoError as error:
            return _failed(error, reporter)
        if len(jobs) > 1:
            reporter.summary(num_done=codes.count(0), num_all=len(jobs))
    return _overall(codes)


def _paint_one(
    content: Path,
    styles: Sequence[Path],
    recipe: Recipe,
    options: RunOptions,
    encoder: "Callable[[], Encoder]",
    reporter: Reporter,
) -> int:
    """Paints one picture and returns its exit code; what goes wrong is reported."""
    from impasto.devices import is_out_of_memory
    from impasto.engine import Control
    from impasto.runs.run import run

    control = Control()
    try:
        with stop_on_signal(control) as interruption:

            def follow(event: "Progress") -> None:
                interruption.has_picture = True
                reporter.progress(event)

            def announce(plan: "MemoryPlan") -> None:
                reporter.start(content, styles, plan.recipe, plan.peak_bytes)

            report = run(
                content, styles, recipe, options,
                encoder=encoder, on_progress=follow, on_saved=reporter.saved, on_plan=announce, control=control,
            )  # fmt: skip
    except ImpastoError as error:
        return _failed(error, reporter)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _failed(
            OutOfMemoryError(f"Memory ran out at '{content}'. Lower --height, or take smaller pictures."), reporter
        )
    reporter.done(report)
    return interruption.exit_code


def _overall(codes: Sequence[int]) -> int:
    """One exit code for a batch: the signal's that ended it, else 2 if only the user erred, else 1."""
    failures = {code for code in codes if code}
    if codes and codes[-1] > 128:
        return codes[-1]
    return max(failures, default=0) if failures <= {UserError.exit_code} else ImpastoError.exit_code


def _failed(error: ImpastoError, reporter: Reporter) -> int:
    reporter.error(str(error))
    return error.exit_code


def _build_encoder(recipe: Recipe, options: RunOptions, reporter: Reporter) -> "Encoder":
    from impasto.devices import pick_device
    from impasto.pipeline.build import encoder_of

    return encoder_of(recipe, pick_device(options.device), reporter.download, trust=options.trust)


def _batch(folder: Path, options: RunOptions) -> list[tuple[Path, RunOptions]]:
    """The pictures in a folder, each with its own output file ``STEM.png`` in the output folder."""
    from impasto.runs.outputs import names_a_picture, next_free

    target = options.output_file
    if names_a_picture(target):
        raise OutputError(f"'{folder}' is a folder, so --output-file must be one too; got '{target}'.")
    pictures = _pictures_in(folder)
    stems = Counter(path.stem for path in pictures)
    # Pictures that differ in their suffix alone keep it: photo-jpg.png beside photo-tif.png.
    endings = ["" if stems[path.stem] == 1 else path.suffix.replace(".", "-") for path in pictures]
    files = [target / f"{path.stem}{ending}.png" for path, ending in zip(pictures, endings, strict=True)]
    if not options.overwrite and not options.resume:
        files = [next_free(file) for file in files]
    jobs = [(path, options.replace(output_file=file)) for path, file in zip(pictures, files, strict=True)]
    return [_going_on(*job) for job in jobs if not _is_finished(job[1].output_file)] if options.resume else jobs


def _going_on(content: Path, options: RunOptions) -> tuple[Path, RunOptions]:
    """A picture of a batch that goes on: from its checkpoint if it had begun, else from the start."""
    from impasto.runs.outputs import has_checkpoint

    # Where a picture is, it is the unfinished one of this very run.
    return content, options.replace(resume=has_checkpoint(options.output_file), overwrite=True)


def _is_finished(picture: Path) -> bool:
    """Whether a picture is there, and is not what an interrupted run has kept."""
    from impasto.images import read_recipe_json

    if not picture.exists():
        return False
    try:
        return StopReason.read(json.loads(read_recipe_json(picture))["stop_reason"]) is not StopReason.STOPPED
    except (ImageError, ValueError, KeyError, TypeError):
        return True  # somebody else's: it is not touched


def _pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder by name.

    Raises:
        ImageError: If it cannot be read or holds none.
    """
    from impasto.formats.files import names_a_picture

    try:
        pictures = sorted(path for path in folder.iterdir() if names_a_picture(path) and path.is_file())
    except OSError as error:
        raise ImageError(f"Cannot read the folder '{folder}': {error.strerror}.") from None
    if not pictures:
        raise ImageError(f"No picture is in the folder '{folder}'; pictures are known by their names' suffix.")
    return pictures
