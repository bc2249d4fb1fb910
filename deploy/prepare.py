"""Makes the secrets of the compose file, before anything else starts; what is there already stays as it is.

    python deploy/prepare.py FOLDER

Each service has a folder of its own, readable by its user alone, so that no image sees another's secrets. Run as root
(with CAP_CHOWN) it gives the files to their users; otherwise they stay the caller's, as in tests.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

USERS: Mapping[str, int] = {
    "postgres": 70,
    "impasto": 10001,
    "keys": 10001,
    "s3": 1000,
    "prometheus": 65534,
    "grafana": 472,
    "backup-database": 70,
    "backup-pictures": 10001,
}
"""Folder and the user id that reads it, as in compose.yaml."""

DATABASE = "postgres:5432/impasto"
BUCKET = "impasto"
S3 = "http://s3:8333"


def prepare(folder: Path) -> None:
    """Makes what is missing.

    Args:
        folder: Of all secrets.
    """
    password = _secret(folder / "postgres" / "password")
    key_id = _secret(folder / "s3" / "key-id", 16)
    key = _secret(folder / "s3" / "key")
    _keep(folder / "s3" / "s3.json", json.dumps(_s3_identities(key_id, key), indent=2))
    ours = folder / "impasto"
    _keep(ours / "impasto_service_database_url", f"postgresql://impasto:{quote(password)}@{DATABASE}")
    _keep(ours / "impasto_service_artifacts_url", f"s3://{quote(key_id)}:{quote(key)}@{BUCKET}")
    _secret(ours / "impasto_service_session_secret")
    _keep(folder / "keys" / "first", f"imp_{secrets.token_urlsafe(32)}")
    metrics = _keep(folder / "keys" / "metrics", f"imp_{secrets.token_urlsafe(32)}")
    _keep(folder / "prometheus" / "key", metrics)
    _secret(folder / "grafana" / "password")
    _keep(folder / "backup-database" / "pgpass", f"postgres:5432:impasto:impasto:{password}")
    _keep(folder / "backup-pictures" / "rclone.conf", _rclone(key_id, key))
    for name, user in USERS.items():
        _give(folder / name, user)


def _secret(path: Path, num_bytes: int = 32) -> str:
    return _keep(path, secrets.token_urlsafe(num_bytes))


def _keep(path: Path, text: str) -> str:
    """Writes a file whole, unless it is there; returns what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.is_file():
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        new.replace(path)
    return path.read_text(encoding="ascii").strip()


def _give(folder: Path, user: int) -> None:
    if os.geteuid() == 0:
        for path in (*folder.iterdir(), folder):
            os.chown(path, user, user)


def _s3_identities(key_id: str, key: str) -> dict[str, object]:
    """Who may do what on the S3 server: one identity, for this service."""
    credentials = [{"accessKey": key_id, "secretKey": key}]
    return {"identities": [{"name": "impasto", "credentials": credentials, "actions": ["Admin"]}]}


def _rclone(key_id: str, key: str) -> str:
    return (
        f"[s3]\ntype = s3\nprovider = SeaweedFS\naccess_key_id = {key_id}\nsecret_access_key = {key}\nendpoint = {S3}\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the program; returns its exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    prepare(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
