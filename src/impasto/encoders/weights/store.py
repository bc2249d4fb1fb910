"""The weights of encoders: find them, load them, and check them every time.

They are looked for in this order: a file named by the caller; `<name>_features.safetensors` or `<name>.safetensors`
in the folder that ``IMPASTO_WEIGHTS_DIR`` names; the same in the user's cache; the network. A file with a `.sha256`
beside it (as ``sha256sum`` writes it, and as a download leaves it) is held to that SHA-256.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.encoders.registry import find_spec
from impasto.encoders.weights.download import OnDownload, download
from impasto.encoders.weights.paths import (
    cache_folder,
    find_in_folder,
    looked,
    published_url,
    weights_folder,
)
from impasto.encoders.weights.reading import sha256_of
from impasto.errors import WeightsError

__all__ = ["OnDownload", "Source", "WeightsInfo", "describe", "download", "find_weights", "verify"]

Source = Literal["file", "folder", "cache", "package", "network"]


@dataclass(frozen=True)
class WeightsInfo:
    """Where an encoder's weights are, or would come from.

    Attributes:
        name: The encoder's name in the recipe.
        source: ``"file"`` (named by the caller), ``"folder"`` (of ``IMPASTO_WEIGHTS_DIR``), ``"cache"``,
            ``"package"``, or ``"network"`` if they are not on this machine yet.
        path: The file; None if they are not on this machine.
        url: Where they are published; None for bundled ones.
        num_bytes: The file's size; None if they are not on this machine.
        sha256: The file's, in hexadecimal; None if they are not on this machine.
    """

    name: str
    source: Source
    path: Path | None
    url: str | None
    num_bytes: int | None
    sha256: str | None


def describe(name: str, file: Path | None = None) -> WeightsInfo:
    """Says where an encoder's weights are or would come from, without fetching or checking them.

    Args:
        name: The encoder's name in the recipe.
        file: Weights to describe instead of looking for them.

    Raises:
        RecipeError: If no encoder has this name.
        WeightsError: If `file` is given and is no file, or the file found cannot be read.
    """
    source, path = _locate(name, file)
    published = find_spec(name).published
    url = published_url(published.file) if published else None
    if path is None:
        return WeightsInfo(name, source, None, url, None, None)
    digest = sha256_of(path)
    return WeightsInfo(name, source, path, url, path.stat().st_size, digest)


def verify(name: str, file: Path | None = None) -> WeightsInfo:
    """Loads weights that are on this machine, which checks their SHA-256 and every tensor's name, shape and values.

    Args:
        name: The encoder's name in the recipe.
        file: Weights to verify instead of looking for them.

    Raises:
        RecipeError: If no encoder has this name.
        WeightsError: If the weights are damaged, of another network, or not on this machine.
    """
    from impasto.encoders import build_encoder  # which imports this module

    info = describe(name, file)
    if info.path is None:
        raise WeightsError(
            f"The weights of {name} are not on this machine: fetch them with 'impasto models download {name}'. "
            + looked(name)
        )
    build_encoder(name, weights_file=file)
    return info


def find_weights(name: str, file: Path | None = None, *, on_download: OnDownload | None = None) -> Path:
    """Finds an encoder's weights, and downloads them if they are nowhere on this machine.

    Args:
        name: The encoder's name in the recipe.
        file: Weights to take instead of looking for them.
        on_download: Told of a download's progress.

    Returns:
        The safetensors file.

    Raises:
        RecipeError: If no encoder has this name.
        WeightsError: If `file` is given and is no file, or if the weights are nowhere and cannot be downloaded.
    """
    _, path = _locate(name, file)
    return download(name, on_download=on_download) if path is None else path


def _locate(name: str, file: Path | None) -> tuple[Source, Path | None]:
    """The first place on this machine that has the weights; else ``("network", None)``."""
    spec = find_spec(name)
    if file is not None:
        if not file.is_file():
            raise WeightsError(f"The weights '{file}' are no file. Give the path of a safetensors file.")
        return "file", file
    if spec.bundled_file is not None:
        return "package", spec.bundled_file
    if (folder := weights_folder()) and (path := find_in_folder(folder, name)):
        return "folder", path
    try:
        path = find_in_folder(cache_folder(), name)
    except WeightsError:  # without a home nothing is kept; who downloads is told so
        path = None
    return ("network", None) if path is None else ("cache", path)
