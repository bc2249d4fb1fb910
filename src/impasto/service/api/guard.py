"""What every request passes before anything looks at it: host, origin, size, pace; and the headers of every answer.

A web page elsewhere can send requests to a service on this machine through the browser of whoever runs it. Two checks
stop that: the name that the browser believes to talk to (``Host``; a page that rebinds its own name to 127.0.0.1 still
sends that name) and the page that sends (``Origin``, ``Sec-Fetch-Site``).
"""

import asyncio
import ipaddress
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.service.api.problems import ApiProblem, problem

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


@dataclass(frozen=True)
class GuardRules:
    """What the guard lets through.

    Attributes:
        hosts: Names that the service answers to, besides addresses if `allows_addresses`.
        allows_addresses: Whether any IP address will do as a host; it cannot be rebound.
        max_body_bytes: Of a request with pictures.
        max_json_bytes: Of any other request.
        patience_seconds: How long a body may be silent.
        min_bytes_per_second: Pace of a body, on average after `patience_seconds`.
    """

    hosts: Collection[str] = field(default=LOOPBACK_NAMES)
    allows_addresses: bool = False
    max_body_bytes: int = 256 << 20
    max_json_bytes: int = 1 << 20
    patience_seconds: float = 20.0
    min_bytes_per_second: float = 1024.0


class Guard:
    """ASGI middleware, the outermost.

    Args:
        app: What comes after.
        rules: What is let through.
    """

    def __init__(self, app: ASGIApp, rules: GuardRules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            body = _Body(receive, self._limit(headers), self._rules)
        except ApiProblem as refusal:
            await problem(refusal.status_code, refusal.detail, headers=refusal.headers)(scope, receive, send_safely)
        else:
            await self._app(scope, body.receive, send_safely)

    def _limit(self, headers: Headers) -> int:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_pictures = kind.startswith(("multipart/", "image/")) or kind == "application/octet-stream"
        limit = self._rules.max_body_bytes if has_pictures else self._rules.max_json_bytes
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise ApiProblem(400, "Content-Length is no number.")
        if len(length) > 18 or int(length) > limit:
            raise ApiProblem(413, _too_large(limit))
        return limit

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises `ApiProblem` for a request that a page elsewhere may have made."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            raise ApiProblem(
                421, "This service does not go by that name. List it in IMPASTO_SERVICE_ALLOWED_HOSTS if it should."
            )
        origins = headers.getlist("origin")
        if origins and not (len(origins) == 1 and _is_same(origins[0], hosts[0])):
            raise ApiProblem(403, "Pages of other sites may not use this service.")
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
        is_visit = mode == "navigate" and scope["method"] == "GET" and not scope["path"].startswith("/api/")
        if site not in ("none", "same-origin") and not is_visit:
            raise ApiProblem(403, "Pages of other sites may not use this service.")

    def _is_own(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._rules.hosts:
            return True
        if not self._rules.allows_addresses:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name_of(host: str) -> str:
    """A ``Host`` header without its port; empty if it is malformed."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        return name.lower() if bracket and (not port or (port[0] == ":" and port[1:].isdigit())) else ""
    name, colon, port = host.partition(":")
    return name.lower().rstrip(".") if not colon or port.isdigit() else ""


def _is_same(origin: str, host: str) -> bool:
    scheme, _, rest = origin.partition("://")
    return rest.lower() == host.lower() and scheme in ("http", "https")


def _too_large(limit: int) -> str:
    return f"The body is larger than the {limit:,} bytes that this service takes."


class _Body:
    """A request's body, counted and timed as it comes."""

    def __init__(self, receive: Receive, limit: int, rules: GuardRules) -> None:
        self._receive, self._limit, self._rules = receive, limit, rules
        self._num_bytes = 0
        self._waited = 0.0
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:  # what follows is the news that the client has left
            return await self._receive()
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._rules.patience_seconds):
                message = await self._receive()
        except TimeoutError:
            raise ApiProblem(408, "The body stopped coming.") from None
        self._waited += time.monotonic() - start
        if message["type"] == "http.request":
            self._num_bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._num_bytes > self._limit:
                raise ApiProblem(413, _too_large(self._limit))
            allowance = self._rules.patience_seconds + self._num_bytes / self._rules.min_bytes_per_second
            if not self._is_whole and self._waited > allowance:
                raise ApiProblem(408, "The body comes too slowly.")
        return message
