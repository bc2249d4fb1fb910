import json

import pytest

from impasto.errors import RecipeError
from impasto.recipe import Recipe, RunOptions, allowed_values, option_name
from impasto.recipe.messages import one_line, shortened, shown

MAX_MESSAGE = 300


@pytest.mark.parametrize("model", [Recipe, RunOptions])
class TestDocumentation:
    def test_every_parameter_has_a_description_a_group_and_a_range_in_words(self, model):
        properties = model.model_json_schema()["properties"]
        for field in model.model_fields:
            name = option_name(field, model)
            assert properties[name]["description"].endswith((".", "…")), name
            assert properties[name]["group"], name
            assert allowed_values(model, name) not in ("", "a value", "a known option"), name

    def test_the_schema_is_plain_json(self, model):
        json.dumps(model.model_json_schema(), allow_nan=False)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


class TestRefusalsOfAnySize:
    @pytest.mark.parametrize(
        "value",
        [10**5000, -(10**5000), "9" * 100_000, nested(20_000), {"a": nested(20_000)}, ["x" * 1000] * 1000, "\ud800",
         "a\nb\x1b[31m\u2028", b"\xff" * 1000, [10**5000]],
        ids=["huge", "negative", "digits", "deep", "deep map", "long", "surrogate", "control", "bytes", "in a list"],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["seed", "levels", "content_weight", "style_layers", "style_scale", "changes"])
    def test_whatever_the_value_the_refusal_is_one_short_line(self, name, value):
        with pytest.raises(RecipeError) as refusal:
            Recipe(**{name: value})
        message = str(refusal.value)
        assert message.isprintable() and len(message) <= MAX_MESSAGE and message.endswith(".")

    @pytest.mark.parametrize("name", ["x" * 100_000, "a\nb", "\ud800", "\x1b[31m"])
    def test_whatever_the_name_the_refusal_is_one_short_line(self, name):
        with pytest.raises(RecipeError) as refusal:
            Recipe(**{name: 1})
        message = str(refusal.value)
        assert message.isprintable() and len(message) <= MAX_MESSAGE
        assert message.startswith("Unknown option ")


def test_a_value_is_shown_as_python_writes_it():
    assert shown(0.5) == "0.5" and shown("adm") == "'adm'" and shown([1, 2]) == "[1, 2]"


def test_a_number_that_python_does_not_write_is_shown_by_its_digits():
    assert shown(10**5000) == "a number of about 5,000 digits"


def test_long_text_keeps_beginning_and_end():
    assert shortened("a" * 50 + "b" * 50, 21) == "aaaaaaaaa...bbbbbbbbb"


def test_what_a_terminal_would_obey_is_escaped():
    assert shortened("a\x1b[2Jb") == r"a\x1b[2Jb"


def test_a_complaint_of_several_lines_becomes_one_without_its_stop():
    assert one_line("broken\n  at line 2.") == "broken at line 2"
