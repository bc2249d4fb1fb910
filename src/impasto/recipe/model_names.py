"""What the names of custom models in a recipe mean."""

from pathlib import Path, PureWindowsPath


def model_file(model: str) -> Path | None:
    """The file that a model of the recipe names, None for those of packages: ``a/b.py`` for ``a/b.py:make``."""
    if model.endswith(".pt2"):
        return Path(model)
    path, _, _ = model.rpartition(":")
    return Path(path) if path.endswith(".py") else None


def is_custom(model: str) -> bool:
    """Whether a model of the recipe is a foreign network, and none of Impasto's own."""
    return model_file(model) is not None or model.startswith(("timm:", "torchvision:"))


def public_name(model: str) -> str:
    """A model of the recipe without the folder that its file lies in: ``b.py:make`` for ``/a/b.py:make``."""
    return model if model_file(model) is None else PureWindowsPath(model).name
