"""Settings of the service: from the environment (``IMPASTO_SERVICE_...``), secrets from files.

Every setting has a default that suits one person on one machine. A secret, as a database's password within its URL,
may stand in a file of the variable's name in small letters, as ``impasto_service_database_url``, in the folder that
``IMPASTO_SERVICE_SECRETS_DIR`` names.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from impasto.errors import UserError
from impasto.free_memory import free_memory

__all__ = ["LOOPBACK", "Settings"]

PREFIX = "IMPASTO_SERVICE_"

GIGABYTE = 10**9

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine reaches."""


class Settings(BaseSettings):
    """What the operator decides.

    Raises:
        UserError: From `load`, if a setting is unknown or out of its range.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # where it listens
    host: str = Field("127.0.0.1", description="Address to listen at; other than loopback only with API keys.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen at; 0 takes a free one.")
    allowed_hosts: list[str] = Field([], description="Names in the Host header that are answered besides the address.")

    # where its data are
    data: Path = Field(
        default_factory=lambda: user_data_path("impasto") / "service",
        description="Folder of the database, the artifacts and temporary files, where no URL says otherwise.",
    )
    database_url: SecretStr | None = Field(
        None, description="postgresql+psycopg://… or sqlite:///…; by default a SQLite file in the data folder."
    )
    artifacts_url: SecretStr | None = Field(
        None,
        description="s3://KEY:SECRET@bucket/prefix (or without key and secret, which then come from AWS_… variables), "
        "file:///folder or memory:///; by default a folder in the data folder.",
    )
    session_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="What the studio's sessions are signed with; the same for all API processes. By default a secret "
        "in the data folder.",
    )

    # workers
    workers: int = Field(1, ge=0, le=256, description="Worker processes of this service; 0 leaves the work to others.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads of a worker. Default: cores divided by workers."
    )
    spare_worker: bool = Field(
        True, description="Whether one more process waits, loaded, to take the place of a worker that is lost."
    )
    device: str = Field("auto", description="Where workers compute, as the run option device.")
    max_memory: int | None = Field(
        None,
        ge=1,
        description="Bytes that one worker may use; a job beyond is refused. Default: what the machine or container "
        "has free at the start, divided by workers.",
    )
    models: list[str] = Field(
        [], description="Custom models that callers may name by their last part, as /srv/models/net.py:make."
    )

    # jobs
    checkpoint_seconds: float = Field(5.0, gt=0, le=3600, description="Time between two checkpoints of a job.")
    preview_seconds: float = Field(2.0, gt=0, le=3600, description="Time between two previews of a running job.")
    lease_seconds: float = Field(
        15.0, ge=1, le=3600, description="A worker that was not heard of for so long is taken for dead."
    )
    drain_seconds: float = Field(10.0, ge=1, le=600, description="Time that a worker has to end in order.")
    max_attempts: int = Field(
        5, ge=1, le=1000, description="A job that took down so many workers in a row, without a checkpoint, is parked."
    )
    max_queued: int = Field(10_000, ge=1, description="Jobs of one caller that may wait or run at once.")
    max_stored_bytes: int = Field(10**11, ge=1, description="Bytes of uploaded pictures that one caller may keep.")

    # retention
    grace_seconds: float = Field(
        600.0, ge=0, description="Time within which a deleted job can be restored; then its files go."
    )
    keep_days: float = Field(0.0, ge=0, description="Finished jobs are deleted after so many days; 0 keeps them.")
    keep_images_days: float = Field(
        0.0, ge=0, description="Uploaded pictures that no job needs are deleted after so many days; 0 keeps them."
    )
    keep_events_hours: float = Field(24.0, gt=0, description="How long the log of events goes back.")

    # limits of the front door
    max_upload_bytes: int = Field(200_000_000, ge=1, description="Bytes of one uploaded picture.")
    max_pixels: int = Field(100_000_000, ge=1, description="Pixels of one uploaded picture, checked before decoding.")
    max_body_bytes: int = Field(1_000_000, ge=1, description="Bytes of a JSON body.")
    requests_a_minute: int = Field(3000, ge=1, description="Requests of one key.")

    log_format: str = Field("text", pattern="^(text|json)$", description="How log lines are written: text or json.")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """The settings: what is given goes before the environment, that before the defaults; None counts as not given.

        Raises:
            UserError: If a value is out of its range; it names the setting.
        """
        secrets = os.environ.get(f"{PREFIX}SECRETS_DIR")
        try:
            values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
            return cls(_secrets_dir=secrets, **values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            raise UserError(
                f"The setting {name} of the service does not fit: {first['msg'].lower()}. It comes from --{name} or "
                f"${PREFIX}{name.upper()}."
            ) from None

    @cached_property
    def database(self) -> str:
        """URL of the database, for SQLAlchemy."""
        if self.database_url is not None:
            url = self.database_url.get_secret_value()
            for short in ("postgresql://", "postgres://"):
                if url.startswith(short):
                    return "postgresql+psycopg://" + url.removeprefix(short)
            return url
        return f"sqlite:///{self.data.absolute() / 'impasto.sqlite'}"

    @cached_property
    def artifacts(self) -> str:
        """URL of the artifacts' store."""
        if self.artifacts_url is not None:
            return self.artifacts_url.get_secret_value()
        return (self.data.absolute() / "artifacts").as_uri()

    @property
    def scratch(self) -> Path:
        """Folder for temporary files; nothing in it is needed after a restart."""
        return self.data.absolute() / "scratch"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK or self.host.startswith("127.")

    @property
    def threads_a_worker(self) -> int:
        """Processor threads of one worker."""
        if self.threads is not None:
            return self.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // max(1, self.workers))

    @cached_property
    def memory_a_worker(self) -> int | None:
        """Bytes of one worker; None where its machine, which is another one or does not say, decides."""
        if self.max_memory is not None or not self.workers:
            return self.max_memory
        free = free_memory()
        if free is None:
            return None
        share = free // self.workers
        return share - share % GIGABYTE or share  # workers of like machines declare the same, and share a queue

    def prepare(self) -> None:
        """Creates the data folder, readable by its owner only.

        Raises:
            UserError: If it cannot be created.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.scratch.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(
                f"The data folder '{self.data}' cannot be used: {error.strerror or error}; choose another by --data."
            ) from None
