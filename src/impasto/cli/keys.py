"""``impasto keys``: API keys of a service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from impasto.cli.options import TypedPath
from impasto.errors import UserError

if TYPE_CHECKING:
    from impasto.service.keys import KeyRing

app = App(name="keys", help_format="plaintext")

Data = Annotated[TypedPath | None, Parameter(help="The service's data folder, as of impasto serve.")]


@app.command
def create(
    name: Annotated[str, Parameter(help="Of whoever gets it; jobs and pictures belong to that name.")],
    /,
    *,
    scope: Annotated[
        list[Literal["read", "write", "admin"]],
        Parameter(negative=(), help="What it may do: read, write (jobs and pictures), admin (models, metrics)."),
    ] = ["read", "write"],  # noqa: B006 (never changed)
    days: Annotated[float | None, Parameter(help="Ends by itself after so many days.")] = None,
    max_queued: Annotated[int | None, Parameter(help="Jobs that may wait or run at once.")] = None,
    key_file: Annotated[
        TypedPath | None,
        Parameter(help="Take the key that this file holds, and print nothing; once more changes nothing."),
    ] = None,
    data: Data = None,
) -> int:
    """Make a key and print it; it cannot be shown again."""
    if days is not None and not 0 < days <= 36_500:
        raise UserError(f"--days is {days:g}; it must be above 0 and at most 36,500.")
    given = None if key_file is None else _key_in(key_file)
    with _ring(data) as keys:
        text, _ = keys.create(name, scope, days=days, max_queued=max_queued, text=given)
    if given is None:
        sys.stdout.write(f"{text}\n")
    return 0


@app.command(name="list")
def list_keys(*, data: Data = None) -> int:
    """Show the keys: name, id, scopes, and whether they are valid. Never the keys themselves."""
    with _ring(data) as keys:
        for key in keys.all():
            state = "valid" if key.is_valid else "revoked" if key.revoked_at else "expired"
            until = f" until {key.expires_at:%Y-%m-%d}" if key.expires_at and key.is_valid else ""
            sys.stdout.write(f"{key.id}  {state + until:8}  {','.join(key.scopes):16}  {key.name}\n")
    return 0


@app.command
def revoke(name: Annotated[str, Parameter(help="Its name, or its id.")], /, *, data: Data = None) -> int:
    """End a key; whoever uses it is refused from then on."""
    with _ring(data) as keys:
        key = keys.revoke(name)
    sys.stdout.write(f"Revoked {key.name} ({key.id}).\n")
    return 0


def _key_in(file: TypedPath) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"The key file '{file}' cannot be read: {reason}.") from None


@contextmanager
def _ring(data: TypedPath | None) -> "Iterator[KeyRing]":
    try:
        from impasto.service.keys import KeyRing
        from impasto.service.settings import Settings
        from impasto.service.store.database import Database
    except ModuleNotFoundError as error:
        raise UserError(
            f"This command needs the package {error.name}; install it by: pip install 'impasto[service]'."
        ) from None
    settings = Settings.load(data=data)
    settings.prepare()
    database = Database(settings.database)
    try:
        database.migrate()
        yield KeyRing(database)
    finally:
        database.close()
