"""What every request passes: host, origin, size, pace."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from impasto.service.api.guard import Guard, GuardRules

RULES = GuardRules(max_body_bytes=1000, max_json_bytes=100, patience_seconds=0.05, min_bytes_per_second=1e6)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says how many bytes came."""
    from impasto.service.api.problems import ApiProblem, problem

    try:
        body = await Request(scope, receive).body()
        answer = PlainTextResponse(str(len(body)))
    except ApiProblem as error:
        answer = problem(error.status_code, error.detail)  # as the application does
    await answer(scope, receive, send)


def ask(
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    *,
    method: str = "GET",
    path: str = "/api/v1/jobs",
    body: list[bytes] | None = None,
    pause: float = 0.0,
    rules: GuardRules = RULES,
) -> tuple[int, dict[str, str], bytes]:
    """One request through the guard."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers or []
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs = [("host", "127.0.0.1:8000"), *pairs]
    parts = list(body or [b""])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "scheme": "http", "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
    }  # fmt: skip
    asyncio.run(Guard(echo, rules)(scope, receive, send))
    start = sent[0]
    answer = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], answer, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000", "[::1]"])
def test_loopback_goes_by_its_names(host: str) -> None:
    assert ask({"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::1", "127.0.0.1:x", "10.0.0.7:8000"]
)
def test_a_rebound_name_is_refused(host: str) -> None:
    status, _, body = ask({"Host": host})
    assert status == 421
    assert b"does not go by that name" in body


def test_two_hosts_are_refused() -> None:
    assert ask([("Host", "localhost"), ("Host", "evil.example")])[0] == 421


def test_addresses_are_answered_only_where_the_rules_say_so() -> None:
    rules = GuardRules(hosts={"paint.example"}, allows_addresses=True)
    assert ask({"Host": "10.0.0.7:8000"}, rules=rules)[0] == 200
    assert ask({"Host": "paint.example"}, rules=rules)[0] == 200
    assert ask({"Host": "evil.example"}, rules=rules)[0] == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "file://"])
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert ask({"Origin": origin}, method="POST")[0] == 403
    assert ask({"Origin": origin})[0] == 403


def test_the_own_page_is_answered() -> None:
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert ask(headers, method="POST")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_elsewhere_can_neither_read_nor_embed(site: str) -> None:
    assert ask({"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})[0] == 403
    assert ask({"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})[0] == 403


def test_a_link_from_elsewhere_may_open_the_studio() -> None:
    assert ask({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, path="/")[0] == 200


def test_bodies_are_limited_before_they_are_read() -> None:
    assert ask({"Content-Length": "101"}, method="POST")[0] == 413
    assert ask({"Content-Length": "1001", "Content-Type": "image/png"}, method="POST")[0] == 413
    assert ask({"Content-Length": "-1"}, method="POST")[0] == 400
    assert ask({"Content-Length": "9" * 400}, method="POST")[0] == 413


def test_bodies_without_a_length_are_counted_as_they_come() -> None:
    assert ask(method="POST", body=[b"x" * 60, b"x" * 40])[0] == 200
    assert ask(method="POST", body=[b"x" * 60, b"x" * 60])[0] == 413


def test_pictures_may_be_larger_than_json() -> None:
    status, _, body = ask({"Content-Type": "image/png"}, method="POST", body=[b"x" * 900])
    assert (status, body) == (200, b"900")


def test_a_body_that_stops_coming_is_given_up() -> None:
    assert ask(method="POST", body=[b"x", b"x"], pause=0.2)[0] == 408


def test_a_body_that_trickles_is_given_up() -> None:
    assert ask(method="POST", body=[b"x"] * 50, pause=0.01)[0] == 408


def test_every_answer_has_the_security_headers() -> None:
    for host in ("localhost", "evil.example"):
        _, headers, _ = ask({"Host": host})
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
