"""``impasto keys``: made, listed, revoked."""

from pathlib import Path

import pytest

from impasto.cli import main


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert main(["keys", "create", "ann", "--scope", "read", *data]) == 0
    key = capsys.readouterr().out.strip()
    assert key.startswith("imp_")
    assert main(["keys", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert "ann" in listed and "valid" in listed and "read" in listed
    assert key not in listed
    assert main(["keys", "revoke", "ann", *data]) == 0
    assert main(["keys", "list", *data]) == 0
    assert "revoked" in capsys.readouterr().out


def test_a_name_that_is_taken_is_the_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert main(["keys", "create", "ann", *data]) == 0
    assert main(["keys", "create", "ann", *data]) == 2
    assert "revoke it first" in capsys.readouterr().err
    assert main(["keys", "create", "bob", "--days", "0", *data]) == 2


def test_a_key_comes_from_a_file_and_is_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_text("imp_" + "x" * 43 + "\n")
    command = ["keys", "create", "ann", "--key-file", str(file), "--data", str(tmp_path / "data")]
    assert main(command) == 0
    assert main(command) == 0
    assert capsys.readouterr().out == ""
    file.unlink()
    assert main(command) == 2
    assert "cannot be read" in capsys.readouterr().err
