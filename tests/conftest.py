"""What every test can ask for: a tiny encoder, and the folders of real weights and pictures."""

import os
from pathlib import Path

import pytest

from tests.tiny import TinyEncoder


@pytest.fixture
def tiny_encoder() -> TinyEncoder:
    return TinyEncoder()


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    return _folder("IMPASTO_WEIGHTS_DIR", "vgg19_features.safetensors")


@pytest.fixture(scope="session")
def images_dir() -> Path:
    return _folder("IMPASTO_IMAGES_DIR", "the folders content and style")


def _folder(variable: str, holding: str) -> Path:
    """The folder that a variable names; skips the test if it is unset, fails it if it names no folder."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"set {variable} to a folder with {holding}")
    folder = Path(path)
    if not folder.is_dir():
        pytest.fail(f"{variable} names '{path}', which is no folder")
    return folder
