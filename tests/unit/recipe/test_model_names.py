from pathlib import Path

import pytest

from impasto.recipe.model_names import is_custom, model_file, public_name


@pytest.mark.parametrize(
    ("model", "file", "public"),
    [
        ("/a/b.py:make", Path("/a/b.py"), "b.py:make"),
        ("b.pt2", Path("b.pt2"), "b.pt2"),
        ("a/b.pt2", Path("a/b.pt2"), "b.pt2"),
        (r"C:\\a\\b.py:make", Path(r"C:\\a\\b.py"), "b.py:make"),
        ("timm:a/b", None, "timm:a/b"),
        ("torchvision:alexnet", None, "torchvision:alexnet"),
    ],
)
def test_a_foreign_network_is_of_a_file_or_of_a_package(model, file, public):
    assert is_custom(model)
    assert model_file(model) == file
    assert public_name(model) == public


@pytest.mark.parametrize("model", ["vgg19", "vgg16", "compact"])
def test_networks_of_impasto_are_not_foreign(model):
    assert not is_custom(model) and model_file(model) is None and public_name(model) == model
