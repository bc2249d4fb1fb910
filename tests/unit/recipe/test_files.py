import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from impasto.errors import RecipeError
from impasto.recipe.files import MAX_FILE_BYTES, parse_json, parse_toml, read_values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("suffix", "text"), [(".toml", "model = 'ü'"), (".json", '{"model": "ü"}')])
def test_every_encoding_that_says_its_name_is_read(tmp_path, suffix, text, encoding):
    file = tmp_path / f"recipe{suffix}"
    file.write_bytes(text.encode(encoding))
    assert read_values(file) == {"model": "ü"}


class TestFiles:
    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            (b"", "it is empty."),
            (b" \n", "it is empty."),
            (b"model = '\xe4'", "it is not text in UTF-8 (byte 10); save it as UTF-8."),
            (b"\xff\xfe\x00", "it is not text in UTF-8 (byte 3); save it as UTF-8."),
            ("seed = 1".encode("utf-16-le"),
             "it is a binary file, or UTF-16 without a byte order mark; save it as UTF-8."),
            (b"#" * (MAX_FILE_BYTES + 1), "it is larger than 256 KiB, which no recipe is."),
        ],
        ids=["empty", "blank", "latin-1", "cut", "utf-16", "large"],
    )  # fmt: skip
    def test_what_is_no_text_is_refused_in_a_sentence(self, tmp_path, data, sentence):
        file = tmp_path / "recipe.toml"
        file.write_bytes(data)
        assert refusal(read_values, file) == sentence

    def test_the_largest_file_is_read(self, tmp_path):
        file = tmp_path / "recipe.toml"
        file.write_bytes(b"seed = 1\n".ljust(MAX_FILE_BYTES, b"#"))
        assert read_values(file) == {"seed": 1}

    def test_an_empty_path_is_refused(self):
        assert refusal(read_values, "") == "the path is empty."

    def test_a_path_that_no_file_can_have_is_refused(self):
        assert refusal(read_values, "a\0b.toml") == "the path holds characters that no file name can have."

    def test_a_folder_is_refused(self, tmp_path):
        assert refusal(read_values, tmp_path) == "it is a folder; name a .toml or .json file."

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_is_refused_without_waiting_for_its_writer(self, tmp_path):
        pipe = tmp_path / "recipe.toml"
        os.mkfifo(pipe)
        assert refusal(read_values, pipe) == "it is a pipe or a device; write the recipe into a file."

    @pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="this system has no /dev/zero")
    def test_a_device_is_refused_unread(self):
        assert refusal(read_values, "/dev/zero") == "it is a pipe or a device; write the recipe into a file."

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no /dev/fd")
    @pytest.mark.parametrize(
        ("text", "values"), [(b"seed = 1", {"seed": 1}), (b'\n{"seed": 1}', {"seed": 1})], ids=["TOML", "JSON"]
    )
    def test_a_pipe_that_was_given_open_is_read(self, text, values):
        with open_pipe(text) as path:
            assert read_values(path) == values

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no /dev/fd")
    def test_a_pipe_that_stays_silent_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr("impasto.recipe.files.PATIENCE_SECONDS", 0.01)
        with open_pipe(b"seed = 1", is_ended=False) as path:
            assert refusal(read_values, path) == "nothing came for 0.01 seconds; end the pipe, or write a file."

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no /dev/fd")
    def test_a_pipe_is_read_up_to_the_limit(self, monkeypatch):
        monkeypatch.setattr("impasto.recipe.files.MAX_FILE_BYTES", 2048)
        with open_pipe(b"#" * 4096, is_ended=False) as path:
            assert refusal(read_values, path) == "it is larger than 2 KiB, which no recipe is."

    def test_a_loop_of_links_is_refused(self, tmp_path):
        loop = tmp_path / "recipe.toml"
        loop.symlink_to(loop)
        assert refusal(read_values, loop).endswith(".")


class TestToml:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("a = ", "it is not valid TOML: Invalid value (at end of document)."),
            ("seed = " + "9" * 5000, "it is not valid TOML: a number or a time is out of range."),
            ("style_scale = " + "[" * 3000 + "]" * 3000, "it nests values too deeply."),
            ("a." * 100_000 + "a = 1", "a key has more than 100 parts."),
        ],
        ids=["cut", "huge", "deep", "dotted"],
    )
    def test_what_tomllib_cannot_take_is_refused_in_a_sentence(self, text, sentence):
        assert refusal(parse_toml, text) == sentence

    def test_lists_of_many_fractions_are_no_dotted_keys(self):
        assert len(parse_toml("a = [" + "0.5, " * 500 + "]")["a"]) == 500


class TestJson:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("{", "it is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
            ('{"seed": ' + "9" * 5000 + "}", "it is not valid JSON: a number has 5,000 digits."),
            ('{"a": ' + "[" * 100_000, "it nests values too deeply."),
            ('{"seed": 1, "seed": 2}', "it is not valid JSON: 'seed' is given twice."),
            ('{"style_layers": {"a": 1, "a": 2}}', "it is not valid JSON: 'a' is given twice."),
            ("null", 'a recipe is a JSON object, as {"height": 400}, and this is None.'),
            ("[1]", 'a recipe is a JSON object, as {"height": 400}, and this is [1].'),
        ],
        ids=["cut", "huge", "deep", "twice", "twice within", "null", "list"],
    )
    def test_what_is_no_object_is_refused_in_a_sentence(self, text, sentence):
        assert refusal(parse_json, text) == sentence

    def test_what_json_can_hold_is_kept(self):
        values = {"a": 10**300, "b": -1.5, "c": [True, None, {"d": "\ud800"}]}
        assert parse_json(json.dumps(values)) == values


@contextmanager
def open_pipe(data: bytes, *, is_ended: bool = True):
    """The path of a pipe that holds some bytes."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb", buffering=0) as writer:
        writer.write(data)
        if is_ended:
            writer.close()
        yield f"/dev/fd/{reading}"


def refusal(function, argument) -> str:
    with pytest.raises(RecipeError) as error:
        function(argument)
    return str(error.value)
