import pytest

from impasto.errors import RecipeError
from impasto.recipe import Recipe, RunOptions, size_in_words

HUGE = pytest.param(10**5000, id="5000 digits")
"""Named, as Python does not write a number of so many digits."""


class TestLayers:
    def test_text_gives_names_with_weights(self):
        layers = Recipe(style_layers=" relu1_1 : 2, relu2_1 ,").style_layers
        assert layers == {"relu1_1": 2.0, "relu2_1": 1.0}

    @pytest.mark.parametrize("layers", ["", ":1", "a:b:1", {"": 1}, {"\ud800": 1}])
    def test_every_weight_needs_the_name_of_a_layer(self, layers):
        with pytest.raises(RecipeError, match="it must be layers with weights of at least 0, as relu1_1:1"):
            Recipe(style_layers=layers)


class TestNumbers:
    @pytest.mark.parametrize(("value", "numbers"), [("0.7,0.3", [0.7, 0.3]), (2, [2]), ([1, 2], [1, 2]), (" 1, ", [1])])
    def test_one_number_text_and_lists_are_read(self, value, numbers):
        assert Recipe(style_blend=value).style_blend == numbers

    @pytest.mark.parametrize("value", ["", ",", "a", "1;2", "nan", [], [-1], HUGE])
    def test_what_is_not_a_list_of_numbers_is_refused(self, value):
        with pytest.raises(
            RecipeError, match=r"it must be numbers separated by commas, each a finite number, at least 0"
        ):
            Recipe(style_blend=value)


class TestSizes:
    @pytest.mark.parametrize(
        ("value", "size"), [("2GB", 2 * 10**9), ("800 MB", 8 * 10**8), ("512MiB", 2**29), ("1.5k", 1500), (7, 7)]
    )
    def test_units_of_ten_and_of_two_are_read(self, value, size):
        assert RunOptions(max_memory=value).max_memory == size

    @pytest.mark.parametrize("value", ["", "GB", "2 apples", "-1GB", "0", "9" * 400 + "GB", "9" * 18 + "TB", HUGE])
    def test_what_is_not_a_size_is_refused(self, value):
        with pytest.raises(RecipeError, match=r"it must be a size in bytes, as 2GB, 800MB or 512MiB\."):
            RunOptions(max_memory=value)

    def test_sizes_in_words_are_rounded_up(self):
        assert size_in_words(1_310_000_000) == "1.4 GB" and size_in_words(639_000_001) == "640 MB"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_names_nothing_is_refused(path):
    with pytest.raises(RecipeError, match=r"^output_file is '.*'; it must be the path of a file or folder\.$"):
        RunOptions(output_file=path)
    with pytest.raises(RecipeError, match=r"^content_mask is '.*'; it must be paths of pictures\.$"):
        RunOptions(content_mask=[path])
