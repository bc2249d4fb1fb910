"""The operator's settings."""

import pytest

from impasto.errors import UserError
from impasto.service.settings import Settings


def test_everything_lies_in_one_folder_by_default(tmp_path):
    settings = Settings.load(data=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path / 'impasto.sqlite'}"
    assert settings.artifacts == (tmp_path / "artifacts").as_uri()


def test_what_is_given_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("IMPASTO_SERVICE_PORT", "9000")
    assert Settings.load().port == 9000
    assert Settings.load(port=9001, host=None).port == 9001


def test_a_secret_comes_from_a_file_and_is_not_shown(monkeypatch, tmp_path):
    (tmp_path / "IMPASTO_SERVICE_DATABASE_URL").write_text("postgresql://me:hunter2@db/impasto")
    monkeypatch.setenv("IMPASTO_SERVICE_SECRETS_DIR", str(tmp_path))
    settings = Settings.load()
    assert settings.database == "postgresql+psycopg://me:hunter2@db/impasto"
    assert "hunter2" not in repr(settings)


def test_a_value_out_of_range_is_one_sentence():
    with pytest.raises(UserError, match=r"setting port .*--port"):
        Settings.load(port=70000)


def test_workers_share_the_cores():
    cores = Settings(workers=1).threads_a_worker
    assert Settings(workers=2 * cores).threads_a_worker == 1
    assert Settings(workers=2, threads=3).threads_a_worker == 3


def test_workers_share_the_free_memory():
    alone = Settings(workers=1).memory_a_worker
    assert 0.3 < Settings(workers=2).memory_a_worker / alone < 0.7
    assert Settings(workers=2, max_memory=5).memory_a_worker == 5
    assert Settings(workers=0).memory_a_worker is None
