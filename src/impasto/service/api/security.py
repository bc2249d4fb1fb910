"""Who asks, and what they may do: API keys, the studio's sessions, scopes.

A session is a signed cookie that names a key, ends with it, and cannot be read by scripts.
"""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from impasto.service.api.limits import RateLimit
from impasto.service.api.problems import ApiProblem
from impasto.service.keys import ALL_SCOPES, KeyRecord, KeyRing
from impasto.service.schemas import Scope

T = TypeVar("T")

COOKIE = "impasto_session"
SESSION_SECONDS = 30 * 24 * 3600
REMEMBERED_SECONDS = 2.0
"""How long a key that was looked up is taken to be as it was; a revoked one works no longer than this."""

_MAX_KEY_LENGTH = 200
_MAX_REMEMBERED = 1_000


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Attributes:
        owner: Whose jobs are seen.
        scopes: What may be done.
        key_id: Of the key that was shown; None where none is needed.
        max_queued: Jobs that may wait or run at once; None for the service's setting.
        max_stored_bytes: Of uploaded pictures; None for the service's setting.
    """

    owner: str
    scopes: Sequence[Scope]
    key_id: str | None = None
    max_queued: int | None = None
    max_stored_bytes: int | None = None


LOCAL = Identity("local", ALL_SCOPES)
"""Everybody, on a service of this machine alone that has no keys."""


class Gate:
    """Tells who sends a request.

    Args:
        keys: The keys.
        secret: What sessions are signed with.
        is_loopback: Whether the service listens on this machine alone; keys are needed elsewhere, whatever there is.
        rate: Counts each caller's requests.
    """

    def __init__(self, keys: KeyRing, secret: bytes, *, is_loopback: bool, rate: RateLimit) -> None:
        self._keys, self._secret, self._is_loopback, self._rate = keys, secret, is_loopback, rate
        self._remembered: dict[str, tuple[float, object]] = {}

    def needs_key(self) -> bool:
        """Whether this service asks for keys."""
        return not (self._is_loopback and self._recall("none", self._keys.is_empty))

    def admit(self, request: Request) -> Identity:
        """Who sends a request; counts it.

        Raises:
            ApiProblem: 401 if a key is needed and none or a wrong one was shown; 429 if there are too many requests.
        """
        identity = self._identify(request)
        if identity is None:
            self.count(request)
            raise ApiProblem(
                401,
                "A key is needed: send 'Authorization: Bearer KEY' with one that 'impasto keys create' made.",
                {"WWW-Authenticate": "Bearer"},
            )
        self._rate.take(f"owner:{identity.owner}")
        return identity

    def count(self, request: Request) -> None:
        """Counts a request of somebody unknown, by the address that it comes from.

        Raises:
            ApiProblem: 429 if there are too many.
        """
        self._rate.take(f"address:{request.client.host if request.client else ''}")

    def check_key(self, key: str) -> Identity | None:
        """Whose key this is; None if it is nobody's."""
        if not key or len(key) > _MAX_KEY_LENGTH:
            return None
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        return _identity(self._recall(f"hash:{digest}", lambda: self._keys.find(key)))

    def new_session(self, key_id: str) -> str:
        """The value of a session's cookie."""
        words = f"{key_id}.{int(time.time()) + SESSION_SECONDS}"
        return f"{words}.{self._signature(words)}"

    def _identify(self, request: Request) -> Identity | None:
        if (shown := request.headers.get("authorization")) is not None:
            scheme, _, key = shown.partition(" ")
            return self.check_key(key.strip()) if scheme.lower() == "bearer" else None
        if (cookie := request.cookies.get(COOKIE)) and (identity := self._check_session(cookie)):
            return identity
        return None if self.needs_key() else LOCAL

    def _check_session(self, cookie: str) -> Identity | None:
        words, _, signature = cookie.rpartition(".")
        key_id, _, end = words.partition(".")
        is_signed = hmac.compare_digest(signature.encode(), self._signature(words).encode())
        if not is_signed or not end.isdecimal() or int(end) < time.time():
            return None
        return _identity(self._recall(f"id:{key_id}", lambda: self._keys.find_by_id(key_id)))

    def _signature(self, words: str) -> str:
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()

    def _recall(self, name: str, look_up: Callable[[], T]) -> T:
        """What was found a moment ago, or is found now."""
        now = time.monotonic()
        until, value = self._remembered.get(name, (0.0, None))
        if until < now:
            if len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.clear()
            value = look_up()
            self._remembered[name] = (now + REMEMBERED_SECONDS, value)
        return cast(T, value)


def _identity(record: KeyRecord | None) -> Identity | None:
    if record is None or not record.is_valid:
        return None
    return Identity(record.name, record.scopes, record.id, record.max_queued, record.max_stored_bytes)


_bearer = HTTPBearer(auto_error=False, description="A key that 'impasto keys create' made.")
_session = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /session, for the studio.")


async def identity_of(
    request: Request,
    _bearer_shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _cookie_shown: Annotated[str | None, Security(_session)],
) -> Identity:
    """Who asks; the two unused parameters are what OpenAPI is told. Not in a thread: keys are looked up rarely."""
    gate: Gate = request.app.state.gate
    return gate.admit(request)


def _needs(scope: Scope) -> Callable[[Identity], Awaitable[Identity]]:
    async def check(identity: Annotated[Identity, Depends(identity_of)]) -> Identity:
        if scope not in identity.scopes:
            raise ApiProblem(403, f"This key may not do that: it lacks the scope '{scope}'.")
        return identity

    return check


Reader = Annotated[Identity, Depends(_needs("read"))]
Writer = Annotated[Identity, Depends(_needs("write"))]
Admin = Annotated[Identity, Depends(_needs("admin"))]
"""Who asks, of those that may."""
