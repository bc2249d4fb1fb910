"""One attempt at a job: `impasto.runs.run` in a scratch folder, its files carried to the artifacts as they come.

Three threads share the work. One paints, and never waits for a database or a network. One carries files and notes
progress. One (the worker's) looks for orders of callers. A `Painting` lives as long as its process: each step of the
workflow asks it for the next checkpoint, and only after a crash is the engine built anew from the last one.
"""

import logging
import os
import shutil
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from impasto.devices import is_out_of_memory
from impasto.encoders import Encoder
from impasto.engine import Progress
from impasto.errors import CheckpointError, ImpastoError, OutOfMemoryError
from impasto.images import resize, save_picture
from impasto.pipeline.memory_plan import MemoryPlan
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.runs.events import EventStream
from impasto.runs.own_files import marker
from impasto.runs.run import RunReport, run
from impasto.service.artifacts import ArtifactError
from impasto.service.core import Core
from impasto.service.jobs.attempts import Assignment, LateError
from impasto.service.jobs.causes import cause_of
from impasto.service.jobs.states import State
from impasto.service.worker.inputs import InputFiles, fetch_inputs, own_recipe
from impasto.service.worker.steering import Steering

__all__ = ["Outcome", "Painting"]

logger = logging.getLogger(__name__)

TELL_SECONDS = 0.4
"""Time between two notes of progress."""

PREVIEW_SHARE = 0.05
"""Share of a run's time that previews may take."""

MAX_PREVIEW = 1024
"""Longest edge of a preview."""


class Outcome(StrEnum):
    """What a step of the workflow came to."""

    MORE = "more"
    ENDED = "ended"
    HANDED_BACK = "handed back"
    LATE = "late"


@dataclass
class _News:
    """What the painting thread has for the carrying one; only the latest of each counts, but for pictures."""

    checkpoint: tuple[Path, list[int]] | None = None
    preview: Path | None = None
    progress: dict[str, Any] | None = None
    plan: MemoryPlan | None = None


class Painting:
    """An attempt that is going on.

    Args:
        core: The service's.
        assignment: From `impasto.service.jobs.attempts`.
        encoder_of: Builds an encoder, or has it from the job before.
        threads: Processor threads.
    """

    def __init__(
        self, core: Core, assignment: Assignment, encoder_of: Callable[[Recipe, bool], Encoder], threads: int
    ) -> None:
        self.assignment = assignment
        self._core, self._encoder_of, self._threads = core, encoder_of, threads
        self._settings, self._artifacts, self._attempts = core.settings, core.artifacts, core.attempts
        job = assignment.job
        self._folder = core.settings.scratch / f"{job.id}-{assignment.attempt}"
        self._out = self._folder / "out"
        self._control = Steering([])
        self._is_handing_back = self._is_pausing = False
        self._news, self._pictures = _News(), deque[Path]()
        self._changed = threading.Condition()
        self._report: RunReport | None = None
        self._error: Exception | None = None
        self._warnings: list[str] = []
        self._num_told_changes = 0
        self._next_preview = 0.0
        self._stream = EventStream(self._keep_progress)
        self._checkpoint_number = 0
        self._thread = threading.Thread(target=self._paint, name=f"paint-{job.id}", daemon=True)
        self._thread.start()

    # what callers and the system ask, from the worker's thread

    def follow_orders(self) -> None:
        """Does what callers ask; raises `LateError` if the attempt does not count any more."""
        orders = self._attempts.orders(self.assignment)
        for change in orders.changes:
            self._control.ask(change["id"], change["values"])
        if orders.wanted == "cancel":
            self._control.cancel()
        elif orders.wanted == "stop":
            self._control.stop()
        elif orders.wanted == "pause":
            self._is_pausing = True
            self._control.stop()

    def hand_back(self) -> None:
        """Ends after this iteration, with a checkpoint, so that another worker goes on."""
        self._is_handing_back = True
        self._control.stop()

    def abandon(self) -> None:
        """Ends without a trace."""
        self._control.cancel()

    # the carrying thread

    def step(self) -> Outcome:
        """Carries what comes until the next checkpoint is safe, or the attempt has ended."""
        try:
            while True:
                is_alive = self._thread.is_alive()
                with self._changed:
                    self._changed.wait_for(self._is_worth_waking, timeout=TELL_SECONDS)
                    news, self._news = self._news, _News()
                    pictures = list(self._pictures)
                    self._pictures.clear()
                self._carry(news, pictures)
                if news.checkpoint is not None and is_alive:
                    return Outcome.MORE
                if not is_alive and not self._has_news():
                    outcome = self._end()
                    self._clear()
                    return outcome
        except LateError as error:
            logger.warning("%s", error)
            self.abandon()
            self._clear()
            return Outcome.LATE
        except ImpastoError as error:  # the store is full or out of reach
            self.abandon()
            self._thread.join()
            self._attempts.fail(self.assignment, self._cleaned(str(error)), cause_of(error))
            self._clear()
            return Outcome.ENDED

    def _has_news(self) -> bool:
        news = self._news
        return bool(news.checkpoint or news.preview or news.progress or news.plan or self._pictures)

    def _is_worth_waking(self) -> bool:
        news = self._news
        return bool(news.checkpoint or news.preview or news.plan or self._pictures) or not self._thread.is_alive()

    def _carry(self, news: _News, pictures: list[Path]) -> None:
        me, folder = self.assignment, f"jobs/{self.assignment.job.id}"
        if news.plan is not None:
            resolved = {
                **news.plan.recipe.model_dump(mode="json"),
                "model": Recipe(**me.job.recipe).accelerated().model,
            }
            self._attempts.tell_plan(me, resolved, news.plan.peak_bytes)
        if news.progress is not None:
            self._attempts.tell_progress(me, news.progress, self._warnings)
            if len(self._control.changes) > self._num_told_changes:
                self._num_told_changes = len(self._control.changes)
                self._attempts.tell_changes(me, self._control.changes)
        for picture in pictures:
            self._artifacts.put(f"{folder}/pictures/{picture.name}", picture)
            self._attempts.tell_picture(me, int(picture.stem))
        if news.preview is not None:
            self._artifacts.put(f"{me.folder}/preview.png", news.preview)
            self._attempts.tell_preview(me, f"{me.folder}/preview.png")
        if news.checkpoint is not None:
            self._carry_checkpoint(*news.checkpoint)

    def _carry_checkpoint(self, path: Path, taken: list[int]) -> None:
        key = f"{self.assignment.folder}/{path.name}"
        self._artifacts.put(key, path)
        artifacts = {"checkpoint": key, **self._carry_losses()}
        self._artifacts.delete(*self._attempts.tell_checkpoint(self.assignment, artifacts, taken))
        path.unlink()

    def _carry_losses(self) -> dict[str, str]:
        key, losses = f"{self.assignment.folder}/losses.csv", self._out / "losses.csv"
        if not losses.is_file():
            return {}
        self._artifacts.put(key, losses)
        return {"losses": key}

    def _end(self) -> Outcome:
        """Commits what the run came to."""
        me, report = self.assignment, self._report
        if report is None:
            error = self._error
            if not isinstance(error, ImpastoError):
                logger.error("job failed by a defect", extra={"job_id": me.job.id, "error": _where(error)})
            self._attempts.fail(me, self._cleaned(_sentence(error)), cause_of(error))
            return Outcome.ENDED
        result = report.result
        is_stopped = result.stop_reason is StopReason.STOPPED
        if is_stopped and (self._is_pausing or self._is_handing_back) and not self._wants("stop"):
            self._attempts.hand_back(me, paused=self._is_pausing)
            return Outcome.HANDED_BACK
        if report.final is None:
            kept = self._attempts.finish(me, State.CANCELLED, self._carry_losses(), {"stop_reason": result.stop_reason})
            self._drop_all_but(kept)
            return Outcome.ENDED
        key = f"{me.folder}/result.png"
        self._artifacts.put(key, report.final)
        values: dict[str, Any] = {
            "iteration": result.iterations, "seconds": round(result.seconds, 3),
            "stop_reason": result.stop_reason, "size": list(result.image.shape[-2:]),
            "changes": [change.model_dump(mode="json") for change in result.recipe.changes],
            "error": None,
        }  # fmt: skip
        artifacts = {"result": key, **self._carry_losses()}
        kept = self._attempts.finish(me, State.STOPPED if is_stopped else State.DONE, artifacts, values)
        self._drop_all_but(kept)
        return Outcome.ENDED

    def _drop_all_but(self, kept: Mapping[str, str]) -> None:
        """Removes checkpoints, and what earlier attempts have left; what fails here, `impasto doctor` finds."""
        folder = f"jobs/{self.assignment.job.id}"
        with suppress(ArtifactError):
            for key in list(self._artifacts.keys(folder)):
                if key not in kept.values() and not key.startswith(f"{folder}/pictures/"):
                    self._artifacts.delete(key)

    def _wants(self, what: str) -> bool:
        return self._attempts.orders(self.assignment).wanted == what

    def _clear(self) -> None:
        if not self._thread.is_alive():
            shutil.rmtree(self._folder, ignore_errors=True)

    # the painting thread

    def _paint(self) -> None:
        handler = _WarningsOf(threading.get_ident(), self._warn)
        log = logging.getLogger("impasto")
        log.addHandler(handler)
        try:
            self._report = self._run()
        except Exception as error:  # whatever it is fails this job, and none besides
            self._error = error
        finally:
            log.removeHandler(handler)
            with self._changed:
                self._changed.notify_all()

    def _run(self) -> RunReport:
        job = self.assignment.job
        shutil.rmtree(self._folder, ignore_errors=True)
        self._out.mkdir(parents=True)
        files = fetch_inputs(self._core.database, self._artifacts, job, self._folder / "in")
        recipe = own_recipe(job, self._settings.models)
        can_resume = "checkpoint" in job.artifacts
        if can_resume:
            self._artifacts.fetch(job.artifacts["checkpoint"], self._out / "checkpoint")
            if "losses" in job.artifacts:
                self._artifacts.fetch(job.artifacts["losses"], self._out / "losses.csv")
            # A change that no checkpoint holds is asked for again.
            pending = {change["id"] for change in job.pending_changes}
            self._control.changes = [dict(c) for c in job.changes if not pending.intersection(c.get("ids", []))]
            self._num_told_changes = len(self._control.changes)
        try:
            return self._call(files, recipe, resume=can_resume)
        except CheckpointError as error:
            if not can_resume:
                raise
            logger.warning("The last checkpoint cannot be used (%s); the job begins anew.", error)
            shutil.rmtree(self._out)
            self._out.mkdir()
            self._control.changes = []
            return self._call(files, recipe, resume=False)

    def _call(self, files: InputFiles, recipe: Recipe, *, resume: bool) -> RunReport:
        settings = self._settings
        trust = recipe.model in settings.models
        options = RunOptions(
            output_file=self._out, content_mask=files.content_masks, style_mask=files.style_masks,
            lock_mask=files.lock_mask, saving_interval=self.assignment.job.saving_interval,
            checkpoint_every=settings.checkpoint_seconds, resume=resume, device=settings.device,
            threads=self._threads, trust=trust, max_memory=settings.memory_a_worker, max_pixels=settings.max_pixels,
        )  # fmt: skip
        return run(
            files.content, files.styles, recipe, options,
            encoder=lambda: self._encoder_of(recipe, trust), on_progress=self._on_progress, on_saved=self._on_saved,
            on_plan=self._on_plan, control=self._control, keeps_checkpoint=False, keeps_losses=True,
            on_checkpoint=self._on_checkpoint,
        )  # fmt: skip

    def _on_plan(self, plan: MemoryPlan) -> None:
        self._tell(plan=plan)

    def _on_progress(self, event: Progress) -> None:
        self._control.iteration = event.iteration
        self._stream.progress(event)
        if event.losses and time.monotonic() >= self._next_preview:
            self._preview(event)

    def _preview(self, event: Progress) -> None:
        start = time.monotonic()
        image = event.image()
        height, width = image.shape[-2:]
        if max(height, width) > MAX_PREVIEW:
            shrink = MAX_PREVIEW / max(height, width)
            image = resize(image, (max(1, round(height * shrink)), max(1, round(width * shrink))))
        path = self._folder / f"preview-{event.iteration}.png"
        save_picture(image, path, recipe_json=marker(iteration=event.iteration), bit_depth="8")
        self._tell(preview=path)
        took = time.monotonic() - start
        self._next_preview = time.monotonic() + max(self._settings.preview_seconds, took / PREVIEW_SHARE)

    def _keep_progress(self, event: dict[str, Any]) -> None:
        kept = {
            name: value for name, value in event.items() if name != "event" and not (name == "losses" and not value)
        }
        with self._changed:  # the carrying thread looks every so often; it is not woken for each iteration
            self._news.progress = kept

    def _on_saved(self, path: Path) -> None:
        with self._changed:
            self._pictures.append(path)
            self._changed.notify_all()

    def _on_checkpoint(self, path: Path) -> None:
        # The next one replaces the file while this one may still be on its way.
        self._checkpoint_number += 1
        link = self._folder / f"checkpoint-{self._checkpoint_number}"
        os.link(path, link)
        self._tell(checkpoint=(link, list(self._control.taken)))

    def _tell(self, **news: Any) -> None:
        with self._changed:
            for name, value in news.items():
                setattr(self._news, name, value)
            self._changed.notify_all()

    def _warn(self, sentence: str) -> None:
        self._warnings.append(self._cleaned(sentence))

    def _cleaned(self, sentence: str) -> str:
        """A sentence without the folders of this machine."""
        for folder in (self._out, self._folder):
            sentence = sentence.replace(f"{folder}{os.sep}", "")
        return sentence.replace(str(self._folder), "the job's folder")


class _WarningsOf(logging.Handler):
    """Hands on the warnings that one thread logs."""

    def __init__(self, thread: int, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._of_thread, self._tell = thread, tell

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging` calls it."""
        if record.thread == self._of_thread:
            self._tell(record.getMessage())


def _where(error: Exception | None) -> str:
    """What an error is and where it came from, without its text, which may name a caller's files."""
    frames = traceback.extract_tb(error.__traceback__)[-3:] if error is not None else []
    return " < ".join([type(error).__name__, *(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))])


def _sentence(error: Exception | None) -> str:
    """What a caller is told of a failure."""
    if isinstance(error, ImpastoError):
        return str(error)
    if isinstance(error, OSError):
        return f"The job cannot be painted: {error.strerror or error}."
    if isinstance(error, MemoryError | RuntimeError) and is_out_of_memory(error):
        return str(OutOfMemoryError("Memory ran out. Lower --height, use --model compact, or take smaller pictures."))
    return f"The job failed by a defect ({type(error).__name__}); the service's log says more."
