"""API keys: made, found, revoked; only their hash is kept."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from impasto.errors import UserError
from impasto.service.keys import KeyRing
from impasto.service.store.database import Database


@pytest.fixture
def ring(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'keys.sqlite'}")
    database.migrate()
    yield KeyRing(database)
    database.close()


def test_a_key_is_found_by_itself_and_kept_as_its_hash(ring: KeyRing, tmp_path: Path) -> None:
    key, record = ring.create("ann", ["read"])
    found = ring.find(key)
    assert found is not None and (found.name, found.scopes, found.id) == ("ann", ["read"], record.id)
    with sqlite3.connect(tmp_path / "keys.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert record.id in dump
    assert key not in dump


def test_keys_are_long_and_never_the_same(ring: KeyRing) -> None:
    keys = {ring.create(f"caller {n}")[0] for n in range(20)}
    assert len(keys) == 20
    assert min(map(len, keys)) >= 43


def test_a_revoked_key_opens_nothing(ring: KeyRing) -> None:
    key, record = ring.create("ann")
    assert not ring.is_empty()
    ring.revoke(record.id)
    assert ring.find(key) is None
    assert ring.find_by_id(record.id) is None
    assert ring.is_empty()


def test_a_name_is_taken_until_its_key_is_revoked(ring: KeyRing) -> None:
    old, record = ring.create("ann")
    with pytest.raises(UserError, match="revoke it first"):
        ring.create("ann")
    ring.revoke("ann")
    new, again = ring.create("ann")
    assert (ring.find(old), again.id) == (None, record.id)
    assert ring.find(new) is not None


def test_a_key_ends_by_itself(ring: KeyRing) -> None:
    key, record = ring.create("ann", days=1e-9)
    assert record.expires_at is not None and record.expires_at - record.created_at < timedelta(seconds=1)
    assert ring.find(key) is None


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "x" * 101])
def test_a_name_is_printable_and_short(ring: KeyRing, name: str) -> None:
    with pytest.raises(UserError, match="1 to 100 printable"):
        ring.create(name)


def test_revoking_what_is_not_there_says_so(ring: KeyRing) -> None:
    with pytest.raises(UserError, match="no key 'bob'"):
        ring.revoke("bob")


def test_a_key_that_was_made_elsewhere_is_taken_once_and_for_all(ring: KeyRing) -> None:
    text = "imp_" + "x" * 43
    first = ring.create("ann", ["admin"], text=text)
    assert ring.create("ann", ["admin"], text=text) == first
    found = ring.find(text)
    assert found is not None and found.name == "ann"


@pytest.mark.parametrize("text", ["", "imp_short", "x" * 47, "imp_" + "x" * 42 + " "])
def test_what_is_no_key_is_not_taken_for_one(ring: KeyRing, text: str) -> None:
    with pytest.raises(UserError, match="this is none"):
        ring.create("ann", text=text)


def test_a_valid_key_is_not_replaced_by_another(ring: KeyRing) -> None:
    ring.create("ann", text="imp_" + "x" * 43)
    with pytest.raises(UserError, match="already"):
        ring.create("ann", text="imp_" + "y" * 43)
