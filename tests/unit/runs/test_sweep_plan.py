"""What varies becomes cells: every combination once, refused by the recipe's own sentences."""

from pathlib import Path

import pytest

from impasto.errors import RecipeError, UserError
from impasto.recipe import Recipe
from impasto.runs.sweep_plan import Cell, as_typed, parse_vary, plan_cells, variants_of


def cells(*vary: str, contents: int = 1, styles: int = 1) -> list[Cell]:
    recipe = Recipe()
    paths = [Path(f"c{number}.png") for number in range(contents)]
    rows = [[Path(f"s{number}.png")] for number in range(styles)]
    return plan_cells(paths, rows, recipe, variants_of(parse_vary(vary), recipe))


def test_every_combination_is_one_cell_and_the_last_parameter_varies_fastest() -> None:
    planned = cells("strength=10,50", "optimizer=adam,lbfgs")
    assert [(cell.recipe.strength, cell.recipe.optimizer) for cell in planned] == [
        (10, "adam"), (10, "lbfgs"), (50, "adam"), (50, "lbfgs"),
    ]  # fmt: skip
    assert [cell.name for cell in planned][:2] == ["001-strength-10-optimizer-adam", "002-strength-10-optimizer-lbfgs"]
    assert planned[0].label == "strength 10, optimizer adam"


def test_every_content_is_painted_in_every_style() -> None:
    planned = cells("strength=10,50", contents=2, styles=3)
    assert len(planned) == 12
    assert planned[-1].values == {"content": "c1", "style": "s2", "strength": "50"}
    assert len({cell.name for cell in planned}) == 12


def test_pictures_of_one_name_are_told_apart() -> None:
    recipe = Recipe()
    planned = plan_cells([Path("a/x.png"), Path("b/x.png")], [[Path("s.png")]], recipe, variants_of({}, recipe))
    assert [cell.values["content"] for cell in planned] == ["x (1)", "x (2)"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("strength=10, 30", {"strength": ["10", "30"]}),
        ("total-iterations=5,6", {"total_iterations": ["5", "6"]}),
        ("style_blend=0.7,0.3;0.5,0.5", {"style_blend": ["0.7,0.3", "0.5,0.5"]}),
        ("style_layers=relu1_1:1,relu2_1:1;", {"style_layers": ["relu1_1:1,relu2_1:1"]}),
    ],
)
def test_values_are_written_as_on_the_command_line(text: str, values: dict[str, list[str]]) -> None:
    assert parse_vary([text]) == values
    assert variants_of(values, Recipe())


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        (["strenght=10"], "Unknown option 'strenght'. Did you mean 'strength'?"),
        (["strength=10,101"], "strength is '101'; it must be a finite number, at least 0 and at most 100."),
        (["optimizer=sgd"], "optimizer is 'sgd'; it must be one of lbfgs, adam."),
        (["strength=10,10.0"], "strength has the value 10.0 twice"),
        (["strength="], "strength has no value to vary over"),
        (["strength=,"], "strength has no value to vary over"),
        (["strength"], "--vary is 'strength'; write a parameter and its values"),
        (["strength=1", "strength=2"], "strength is varied twice"),
        (["changes=1"], "changes cannot be varied"),
    ],
)
def test_what_cannot_vary_is_refused_in_a_sentence(vary: list[str], sentence: str) -> None:
    with pytest.raises(RecipeError, match="^" + sentence.replace("?", r"\?").replace("(", r"\(")):
        cells(*vary)


def test_a_look_varies_with_all_that_it_stands_for() -> None:
    planned = cells("look=classic,bold")
    assert [cell.recipe.style_loss for cell in planned] == ["gram", "neighbors"]


def test_more_cells_than_anybody_asks_for_by_accident_have_to_be_asked_for_twice() -> None:
    vary = {"seed": range(101), "strength": range(100)}
    lists = {name: list(values) for name, values in vary.items()}
    with pytest.raises(UserError, match=r"^These are 10,100 cells, more than 10,000; give --yes"):
        variants_of(lists, Recipe())
    assert len(variants_of(lists, Recipe(), allow_many=True)) == 10_100


def test_too_many_are_counted_before_any_is_made() -> None:
    vary = {"seed": list(range(5000)), "total_iterations": list(range(5000)), "height": list(range(1, 5000))}
    with pytest.raises(UserError, match=r"^These are 124,975,000,000 cells"):
        variants_of(vary, Recipe())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10.0, "10"),
        (0.1, "0.1"),
        (12345678.5, "12345678.5"),
        (True, "true"),
        ([0.7, 1.0], "0.7,1"),
        ({"a": 1.0}, "a:1"),
    ],
)
def test_a_value_is_shown_as_it_is_typed(value: object, text: str) -> None:
    assert as_typed(value) == text


def test_names_of_any_values_are_names_of_files() -> None:
    planned = cells("model=a/b.py:make;timm:resnet18;" + "x" * 200 + ".pt2")
    assert all("/" not in cell.name and len(cell.name) <= 84 for cell in planned)
    assert len({cell.name for cell in planned}) == 3
