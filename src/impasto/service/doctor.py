"""Whether tables, files and queue of a service agree, and how to bring them together again where they do not.

After a restore, or after a machine was switched off at a bad moment, there may be files that no row names, rows whose
files are gone, and jobs that nobody works on. The service runs on meanwhile: every mend looks once more, under the
row's lock.
"""

import datetime
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from impasto.recipe import size_in_words
from impasto.service.api.example_pictures import all_by_id
from impasto.service.artifacts import StoredFile
from impasto.service.core import Core
from impasto.service.jobs.events import log_job
from impasto.service.jobs.moves import PICTURE, find_locked, follow_cells
from impasto.service.jobs.records import image_key
from impasto.service.jobs.routing import is_waiting
from impasto.service.jobs.states import ENDED
from impasto.service.queue import workflow_id
from impasto.service.reaper import Reaper
from impasto.service.store.tables import Image, Job, JobImage, Worker, now

__all__ = ["Ailment", "Doctor", "Finding"]

BATCH = 500
"""Files or rows that are looked up together."""

OWNER_OF_FILE = re.compile(
    r"^(?:images/|thumbnails/)(?P<sha256>[0-9a-f]{64})(?:/|$)|^(?:thumbnails/)?jobs/(?P<job>\w+)/"
)
"""Whose a file is: a picture's by its SHA-256, or a job's by its id."""


Item = TypeVar("Item")


class Ailment(StrEnum):
    """What may be wrong."""

    ORPHAN_FILE = "file without a row"
    LOST_FILE = "row without its file"
    LOST_WORKER = "job of a lost worker"
    NOT_QUEUED = "job that is not in the queue"
    OPEN_PARENT = "sweep or batch whose cells have ended"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        ailment: What.
        subject: Key of the file, or id of the job, picture or worker.
        sentence: What it means, and what mending does.
        mend: Puts it right; None where only a person can.
    """

    ailment: Ailment
    subject: str
    sentence: str
    mend: Callable[[], object] | None


class Doctor:
    """Looks for what does not fit together. Nothing is changed but by `Finding.mend`.

    Args:
        core: The service's.
        min_age_hours: Files younger than that are left alone: their rows may be about to come.
    """

    def __init__(self, core: Core, *, min_age_hours: float = 24.0) -> None:
        self._core = core
        self._oldest = now() - datetime.timedelta(hours=min_age_hours)

    def examine(self) -> Iterator[Finding]:
        """Everything that is wrong, one after the other; each file and each row is looked at once."""
        yield from self._lost_workers()
        yield from self._not_queued()
        yield from self._open_parents()
        yield from self._lost_pictures()
        yield from self._lost_files_of_jobs()
        yield from self._orphans()

    # files without rows

    def _orphans(self) -> Iterator[Finding]:
        for folder in ("images", "jobs", "thumbnails"):
            for batch in _batched(self._core.artifacts.list(folder)):
                yield from self._orphans_of([file for file in batch if file.modified_at < self._oldest])

    def _orphans_of(self, files: list[StoredFile]) -> Iterator[Finding]:
        owners = {file.key: OWNER_OF_FILE.match(file.key) for file in files}
        shas = {found["sha256"] for found in owners.values() if found and found["sha256"]}
        ids = {found["job"] for found in owners.values() if found and found["job"]}
        with self._core.database.reading() as session:
            known: set[str | None] = set(session.scalars(sa.select(Image.sha256).where(Image.sha256.in_(shas))))
            rows = session.execute(sa.select(Job.id, Job.artifacts, Job.finished_at).where(Job.id.in_(ids))).all()
        known |= {example.sha256 for example in all_by_id().values()}
        kept = {row.id: set(row.artifacts.values()) if row.finished_at else None for row in rows}
        for file in files:
            found = owners[file.key]
            if found is None or (found["sha256"] not in known if found["sha256"] else found["job"] not in kept):
                yield self._orphan(file, "no row names it")
            elif found["job"] and self._is_left_over(file.key, kept[found["job"]]):
                yield self._orphan(file, "its job has ended and needs it no more")

    @staticmethod
    def _is_left_over(key: str, kept: set[str] | None) -> bool:
        """Whether a file of an earlier attempt outlived its job's end."""
        is_of_attempt = re.match(r"^jobs/\w+/\d+/", key) is not None
        return kept is not None and is_of_attempt and key not in kept

    def _orphan(self, file: StoredFile, why: str) -> Finding:
        sentence = f"{size_in_words(file.num_bytes)}; {why}: it is deleted"
        return Finding(Ailment.ORPHAN_FILE, file.key, sentence, partial(self._core.artifacts.delete, file.key))

    # rows without files

    def _lost_pictures(self) -> Iterator[Finding]:
        for row in self._rows(sa.select(Image.id, Image.name, Image.sha256).order_by(Image.id)):
            if self._core.artifacts.exists(image_key(row.sha256)):
                continue
            with self._core.database.reading() as session:
                job = session.scalar(sa.select(JobImage.job_number).where(JobImage.image_id == row.id).limit(1))
            if job is None:
                yield Finding(
                    Ailment.LOST_FILE, row.id, f"the picture '{row.name}' is gone, and no job needs it: so is its row",
                    partial(self._forget_picture, row.id),
                )  # fmt: skip
            else:
                sentence = f"the picture '{row.name}' is gone, and jobs need it: upload the same file again"
                yield Finding(Ailment.LOST_FILE, row.id, sentence, None)

    def _forget_picture(self, image_id: str) -> None:
        needed = sa.exists().where(JobImage.image_id == image_id)
        with self._core.database.writing() as session:
            session.execute(sa.delete(Image).where(Image.id == image_id, ~needed))

    def _lost_files_of_jobs(self) -> Iterator[Finding]:
        query = sa.select(Job.number, Job.id, Job.artifacts, Job.pictures).order_by(Job.number)
        for row in self._rows(query):
            if not row.artifacts and not row.pictures:
                continue
            there = set(self._core.artifacts.keys(f"jobs/{row.id}"))
            lost = {role: key for role, key in row.artifacts.items() if key not in there}
            pictures = [number for number in row.pictures if _picture_key(row.id, number) not in there]
            if lost or pictures:
                names = [*lost, *(f"the picture of iteration {number}" for number in pictures)]
                yield Finding(
                    Ailment.LOST_FILE, row.id, f"gone: {', '.join(names)}; the job names them no more",
                    partial(self._forget_files, row.id, lost, pictures),
                )  # fmt: skip

    def _forget_files(self, job_id: str, lost: Mapping[str, str], pictures: list[int]) -> None:
        with self._core.database.writing() as session:
            job = find_locked(session, job_id)
            if job is None:
                return
            job.artifacts = {role: key for role, key in job.artifacts.items() if lost.get(role) != key}
            job.pictures = [number for number in job.pictures if number not in pictures]
            if "result" in lost and job.state in ENDED:
                job.warnings = [*job.warnings, "Its picture was lost with the machine that kept it; paint it again."]
            log_job(session, job)

    # jobs that nobody works on

    def _lost_workers(self) -> Iterator[Finding]:
        oldest = now() - datetime.timedelta(seconds=self._core.settings.lease_seconds)
        alive = sa.select(Worker.id).where(Worker.heartbeat_at >= oldest)
        query = sa.select(Job.id, Job.worker).where(
            Job.finished_at.is_(None), Job.worker.is_not(None), Job.worker.not_in(alive)
        )
        with self._core.database.reading() as session:
            rows = session.execute(query).all()
        for row in rows:
            yield Finding(
                Ailment.LOST_WORKER, row.id, f"its worker {row.worker} is not heard of: it goes back to the queue",
                partial(Reaper(self._core).bury, row.worker, "its worker was not heard of any more"),
            )  # fmt: skip

    def _not_queued(self) -> Iterator[Finding]:
        query = sa.select(Job.number, Job.id, Job.run).where(is_waiting()).order_by(Job.number)
        for batch in _batched(self._rows(query)):
            queued = self._core.queue.find_waiting([workflow_id(row.id, row.run) for row in batch])
            for row in batch:
                if workflow_id(row.id, row.run) not in queued:
                    yield Finding(
                        Ailment.NOT_QUEUED, row.id, "it waits, and no worker will ever find it: it is queued anew",
                        partial(self._core.attempts.pass_on, row.id, row.run),
                    )  # fmt: skip

    def _open_parents(self) -> Iterator[Finding]:
        cell = aliased(Job)
        is_open = sa.exists().where(cell.owner == Job.owner, cell.parent_id == Job.id, cell.finished_at.is_(None))
        query = sa.select(Job.id, Job.kind).where(
            Job.finished_at.is_(None), Job.kind != PICTURE, Job.wanted.is_distinct_from("overview"), ~is_open
        )
        with self._core.database.reading() as session:
            rows = session.execute(query).all()
        for row in rows:
            yield Finding(
                Ailment.OPEN_PARENT, row.id, f"all cells of this {row.kind} have ended: so does it",
                partial(self._close, row.id),
            )  # fmt: skip

    def _close(self, job_id: str) -> None:
        with self._core.database.writing() as session:
            job = find_locked(session, job_id)
            if job is not None and job.finished_at is None:
                follow_cells(session, self._core.queue, job)

    def _rows(self, query: sa.Select[*tuple[Any, ...]]) -> Iterator[sa.Row[*tuple[Any, ...]]]:
        """Rows of a query that is ordered by its first column, batch by batch, so that no transaction stays open."""
        key, last = next(iter(query.selected_columns)), None
        while True:
            part = query if last is None else query.where(key > last)
            with self._core.database.reading() as session:
                rows = session.execute(part.limit(BATCH)).all()
            yield from rows
            if len(rows) < BATCH:
                return
            last = rows[-1][0]


def _batched(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def _picture_key(job_id: str, iteration: int) -> str:
    return f"jobs/{job_id}/pictures/{iteration:05}.png"
