"""The weights of encoders: find them, load them, and check them every time.

They are looked for in this order: a file named by the caller; `<name>_features.safetensors` or `<name>.safetensors`
in the folder that ``IMPASTO_WEIGHTS_DIR`` names; the same in the user's cache; the network. A file with a `.sha256`
beside it (as ``sha256sum`` writes it, and as a download leaves it) is held to that SHA-256.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
from safetensors import SafetensorError

from impasto.encoders.vgg import VGG
from impasto.encoders.weights.download import OnDownload, download
from impasto.encoders.weights.paths import (
    BUNDLED_FILES,
    PUBLISHED_FILES,
    cache_folder,
    find_in_folder,
    looked,
    published_url,
    sidecar,
    weights_folder,
)
from impasto.errors import EncoderError, RecipeError, WeightsError, did_you_mean

__all__ = ["OnDownload", "Source", "WeightsInfo", "describe", "download", "find_weights", "load_weights", "verify"]

Source = Literal["file", "folder", "cache", "package", "network"]

_REMEDY = (
    "Put a whole one in its place ('impasto models download' renews the one in the cache), "
    "or use --model compact, which needs no download."
)


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
    url = published_url(name) if name in PUBLISHED_FILES else None
    if path is None:
        return WeightsInfo(name, source, None, url, None, None)
    digest = _sha256(path)
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


def load_weights(encoder: VGG, path: Path) -> None:
    """Loads weights under torchvision's names into a VGG, and notes their SHA-256 in it.

    Raises:
        WeightsError: If the file is no safetensors file, differs from the SHA-256 beside it, or holds weights of
            another network or values that are not finite.
    """
    digest, recorded = _sha256(path), _recorded_sha256(path)
    if recorded not in (None, digest):
        raise WeightsError(
            f"The weights '{path}' are damaged: their SHA-256 starts with {digest[:12]}, "
            f"'{sidecar(path).name}' says {recorded[:12]}. {_REMEDY}"
        )
    try:
        encoder.load_torchvision(safetensors.torch.load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights '{path}' are no whole safetensors file: {error}. {_REMEDY}") from None
    except EncoderError as error:
        raise WeightsError(f"{error} The file is '{path}'. {_REMEDY}") from None
    encoder.weights_sha256 = digest


def _locate(name: str, file: Path | None) -> tuple[Source, Path | None]:
    """The first place on this machine that has the weights; else ``("network", None)``."""
    known = [*PUBLISHED_FILES, *BUNDLED_FILES]
    if name not in known:
        raise RecipeError(f"Unknown model '{name}'. {did_you_mean(name, known)}")
    if file is not None:
        if not file.is_file():
            raise WeightsError(f"The weights '{file}' are no file. Give the path of a safetensors file.")
        return "file", file
    if name in BUNDLED_FILES:
        return "package", BUNDLED_FILES[name]
    if (folder := weights_folder()) and (path := find_in_folder(folder, name)):
        return "folder", path
    try:
        path = find_in_folder(cache_folder(), name)
    except WeightsError:  # without a home nothing is kept; who downloads is told so
        path = None
    return ("network", None) if path is None else ("cache", path)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"Cannot read the weights '{path}': {error.strerror}. {_REMEDY}") from None


def _recorded_sha256(path: Path) -> str | None:
    """What the file beside the weights says, None if there is none."""
    try:
        words = sidecar(path).read_text(encoding="ascii", errors="replace").lower().split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsError(f"Cannot read '{sidecar(path)}': {error.strerror}. {_REMEDY}") from None
    return words[0] if words else "nothing"
