"""What is kept for how long, and the clean-up of what is not needed any more. What a job refers to is always kept."""

import datetime
import logging
import shutil
import time
from collections.abc import Iterator

import sqlalchemy as sa

from impasto.service.core import Core
from impasto.service.jobs.images import delete_image
from impasto.service.jobs.records import thumbnails_of_job
from impasto.service.jobs.states import ENDED, ConflictError
from impasto.service.store.tables import Event, Image, Job, JobImage, now

__all__ = ["Cleaner"]

logger = logging.getLogger(__name__)

BATCH = 200
"""Rows that one transaction removes, so that nobody waits long for it."""

PROGRESS_SECONDS = 600
"""How long the log keeps progress and previews, which nobody needs once newer ones are there."""

WORKFLOW_SECONDS = 3600
"""How long DBOS's records of workflows are kept that are over."""

SCRATCH_SECONDS = 3600


class Cleaner:
    """Cleans up; several processes may, at the same time.

    Args:
        core: The service's.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._settings = core, core.settings

    def clean(self) -> None:
        """One round: jobs whose time is over, their files, pictures nobody needs, old events and workflows."""
        self._expire_jobs()
        self._purge_jobs()
        if self._settings.keep_images_days:
            self._expire_images()
        self._trim_events()
        self._core.queue.forget_ended(_ago(WORKFLOW_SECONDS).isoformat())
        self._clear_scratch()

    def _expire_jobs(self) -> None:
        if not self._settings.keep_days:
            return
        oldest = _ago(self._settings.keep_days * 86_400)
        query = sa.select(Job.id).where(Job.finished_at < oldest, Job.deleted_at.is_(None), Job.parent_id.is_(None))
        with self._core.database.reading() as session:
            ids = session.scalars(query.limit(BATCH)).all()
        for job_id in ids:
            self._core.desk.delete(None, job_id)

    def _purge_jobs(self) -> None:
        """Removes deleted jobs, once the grace is over: the files first, so that none is left if that is cut short."""
        oldest = _ago(self._settings.grace_seconds)
        query = sa.select(Job.number, Job.id).where(Job.deleted_at < oldest, Job.state.in_(ENDED)).limit(BATCH)
        while True:
            with self._core.database.reading() as session:
                rows = session.execute(query).all()
            for row in rows:
                for folder in (f"jobs/{row.id}", thumbnails_of_job(row.id)):
                    self._core.artifacts.delete_folder(folder)
            if rows:
                with self._core.database.writing() as session:
                    session.execute(sa.delete(Job).where(Job.number.in_([row.number for row in rows])))
                logger.info("deleted jobs are gone", extra={"count": len(rows)})
            if len(rows) < BATCH:
                return

    def _expire_images(self) -> None:
        oldest = _ago(self._settings.keep_images_days * 86_400)
        needed = sa.select(JobImage.image_id)
        query = sa.select(Image.id).where(Image.created_at < oldest, Image.id.not_in(needed)).limit(BATCH)
        with self._core.database.reading() as session:
            ids = session.scalars(query).all()
        for image_id in ids:
            try:
                delete_image(self._core.database, self._core.artifacts, None, image_id)
            except ConflictError:  # a job has come since
                continue

    def _trim_events(self) -> None:
        for old in self._old_events():
            while True:
                with self._core.database.writing() as session:
                    ids = session.scalars(sa.select(Event.id).where(old).limit(10 * BATCH)).all()
                    # Ids never come twice, so the last one is remembered even where all rows are gone.
                    session.execute(sa.delete(Event).where(Event.id.in_(ids)))
                if len(ids) < 10 * BATCH:
                    break

    def _old_events(self) -> Iterator[sa.ColumnElement[bool]]:
        newest = sa.select(sa.func.max(Event.id)).scalar_subquery()
        yield sa.and_(Event.created_at < _ago(self._settings.keep_events_hours * 3600), Event.id < newest)
        fleeting = Event.name.in_(("progress", "preview"))
        yield sa.and_(Event.created_at < _ago(PROGRESS_SECONDS), fleeting, Event.id < newest)

    def _clear_scratch(self) -> None:
        """Removes folders of processes that were killed."""
        oldest = time.time() - SCRATCH_SECONDS
        for folder in self._settings.scratch.iterdir():
            job_id = folder.name.partition("-")[0]
            if folder.is_dir() and folder.stat().st_mtime < oldest and not self._is_running(job_id):
                shutil.rmtree(folder, ignore_errors=True)

    def _is_running(self, job_id: str) -> bool:
        with self._core.database.reading() as session:
            return session.scalar(sa.select(Job.worker).where(Job.id == job_id)) is not None


def _ago(seconds: float) -> datetime.datetime:
    return now() - datetime.timedelta(seconds=seconds)
