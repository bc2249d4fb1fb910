"""Files by key."""

import datetime

import pytest

from impasto.errors import UserError
from impasto.service.artifacts import Artifacts, MissingArtifactError
from impasto.service.settings import Settings
from tests.s3 import s3_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["file", "memory", "s3"])
def artifacts(request, tmp_path, monkeypatch):
    if request.param != "s3":
        return Artifacts((tmp_path / "store").as_uri() if request.param == "file" else "memory:///")
    for name, value in request.getfixturevalue("server").environment().items():
        monkeypatch.setenv(name, value)
    return Artifacts(f"{Settings.load().artifacts}/{tmp_path.name}")


def test_what_is_put_is_read(artifacts, tmp_path):
    assert artifacts.put("jobs/a/result.png", b"picture")
    assert artifacts.read("jobs/a/result.png") == b"picture"
    assert artifacts.size("jobs/a/result.png") == 7
    assert b"".join(artifacts.stream("jobs/a/result.png")) == b"picture"
    artifacts.fetch("jobs/a/result.png", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"picture"


def test_files_are_put_as_bytes_are(artifacts, tmp_path):
    (tmp_path / "file").write_bytes(b"from a file")
    artifacts.put("a", tmp_path / "file")
    assert artifacts.read("a") == b"from a file"


def test_what_is_there_stays_where_only_new_is_wanted(artifacts):
    assert artifacts.put("a", b"first", is_new=True)
    assert not artifacts.put("a", b"second", is_new=True)
    assert artifacts.read("a") == b"first"


def test_what_is_missing_is_said_at_once(artifacts):
    for call in (artifacts.read, artifacts.size, artifacts.stream):
        with pytest.raises(MissingArtifactError, match="nothing"):
            call("nothing")
    assert not artifacts.exists("nothing")
    artifacts.delete("nothing")


def test_a_folder_goes_with_all_that_is_in_it(artifacts):
    for key in ("jobs/a/1", "jobs/a/b/2", "jobs/ab"):
        artifacts.put(key, b"x")
    assert sorted(artifacts.keys("jobs/a")) == ["jobs/a/1", "jobs/a/b/2"]
    artifacts.delete_folder("jobs/a")
    assert list(artifacts.keys("jobs")) == ["jobs/ab"]


def test_keys_are_told_by_their_age(artifacts):
    artifacts.put("jobs/a/1", b"x")
    moment = datetime.datetime.now(datetime.UTC)
    assert list(artifacts.keys("jobs", before=moment - datetime.timedelta(hours=1))) == []
    assert list(artifacts.keys("jobs", before=moment + datetime.timedelta(hours=1))) == ["jobs/a/1"]


def test_a_url_of_no_known_kind_is_refused():
    with pytest.raises(UserError, match="file:///FOLDER"):
        Artifacts("gopher://hole")
