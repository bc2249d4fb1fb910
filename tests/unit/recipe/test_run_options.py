import pytest

from impasto.errors import RecipeError
from impasto.recipe import RunOptions


def test_run_options_are_checked_like_recipes():
    with pytest.raises(
        RecipeError, match=r"^saving_interval is -1; it must be a whole number, at least 0 and at most 10,000,000\.$"
    ):
        RunOptions(saving_interval=-1)
    with pytest.raises(RecipeError, match="Did you mean 'json'"):
        RunOptions(jsno=True)


def test_the_option_json_has_two_names():
    assert RunOptions(json=True) == RunOptions(json_events=True)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps", "xpu", "xpu:12"])
def test_a_device_is_named_as_torch_names_it(device):
    assert RunOptions(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "cuda:9999", "cuda:\u0663", "cpu\n"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(
        RecipeError, match=r"it must be auto, cpu, mps, cuda or xpu; or one of several, as cuda:1 or xpu:1\.$"
    ):
        RunOptions(device=device)
