"""What `stylize` and `rerun` have in common: one picture or a folder of them, followed by a reporter."""

import functools
import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.dry_run import show_plan
from impasto.cli.reporters import Reporter, reporter_for
from impasto.cli.signals import stop_on_signal
from impasto.errors import CheckpointError, ImpastoError, UserError
from impasto.formats.files import is_folder
from impasto.recipe import Recipe, RunOptions

if TYPE_CHECKING:
    from impasto.encoders.base import Encoder
    from impasto.engine import Progress
    from impasto.objective.ranks import Ranks
    from impasto.pipeline.memory_plan import MemoryPlan

logger = logging.getLogger(__name__)


def paint(content: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions, notes: Sequence[str] = ()) -> int:
    """Paints a picture, or each picture of a folder; or, with ``dry_run``, says what would be done.

    A picture that fails does not keep the others of its folder from being painted. The encoder is loaded once. Of the
    processes that ``torchrun`` has started, the first one does all this, and the others evaluate tiles for it.

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
    recipe = recipe.accelerated()
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return _paint_all(content, styles, recipe, options, notes)
    from impasto.pipeline.ranks import assist, joined_ranks

    agreed = {
        "pictures": [str(path) for path in (content, *styles)], "recipes": recipe.to_json(),
        "options": options.model_dump_json(),
    }  # fmt: skip
    with joined_ranks(options.device, agreed) as ranks:
        if ranks is None or ranks.is_leader:
            return _paint_all(content, styles, recipe, options, notes, ranks)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the leader finishes its iteration, and says when it is over
        assist(ranks)
    return 0


def _paint_all(
    content: Path,
    styles: Sequence[Path],
    recipe: Recipe,
    options: RunOptions,
    notes: Sequence[str],
    ranks: "Ranks | None" = None,
) -> int:
    from impasto.runs.batch import Batch, pictures_in, plan_batch

    with reporter_for(options) as reporter:
        # Through the log: the library says the same once more for each picture, and the reporter shows it once.
        for sentence in [*notes, *recipe.warnings()]:
            logger.warning("%s", sentence)
        codes: list[int] = []
        try:
            styles = [file for style in styles for file in (pictures_in(style)[0] if is_folder(style) else [style])]
            encoder = functools.cache(functools.partial(_build_encoder, recipe, options, reporter))
            is_batch = is_folder(content)
            batch = plan_batch(content, styles, recipe, options, encoder) if is_batch else Batch([(content, options)])
            for sentence in [*batch.notes, *batch.passed_over]:
                logger.warning("%s", sentence)
            jobs = batch.jobs
            if options.dry_run:
                for path, job_options in jobs:
                    try:
                        show_plan(path, styles, recipe, job_options, reporter.text)
                        codes.append(0)
                    except ImpastoError as error:
                        codes.append(_failed(error, reporter))
                return _overall(codes)
            for path, job_options in jobs:
                codes.append(_paint_one(path, styles, recipe, job_options, encoder, reporter, ranks, is_batch=is_batch))
                if codes[-1] > 128:
                    break
        except ImpastoError as error:
            return _failed(error, reporter)
        if is_batch and (len(jobs) > 1 or batch.passed_over):
            reporter.summary(codes.count(0), len(jobs), len(batch.passed_over))
    return _overall(codes)


def _paint_one(
    content: Path,
    styles: Sequence[Path],
    recipe: Recipe,
    options: RunOptions,
    encoder: "Callable[[], Encoder]",
    reporter: Reporter,
    ranks: "Ranks | None",
    *,
    is_batch: bool,
) -> int:
    """Paints one picture and returns its exit code; what goes wrong is reported.

    In a batch, a checkpoint that does not fit is no obstacle: the picture is painted anew.
    """
    from impasto.engine import Control
    from impasto.runs.failures import told_in_a_sentence
    from impasto.runs.run import run

    control = Control()
    try:
        with told_in_a_sentence(content), stop_on_signal(control) as interruption:

            def follow(event: "Progress") -> None:
                interruption.has_picture = True
                reporter.progress(event)

            def announce(plan: "MemoryPlan") -> None:
                reporter.start(content, styles, plan.recipe, plan.peak_bytes)

            report = run(
                content, styles, recipe, options,
                encoder=encoder, on_progress=follow, on_saved=reporter.saved, on_plan=announce, control=control,
                # Those of a large batch would fill a disk.
                keeps_checkpoint=not is_batch or "checkpoint_every" in options.model_fields_set, ranks=ranks,
            )  # fmt: skip
    except CheckpointError as error:
        if not (is_batch and options.resume):
            return _failed(error, reporter)
        reporter.warning(f"{error} It is painted anew.")
        anew = options.replace(resume=False)
        return _paint_one(content, styles, recipe, anew, encoder, reporter, ranks, is_batch=is_batch)
    except ImpastoError as error:
        return _failed(error, reporter)
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
