"""A job of a service, followed as a run of this machine is: the same bar, the same lines, the same JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from impasto.cli.reporters import Reporter
from impasto.errors import ImpastoError, UserError
from impasto.recipe import Recipe, StopReason

if TYPE_CHECKING:
    from impasto.engine import Progress
    from impasto.runs.run import RunReport
    from impasto.service.client import Client
    from impasto.service.schemas import Job
    from impasto.service.schemas import Progress as JobProgress

SERVICE = Group.create_ordered("Service")

Url = Annotated[
    str | None,
    Parameter(
        name="--url",
        group=SERVICE,
        help="The service; default: $IMPASTO_URL, else this machine's. Its key: $IMPASTO_KEY.",
    ),
]
JobName = Annotated[str, Parameter(help="The job's id, or its beginning.")]


@dataclass(frozen=True)
class _Progress:
    """What a reporter reads of `impasto.engine.Progress`, which would load torch."""

    iteration: int
    total_iterations: int
    level: int
    num_levels: int
    size: tuple[int, int]
    losses: dict[str, float]
    seconds: float
    eta_seconds: float


@contextmanager
def connected(url: str | None) -> "Iterator[Client]":
    """A client; where its packages are missing, a sentence.

    Raises:
        UserError: If the extra is not installed.
    """
    try:
        from impasto.service.client import Client
    except ModuleNotFoundError as error:
        raise UserError(
            f"This command needs the package {error.name}; install it by: pip install 'impasto[service]'."
        ) from None
    with Client(url) as client:
        yield client


def find_job(client: "Client", name: str | None) -> "Job":
    """The job of an id or of its beginning; without one the newest that goes on, or the newest of all.

    Raises:
        UserError: If there is none, or more than one.
    """
    if name is not None and len(name) >= FULL_ID:
        return client.job(name)
    jobs = list(client.jobs()) if name else [*client.jobs(state="running"), *client.jobs(state="queued")]
    if name is None:
        newest = next(iter(jobs), None) or next(client.jobs(), None)
        if newest is None:
            raise UserError("There is no job yet; 'impasto submit' makes one.")
        return newest
    found = [job for job in jobs if job.id.startswith(name)]
    if len(found) != 1:
        many = f"{len(found)} jobs' ids begin" if found else "No job's id begins"
        raise UserError(f"{many} with '{name}'; 'impasto jobs' lists them.")
    return found[0]


FULL_ID = 16
"""Characters of an id."""


def follow(client: "Client", job: "Job", reporter: Reporter) -> "Job":
    """Shows a job until it has ended.

    Returns:
        The job as it then is.
    """
    from impasto.service.client import ENDED

    shown = -1
    for event in client.events(job.id):
        if event is None or event.name == "job":
            job = client.job(job.id)
            if shown < 0:
                shown = 0
                for sentence in job.warnings:
                    reporter.warning(sentence)
                _start(reporter, job)
            if job.state in ENDED:
                if job.iteration > shown:  # it was faster than its events
                    _show(reporter, job, job)
                return job
        elif progress := event.progress:
            shown = progress.iteration
            _show(reporter, job, progress)
    raise ImpastoError("The service ended the stream of events.")


def _show(reporter: Reporter, job: "Job", progress: "Job | JobProgress") -> None:
    size = job.size or [0, 0]
    losses = {name: value for name, value in progress.losses.model_dump().items() if value is not None}
    total = progress.total_iterations or progress.iteration
    seen = _Progress(
        progress.iteration, total, progress.level, progress.num_levels, (size[0], size[1]), losses, progress.seconds,
        _number(progress.eta_seconds),
    )  # fmt: skip
    reporter.progress(cast("Progress", seen))


def report(job: "Job", saved: Path | None, reporter: Reporter) -> int:
    """Tells how a job ended, and returns the exit code."""
    if job.state == "failed":
        reporter.error(job.error or "the job failed.")
        return ImpastoError.exit_code
    reason = StopReason.read(job.stop_reason or "") or StopReason.CANCELLED
    losses = {name: value for name, value in job.losses.model_dump().items() if value is not None}
    image = SimpleNamespace(shape=(1, 3, *(job.size or [0, 0])))
    result = SimpleNamespace(
        image=image, iterations=job.iteration, seconds=job.seconds, stop_reason=reason, losses=losses,
        gradient_share={},
    )  # fmt: skip
    reporter.done(cast("RunReport", SimpleNamespace(final=saved, result=result)))
    return 0 if job.state in ("done", "stopped") else ImpastoError.exit_code


def _start(reporter: Reporter, job: "Job") -> None:
    styles = [Path(style.name) for style in job.styles]
    content = Path(job.content.name if job.content else job.name)
    values: dict[str, Any] = {name: value for name, value in job.recipe.items() if value is not None}
    reporter.start(content, styles, Recipe(**values), job.plan.peak_bytes or 0)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
