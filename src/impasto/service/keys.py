"""API keys: made, found, revoked. Only the SHA-256 of a key is kept; the key is shown once.

A key is ``imp_`` and 256 random bits, so that its hash needs neither salt nor slowness.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, cast

import sqlalchemy as sa

from impasto.errors import UserError
from impasto.service.schemas import Scope
from impasto.service.store.database import Database
from impasto.service.store.tables import Key, now

ALL_SCOPES: Sequence[Scope] = ("read", "write", "admin")
PREFIX = "imp_"


@dataclass(frozen=True)
class KeyRecord:
    """What is kept of a key.

    Attributes:
        id: To name it by.
        name: The caller: owner of what is made with it.
        scopes: What it may do.
        max_queued: Jobs that may wait or run at once; None for the service's setting.
        max_stored_bytes: Of uploaded pictures; None for the service's setting.
        created_at: When it was made.
        expires_at: When it ends by itself.
        revoked_at: When it was revoked.
    """

    id: str
    name: str
    scopes: Sequence[Scope]
    max_queued: int | None
    max_stored_bytes: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: Key) -> Self:
        """From the table."""
        return cls(
            row.id, row.name, cast(list[Scope], row.scopes), row.max_queued, row.max_stored_bytes, row.created_at,
            row.expires_at, row.revoked_at,
        )  # fmt: skip

    @property
    def is_valid(self) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())


class KeyRing:
    """The keys of a service. Calls block on the database.

    Args:
        database: With the tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        scopes: Sequence[Scope] = ("read", "write"),
        *,
        days: float | None = None,
        max_queued: int | None = None,
        max_stored_bytes: int | None = None,
        text: str | None = None,
    ) -> tuple[str, KeyRecord]:
        """Makes a key; where an earlier one of the name was revoked, its owner gets this one instead.

        Args:
            name: Of the caller.
            scopes: What it may do.
            days: After which it ends by itself.
            max_queued: Jobs that may wait or run at once.
            max_stored_bytes: Of uploaded pictures.
            text: The key itself, where it was made elsewhere; nothing is changed if the name has it already.

        Returns:
            The key, which cannot be had again, and what is kept of it.

        Raises:
            UserError: If the name is taken, or not one of 1 to 100 printable characters, or the text is no key.
        """
        if not (0 < len(name) <= 100 and name.isprintable()) or name != name.strip():
            raise UserError("The name of a key must have 1 to 100 printable characters.")
        if text is not None and not re.fullmatch(PREFIX + "[A-Za-z0-9_-]{40,100}", text):
            raise UserError(f"A key is {PREFIX} and 40 to 100 random letters, digits, - or _; this is none.")
        is_given, text = text is not None, text or PREFIX + secrets.token_urlsafe(32)
        with self._database.writing() as session:
            row = session.scalar(sa.select(Key).where(Key.name == name))
            if row is not None and KeyRecord.of(row).is_valid:
                if is_given and row.hash == hash_of(text):
                    return text, KeyRecord.of(row)
                raise UserError(f"There is a key of the name '{name}' already; revoke it first, or take another name.")
            if row is None:
                row = Key(id=secrets.token_hex(6), name=name)
                session.add(row)
            row.hash, row.scopes = hash_of(text), list(scopes)
            row.max_queued, row.max_stored_bytes = max_queued, max_stored_bytes
            row.created_at, row.revoked_at, row.last_used_at = now(), None, None
            row.expires_at = None if days is None else now() + timedelta(days=days)
            session.flush()
            return text, KeyRecord.of(row)

    def revoke(self, name: str) -> KeyRecord:
        """Ends a key, named by its name or its id.

        Raises:
            UserError: If there is none.
        """
        with self._database.writing() as session:
            row = session.scalar(sa.select(Key).where(sa.or_(Key.name == name, Key.id == name)))
            if row is None:
                raise UserError(f"There is no key '{name}'; 'impasto keys list' shows those there are.")
            row.revoked_at = row.revoked_at or now()
            session.flush()
            return KeyRecord.of(row)

    def all(self) -> list[KeyRecord]:
        """Every key, the oldest first."""
        with self._database.reading() as session:
            return [KeyRecord.of(row) for row in session.scalars(sa.select(Key).order_by(Key.created_at))]

    def find(self, key: str) -> KeyRecord | None:
        """The record of a key that somebody shows; None if it opens nothing."""
        return self._valid(sa.select(Key).where(Key.hash == hash_of(key)))

    def find_by_id(self, key_id: str) -> KeyRecord | None:
        """The record of a key that a session names; None if it opens nothing."""
        return self._valid(sa.select(Key).where(Key.id == key_id))

    def is_empty(self) -> bool:
        """Whether no key opens anything."""
        valid = sa.and_(Key.revoked_at.is_(None), sa.or_(Key.expires_at.is_(None), Key.expires_at > now()))
        with self._database.reading() as session:
            return session.scalar(sa.select(Key.id).where(valid).limit(1)) is None

    def _valid(self, query: sa.Select[Key]) -> KeyRecord | None:
        with self._database.reading() as session:
            row = session.scalar(query)
        record = None if row is None else KeyRecord.of(row)
        return record if record is not None and record.is_valid else None


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
