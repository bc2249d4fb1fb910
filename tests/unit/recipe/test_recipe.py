import math

import pytest

from impasto.errors import RecipeError
from impasto.recipe import (
    DEFAULT_ITERATIONS,
    LARGEST_FINISH,
    MAX_RECIPE_BYTES,
    Finish,
    Recipe,
    RunOptions,
    choices,
)

UNUSUAL = {
    "content_weight": 0.1,
    "style_weight": 1e30,
    "tv_weight": 0,
    "model": "vgg16",
    "style_layers": {"relu1_1": 1.0, "relu3_1": 0.25},
    "optimizer": "adam",
    "total_iterations": 7,
    "levels": 3,
    "size": 512,
    "keep_profile": True,
    "seed": 2**62,
}


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(**UNUSUAL)], ids=["default", "unusual"])
class TestRoundTrip:
    def test_json_gives_the_same_recipe(self, recipe):
        assert Recipe.from_json(recipe.to_json()) == recipe

    def test_toml_gives_the_same_recipe(self, recipe, tmp_path):
        file = tmp_path / "recipe.toml"
        file.write_text(recipe.to_toml(), encoding="utf-8")
        assert Recipe.from_file(file) == recipe

    def test_a_json_file_gives_the_same_recipe(self, recipe, tmp_path):
        file = tmp_path / "recipe.JSON"
        file.write_text(recipe.to_json(), encoding="utf-8")
        assert Recipe.from_file(file) == recipe

    def test_json_is_one_short_ascii_line(self, recipe):
        text = recipe.to_json()
        assert text.isascii() and "\n" not in text and len(text) < MAX_RECIPE_BYTES


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"content_weight": -1}, "content_weight is -1; it must be a finite number, at least 0."),
            ({"style_weight": math.nan}, "style_weight is nan; it must be a finite number, at least 0."),
            ({"tv_weight": math.inf}, "tv_weight is inf; it must be a finite number, at least 0."),
            ({"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of lbfgs, adam."),
            ({"height": 0}, "height is 0; it must be a whole number, at least 1 and at most 1,000,000."),
            ({"height": 1.5}, "height is 1.5; it must be a whole number, at least 1 and at most 1,000,000."),
            ({"levels": "many"}, "levels is 'many'; it must be auto or a whole number, at least 1 and at most 16."),
            ({"plateau": 1}, "plateau is 1; it must be a finite number, at least 0 and below 1."),
            ({"optimizer": "adm"}, "optimizer is 'adm'; it must be one of lbfgs, adam. Did you mean 'adam'?"),
            ({"style_weigth": 1}, "Unknown option 'style_weigth'. Did you mean 'style_weight'?"),
        ],
    )
    def test_a_refusal_says_what_was_got_and_what_is_allowed(self, values, sentence):
        with pytest.raises(RecipeError) as refusal:
            Recipe(**values)
        assert str(refusal.value) == sentence

    @pytest.mark.parametrize("layers", [{}, {"relu1_1": -1}, {"relu1_1": math.nan}, "relu1_1:much", ""])
    def test_layers_need_names_with_weights(self, layers):
        with pytest.raises(RecipeError, match="layers with weights of at least 0"):
            Recipe(style_layers=layers)

    def test_a_very_long_value_is_cut_in_the_message(self):
        with pytest.raises(RecipeError) as refusal:
            Recipe(model="x" * 10_000)
        assert len(str(refusal.value)) < 200

    @pytest.mark.parametrize("text", ["", "[1]", "null", "{", '{"content_weight": "heavy"}'])
    def test_malformed_json_is_a_recipe_error(self, text):
        with pytest.raises(RecipeError):
            Recipe.from_json(text)

    @pytest.mark.parametrize("name", ["self", "cls", "__class__", "model_config", "json"])
    def test_a_name_that_python_or_pydantic_uses_is_an_unknown_option(self, name):
        with pytest.raises(RecipeError, match=rf"^Unknown option '{name}'\."):
            Recipe(**{name: 1})
        with pytest.raises(RecipeError, match=rf"^Unknown option '{name}'\."):
            Recipe().replace(**{name: 1})

    def test_a_file_that_is_refused_is_named(self, tmp_path):
        file = tmp_path / "recipe.toml"
        file.write_text("height = 0", encoding="utf-8")
        with pytest.raises(RecipeError) as refusal:
            Recipe.from_file(file)
        assert "recipe.toml': height is 0; it must be a whole number" in str(refusal.value)

    def test_a_missing_file_is_a_recipe_error_that_names_it(self, tmp_path):
        with pytest.raises(RecipeError, match=r"^Cannot read the recipe '.*none\.toml': No such file or directory\.$"):
            Recipe.from_file(tmp_path / "none.toml")

    def test_only_what_is_live_tunable_changes_on_the_way(self):
        with pytest.raises(RecipeError, match=r"^x{28}\.\.\.x{28} cannot be changed while a run goes on; these can: "):
            Recipe(changes=[{"iteration": 3, "values": {"x" * 1000: 1}}])
        with pytest.raises(RecipeError, match=r"^iteration is a number of about 5,000 digits; it must be "):
            Recipe(changes=[{"iteration": 10**5000}])


class TestValues:
    def test_the_defaults_are_the_documented_ones(self):
        recipe, options = Recipe(), RunOptions()
        assert (recipe.content_weight, recipe.style_weight, recipe.tv_weight) == (5, 1, 1.0)
        assert (recipe.optimizer, recipe.model, recipe.init_method) == ("lbfgs", "vgg19", "content")
        assert (recipe.height, recipe.learning_rate) == (400, 1.0)
        assert (str(options.output_file), options.saving_interval) == ("output_image", 100)

    @pytest.mark.parametrize(("optimizer", "budget"), DEFAULT_ITERATIONS.items())
    def test_the_budget_depends_on_the_optimizer_unless_it_is_given(self, optimizer, budget):
        assert Recipe(look="classic", optimizer=optimizer).num_iterations == budget
        assert Recipe(look="neighbors", optimizer=optimizer).num_iterations == budget // 5
        assert Recipe(optimizer=optimizer, total_iterations=5).num_iterations == 5

    def test_replacing_keeps_count_of_what_was_set(self):
        recipe = Recipe(height=100).replace(seed=3)
        assert recipe.model_fields_set == {"height", "seed"}
        assert (recipe.height, recipe.seed) == (100, 3)

    def test_replacing_is_checked(self):
        with pytest.raises(RecipeError, match="Did you mean 'height'"):
            Recipe().replace(heigth=3)

    def test_a_recipe_cannot_be_changed_in_place(self):
        with pytest.raises(ValueError, match="Instance is frozen"):
            Recipe().height = 3

    @pytest.mark.parametrize(
        ("values", "silent"),
        [
            ({"learning_rate": 2}, "learning_rate"),
            ({"optimizer": "adam", "history_size": 5}, "history_size"),
            ({"seed": 1}, "seed"),
            ({"size": 100, "height": 100}, "height"),
            ({"levels": 1, "min_size": 64}, "min_size"),
            ({"tileable": True, "padding": "reflect"}, "padding"),
            ({"style_layers": {"relu1_1": 0, "relu2_1": 0}}, "style_weight"),
            ({"content_layers": {"relu4_2": 0}}, "content_weight"),
        ],
    )
    def test_an_option_without_effect_warns(self, values, silent):
        (warning,) = Recipe(**values).warnings()
        assert warning.startswith(f"{silent} has no effect: ")

    def test_defaults_never_warn(self):
        assert Recipe().warnings() == []
        assert Recipe(optimizer="adam", levels=1, size=100).warnings() == []


def test_choices_are_those_of_the_field():
    assert choices("optimizer") == ("lbfgs", "adam")


def test_a_plateau_ends_runs_by_default_unless_a_budget_is_named() -> None:
    assert Recipe().plateau_fraction > 0
    assert Recipe(total_iterations=150).plateau_fraction == 0
    assert Recipe(total_iterations=150, plateau=0.1).plateau_fraction == 0.1
    assert Recipe(plateau=0).plateau_fraction == 0


def test_an_accelerated_recipe_goes_by_the_student_and_ends_with_its_teacher() -> None:
    recipe = Recipe(model="vgg19", accelerate="auto").accelerated()
    assert recipe.model == "compact"
    assert recipe.finishing is not None
    assert recipe.finishing.model == "vgg19"
    assert recipe.finishing.iterations == LARGEST_FINISH * recipe.num_iterations
    assert recipe.accelerated() == recipe
    in_a_budget = Recipe(model="vgg19", accelerate="auto", total_iterations=100).accelerated().finishing
    assert in_a_budget is not None
    assert in_a_budget.iterations == Finish.iterations


@pytest.mark.parametrize(
    "values",
    [
        {"accelerate": "off"},
        {"look": "classic"},
        {"model": "compact"},
        {"model": "vgg16"},
        {"finish": "vgg16:4"},
        {"style_layers": {"relu3_2": 1.0}},
    ],
)
def test_what_has_no_student_or_its_own_plan_is_not_accelerated(values: dict[str, object]) -> None:
    recipe = Recipe(**values)
    assert recipe.accelerated() == recipe


def test_acceleration_that_was_asked_for_in_vain_warns() -> None:
    assert any(
        warning.startswith("accelerate has no effect")
        for warning in Recipe(model="vgg16", accelerate="auto").warnings()
    )
    assert not Recipe(model="vgg19", accelerate="auto").warnings()
    assert not Recipe(model="vgg19", accelerate="auto").accelerated().warnings()
    assert not Recipe(model="vgg16").warnings()
