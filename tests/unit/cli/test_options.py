from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, CycloptsError

from impasto.cli.options import build, flag, option_fields, with_options
from impasto.errors import RecipeError
from impasto.recipe import Recipe, RunOptions, option_name

MODELS = [Recipe, RunOptions]


@pytest.fixture
def given():
    """A command of both models; calling it returns what the command line gave."""
    received: dict[str, Any] = {}

    @with_options(Recipe, RunOptions)
    def paint(*pictures: Path, **values: Any) -> int:
        received.update(values, pictures=pictures)
        return 0

    app = App(name="paint", help_format="plaintext")
    app.default(paint)

    def call(*arguments: str) -> dict[str, Any]:
        app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
        return received

    return call


def typed(default: object) -> str:
    """A default as a person would type it."""
    return ",".join(map(str, default)) if isinstance(default, list) else str(default)


def test_paths_are_given_once_for_each(given):
    values = given("--content-mask", "a.png", "--content-mask", "b.png")
    assert build(RunOptions, values).content_mask == [Path("a.png"), Path("b.png")]


def test_numbers_are_one_list_with_commas(given):
    assert build(Recipe, given("--style-blend", "0.7,0.3")).style_blend == [0.7, 0.3]
    with pytest.raises(RecipeError, match=r"--style-blend is '0.7;0.3'; it must be numbers separated by commas"):
        build(Recipe, given("--style-blend", "0.7;0.3"))


def test_every_field_is_an_option_with_hyphens_that_takes_its_default(given):
    for model in MODELS:
        for field in option_fields(model):
            info = model.model_fields[field]
            name = flag(option_name(field, model))
            assert "_" not in name
            if info.annotation is bool:
                assert given(name)[field] is True
            elif info.default not in (None, []):
                values = given(name, typed(info.default))
                assert getattr(build(model, values), field) == info.default


def test_only_what_was_given_counts_as_set(given):
    values = given("a", "b", "--content-weight", "5", "--plot", "--levels=2")
    assert build(Recipe, values).model_fields_set == {"content_weight", "levels"}
    assert build(RunOptions, values).model_fields_set == {"plot"}
    assert values["pictures"] == (Path("a"), Path("b"))


def test_options_override_the_base_and_leave_the_rest_of_it(given):
    base = Recipe(height=100, seed=3, keep_profile=True)
    recipe = build(Recipe, given("--height", "50", "--no-keep-profile"), base)
    assert recipe == Recipe(height=50, seed=3, keep_profile=False)
    assert recipe.model_fields_set == {"height", "seed", "keep_profile"}


def test_text_becomes_numbers_layers_and_paths(given):
    values = given("--levels", "3", "--tv-weight", "1e-3", "--style-layers", "relu1_1:2,relu2_1", "-o", "out.png")
    recipe = build(Recipe, values)
    assert (recipe.levels, recipe.tv_weight, recipe.style_layers) == (3, 1e-3, {"relu1_1": 2.0, "relu2_1": 1.0})
    assert build(RunOptions, values).output_file == Path("out.png")


def test_a_tilde_is_the_home_folder_wherever_a_path_is_typed(given, monkeypatch):
    monkeypatch.setenv("HOME", "/home/painter")
    values = given("~/photo.png", "~unknown-person/a.png", "--output-file=~/x", "--style-mask", "~/m.png")
    assert values["pictures"] == (Path("/home/painter/photo.png"), Path("~unknown-person/a.png"))
    assert values["output_file"] == "/home/painter/x"
    assert values["style_mask"] == ["/home/painter/m.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--content-weight", "-1"], "--content-weight is '-1'; it must be a finite number, at least 0."),
        (["--content-weight", "nan"], "--content-weight is 'nan'; it must be a finite number, at least 0."),
        (["--style-weight=inf"], "--style-weight is 'inf'; it must be a finite number, at least 0."),
        (["--total-iterations", "1.5"], "--total-iterations is '1.5'; it must be a whole number, at least 0"),
        (["--style-layers", "relu1_1:x"], "--style-layers is 'relu1_1:x'; it must be layers with weights"),
    ],
)
def test_a_value_out_of_range_names_the_option_as_it_is_typed(given, arguments, sentence):
    with pytest.raises(RecipeError) as refusal:
        build(Recipe, given(*arguments))
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--optimiser", "adam"], "Unknown option: --optimiser. Did you mean --optimizer?"),
        (["--content_wight", "1"], "Did you mean --content-weight?"),
        (["--optimizer", "adan"], 'Choose from: "lbfgs", "adam". Did you mean "adam"?'),
        (["--height"], "--height requires an argument."),
        (["--height", "1", "--height", "2"], "--height specified multiple times."),
        (["--no-plot"], "Unknown option: --no-plot"),
    ],
)
def test_a_mistyped_option_is_one_sentence_with_a_suggestion(given, arguments, sentence):
    with pytest.raises(CycloptsError) as refusal:
        given(*arguments)
    text = str(refusal.value)
    assert sentence in text
    assert "\n" not in text


@pytest.mark.parametrize("model", MODELS)
def test_help_shows_each_option_with_group_description_range_unit_and_default(given, model, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    given("--help")
    page = capsys.readouterr().out
    lines = [line.strip(" │") for line in page.splitlines()]
    properties = model.model_json_schema()["properties"]
    for field in option_fields(model):
        info = model.model_fields[field]
        name = option_name(field, model)
        (line,) = [line for line in lines if line.split(" ")[0] == flag(name)]
        schema = properties[name]
        assert f" {schema['group']} " in page
        assert info.description in line
        if "minimum" in schema:
            assert f"at least {schema['minimum']:,}" in line
        for choice in schema.get("enum", []):
            assert choice in line
        if schema["unit"]:
            assert schema["unit"] in line
        if info.annotation is not bool and info.default not in (None, []):
            assert f"[default: {typed(info.default)}]" in line
