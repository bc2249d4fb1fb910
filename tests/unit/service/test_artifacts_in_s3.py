"""Access to S3, as a server sees it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from impasto.service.artifacts import Artifacts


@contextmanager
def s3() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server that says yes; its address, and path and authorization of each request."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
            self.send_header("ETag", '"1"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("url", ["s3://ID1:se%2Fcret@pictures", "s3://pictures"])
def test_key_and_secret_come_from_the_url_or_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3() as (address, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ID2")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
        assert Artifacts(url).size("images/one") == 5
    path, authorization = seen[0]
    assert path == "/pictures/images/one"
    assert f"Credential={'ID1' if '@' in url else 'ID2'}/" in authorization
