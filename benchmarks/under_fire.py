"""Jobs under fire: what the benchmarks of one machine and of a fleet order, and how they judge what came of it."""

import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from PIL import Image

from impasto.recipe import Recipe
from impasto.service.core import Core
from impasto.service.doctor import Ailment, Doctor
from impasto.service.jobs.records import JobInputs, JobRecord, NewJob
from impasto.service.store.tables import Attempt, Event, Job

STYLES = ("oil", "mosaic", "waves")


@dataclass(frozen=True)
class Recovery:
    """How long kills were felt, in seconds."""

    kills: int
    median: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Of at least one kill."""
        return cls(len(seconds), round(statistics.median(seconds), 2), round(max(seconds), 2))


@dataclass
class Outcome:
    """What came of jobs; a base of reports.

    Attributes:
        jobs: How many there were.
        seconds: From the first order to the last end.
        done: Jobs.
        not_done: Others, by state and error.
        committed_twice: Jobs that came to an end with a picture more than once.
        left_behind: Files that no job names: of workers that were killed after they had stored a picture, and before
            they could commit it or tidy up. `impasto doctor` removes them.
        other_pixels: Jobs whose picture is not that of their recipe.
        attempts: In all.
        recovery: From the kill of a worker amid a job to the job's next progress, by what befell it meanwhile.
        load_average: Of the machine, over five minutes.
    """

    jobs: int
    _: KW_ONLY
    seconds: float = 0.0
    done: int = 0
    not_done: dict[str, int] = field(default_factory=dict)
    committed_twice: int = 0
    left_behind: int = 0
    other_pixels: int = 0
    attempts: int = 0
    recovery: dict[str, Recovery] = field(default_factory=dict)
    load_average: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return self.done == self.jobs and not self.committed_twice and not self.other_pixels


def order(variant: int, iterations: int) -> NewJob:
    """A short job; each variant is another picture."""
    recipe = Recipe(
        model="compact", height=48, init_method="random", seed=variant, strength=30 + 5 * variant,
        total_iterations=iterations,
    )  # fmt: skip
    inputs = JobInputs(content="example:coffee", styles=[f"example:{STYLES[variant % len(STYLES)]}"])
    return NewJob(inputs=inputs, recipe=recipe, saving_interval=0)


def num_ended(core: Core) -> int:
    """How many jobs have ended, in whatever way."""
    with core.database.reading() as session:
        return session.scalar(sa.select(sa.func.count()).where(Job.finished_at.is_not(None))) or 0


def judge(core: Core, ids: Sequence[str], outcome: Outcome) -> list[JobRecord]:
    """Fills in all of an outcome but the times and the pixels, and gives the jobs."""
    records = [core.desk.get(None, job) for job in ids]
    outcome.done = sum(record.state == "done" for record in records)
    outcome.not_done = dict(Counter(f"{r.state}: {r.error}" for r in records if r.state != "done"))
    with core.database.reading() as session:
        events = session.execute(sa.select(Event.job_id, Event.data).where(Event.name == "job")).all()
        outcome.attempts = session.scalar(sa.select(sa.func.count()).select_from(Attempt)) or 0
    commits = Counter(job for job, data in events if data["state"] in ("done", "stopped"))
    outcome.committed_twice = sum(count > 1 for count in commits.values())
    findings = Doctor(core, min_age_hours=0).examine()
    outcome.left_behind = sum(finding.ailment is Ailment.ORPHAN_FILE for finding in findings)
    return records


def recoveries(
    core: Core, kills: Sequence[tuple[str, datetime]], outages: Sequence[tuple[datetime, datetime]]
) -> dict[str, Recovery]:
    """How long jobs of killed workers took to go on, from the kill to the first progress after it.

    Args:
        core: The service's.
        kills: Jobs with the time of the kill.
        outages: Times in which more than a worker was away.

    Returns:
        By what else befell the job meanwhile: ``nothing``, ``outage``, or ``another kill`` of its worker.
    """
    with core.database.reading() as session:
        query = sa.select(Event.job_id, Event.created_at).where(Event.name == "progress").order_by(Event.id)
        progress = session.execute(query).all()
    seconds: dict[str, list[float]] = {}
    for job, killed in kills:
        went_on = next((at for other, at in progress if other == job and at > killed), None)
        if went_on is None:
            continue
        what = "nothing"
        if any(start <= went_on and end >= killed for start, end in outages):
            what = "outage"
        elif any(other == job and killed < at < went_on for other, at in kills):
            what = "another kill"
        seconds.setdefault(what, []).append((went_on - killed).total_seconds())
    return {what: Recovery.of(each) for what, each in seconds.items()}


def pixels(core: Core, key: str) -> bytes:
    """The pixels of a picture that the service keeps."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        core.artifacts.fetch(key, Path(file.name))
        with Image.open(file.name) as image:
            return image.tobytes()


def tell(report: Any, output: Path | None) -> None:
    """Prints a report, or several, and keeps them as JSON if there is a file for them."""
    text = json.dumps([asdict(one) for one in report] if isinstance(report, list) else asdict(report), indent=1)
    print(text)
    if output is not None:
        output.write_text(text + "\n")
