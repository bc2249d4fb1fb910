"""Keys, scopes and sessions: who may do what, and sees whose."""

from pathlib import Path

import pytest
from httpx import Client

from impasto.service.api.app import session_secret
from impasto.service.api.limits import RateLimit
from impasto.service.api.security import COOKIE, Gate
from tests.service import API, ORDER, Service, api, service


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keyed(made: tuple[Client, Service]) -> tuple[Client, str]:
    """A service with a key that may read and write."""
    client, rooms = made
    key, _ = rooms.keys.create("ann")
    return client, key


def test_without_keys_this_machine_is_trusted(client: Client) -> None:
    assert client.get(f"{API}/session").json() == {
        "name": "local", "scopes": ["read", "write", "admin"], "needs_key": False
    }  # fmt: skip


def test_from_the_first_key_on_everybody_needs_one(keyed: tuple[Client, str]) -> None:
    client, key = keyed
    answer = client.get(f"{API}/jobs")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get(f"{API}/jobs", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer imp_", "Basic YTpi", "Bearer " + "x" * 5000, "bearer imp_" + "a" * 43]
)
def test_a_wrong_key_opens_nothing(keyed: tuple[Client, str], shown: str) -> None:
    client, _ = keyed
    assert client.get(f"{API}/jobs", headers={"Authorization": shown}).status_code == 401


def test_what_anybody_may_know_needs_no_key(keyed: tuple[Client, str]) -> None:
    client, _ = keyed
    for address in ("/api/v1/health", "/api/v1/ready", "/api/v1/version", "/api/v1/openapi.json", "/"):
        assert client.get(address).status_code == 200


def test_a_key_may_do_what_its_scopes_say(made: tuple[Client, Service]) -> None:
    client, rooms = made
    reader, _ = rooms.keys.create("reader", ["read"])
    admin, _ = rooms.keys.create("admin", ["read", "admin"])
    assert client.get(f"{API}/jobs", headers=bearer(reader)).status_code == 200
    refusal = client.post(f"{API}/jobs", json=ORDER, headers=bearer(reader))
    assert (refusal.status_code, "'write'" in refusal.json()["detail"]) == (403, True)
    assert client.post(f"{API}/models/compact/download", headers=bearer(reader)).status_code == 403
    assert client.get("/metrics", headers=bearer(reader)).status_code == 403
    assert "impasto_requests_total" in client.get("/metrics", headers=bearer(admin)).text


def test_callers_see_their_own_only(made: tuple[Client, Service]) -> None:
    client, rooms = made
    ann, bob = (bearer(rooms.keys.create(name)[0]) for name in ("ann", "bob"))
    job = client.post(f"{API}/jobs", json=ORDER, headers=ann).json()["id"]
    image = client.post(f"{API}/images", content=client.get(f"{API}/images/example:oil/file", headers=ann).content,
                        headers=ann).json()["id"]  # fmt: skip
    assert client.get(f"{API}/jobs", headers=bob).json()["items"] == []
    assert client.get(f"{API}/images", headers=bob).json()["items"] == []
    job_addresses = ["", "/events", "/result", "/preview", "/thumbnail", "/pictures", "/losses", "/command", "/archive",
                     "/recipe.toml", "/sheet", "/report"]  # fmt: skip
    for address in [*(f"jobs/{job}{end}" for end in job_addresses), *(f"images/{image}{end}" for end in
                    ("", "/file", "/thumbnail"))]:  # fmt: skip
        assert client.get(f"{API}/{address}", headers=bob).status_code == 404, address
    for action in ("pause", "resume", "stop", "cancel", "retry", "restore", "again"):
        body = {} if action == "again" else None
        assert client.post(f"{API}/jobs/{job}/{action}", json=body, headers=bob).status_code == 404, action
    assert client.delete(f"{API}/jobs/{job}", headers=bob).status_code == 404
    assert client.post(f"{API}/jobs", json=ORDER | {"content": image}, headers=bob).status_code == 404


def test_a_key_is_traded_for_a_cookie_that_scripts_cannot_read(keyed: tuple[Client, str]) -> None:
    client, key = keyed
    answer = client.post(f"{API}/session", json={"key": key})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert key not in cookie
    assert client.get(f"{API}/session").json()["name"] == "ann"
    assert client.delete(f"{API}/session").status_code == 204
    assert client.get(f"{API}/session").status_code == 401


def test_a_wrong_key_is_traded_for_nothing(keyed: tuple[Client, str]) -> None:
    client, _ = keyed
    assert client.post(f"{API}/session", json={"key": "imp_wrong"}).status_code == 401


def test_a_forged_session_opens_nothing(made: tuple[Client, Service]) -> None:
    client, rooms = made
    _, record = rooms.keys.create("ann")
    for cookie in ("", "a.b.c", f"{record.id}.9999999999.{'0' * 64}", "....", "é"):
        headers = {"Cookie": f"{COOKIE}={cookie}".encode()}
        assert client.get(f"{API}/session", headers=headers).status_code == 401


def test_a_revoked_key_ends_its_sessions(tmp_path: Path) -> None:
    with service(tmp_path / "data") as rooms:
        _, record = rooms.keys.create("ann")
        gate: Gate = rooms.app.state.gate
        session = gate.new_session(record.id)
        rooms.keys.revoke("ann")
        settings = rooms.app.state.edge.settings
        fresh = Gate(rooms.keys, session_secret(settings), is_loopback=False, rate=RateLimit(0, 1))
        assert rooms.keys.find_by_id(record.id) is None
        assert fresh.needs_key()
        assert session.startswith(record.id)


def test_sessions_outlive_a_restart_and_their_secret_is_private(tmp_path: Path) -> None:
    with service(tmp_path / "data") as rooms:
        settings = rooms.app.state.edge.settings
        assert session_secret(settings) == session_secret(settings)
        assert (tmp_path / "data" / "session-secret").stat().st_mode & 0o077 == 0


def test_each_caller_has_a_rate(tmp_path: Path) -> None:
    with api(tmp_path / "data", requests_a_minute=6) as (client, _):
        statuses = [client.get(f"{API}/looks").status_code for _ in range(3)]
        assert statuses == [200, 429, 429]
        assert int(client.get(f"{API}/looks").headers["retry-after"]) > 0
        assert client.get(f"{API}/health").status_code == 200


def test_guessing_keys_has_a_rate_too(tmp_path: Path) -> None:
    with api(tmp_path / "data", requests_a_minute=6) as (client, rooms):
        rooms.keys.create("ann")
        statuses = [client.post(f"{API}/session", json={"key": f"imp_{n}"}).status_code for n in range(3)]
        assert statuses == [401, 429, 429]


def test_a_quota_of_a_key_is_kept(made: tuple[Client, Service]) -> None:
    client, rooms = made
    headers = bearer(rooms.keys.create("ann", max_queued=1)[0])
    assert client.post(f"{API}/jobs", json=ORDER, headers=headers).status_code == 201
    refusal = client.post(f"{API}/jobs", json=ORDER, headers=headers)
    assert (refusal.status_code, refusal.headers["retry-after"]) == (429, "60")
