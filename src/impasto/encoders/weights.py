"""Where the weights of encoders lie: find them, download them once, load them, and check them every time.

Weights are looked for in this order: a file named by the caller; `<name>_features.safetensors` or
`<name>.safetensors` in the folder that ``IMPASTO_WEIGHTS_DIR`` names; the same in the user's cache; the network, from
where torchvision's published file is fetched and its convolutional part kept in the cache. A file ``X`` with a
``X.sha256`` beside it (as ``sha256sum`` writes it, and as a download leaves it) is held to that SHA-256.
"""

import hashlib
import http.client
import logging
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from impasto.encoders.vgg import VGG, build_vgg
from impasto.errors import EncoderError, RecipeError, WeightsError, did_you_mean

__all__ = ["WeightsInfo", "describe", "download", "find_weights", "load_weights", "verify"]

logger = logging.getLogger(__name__)

OnDownload = Callable[[int, int | None], None]
"""Told of a download's progress: bytes so far, and bytes in all where the server says so."""

PUBLISHED_URL = "https://download.pytorch.org/models"
PUBLISHED_FILES = {"vgg19": "vgg19-dcbb9e9d.pth", "vgg16": "vgg16-397923af.pth"}
"""Torchvision's IMAGENET1K_V1 files; what follows the dash is the start of the file's SHA-256."""

BUNDLED_FILES = {"compact": Path(__file__).with_name("compact.safetensors")}
"""Weights that the package itself carries."""

TIMEOUT_SECONDS = 30
"""A server that is silent for longer is given up."""

_CHUNK_BYTES = 1 << 20

Source = Literal["file", "folder", "cache", "package", "network"]


@dataclass(frozen=True)
class WeightsInfo:
    """Where an encoder's weights are, or would come from.

    Attributes:
        name: The encoder's name in the recipe.
        source: ``"file"`` (named by the caller), ``"folder"`` (of ``IMPASTO_WEIGHTS_DIR``), ``"cache"``,
            ``"package"``, or ``"network"`` if they are not on this machine yet.
        path: The file; None if they are not on this machine.
        url: Where they are published; empty for bundled ones.
        num_bytes: The file's size; None if they are not on this machine.
        sha256: The file's, in hexadecimal; None if they are not on this machine.
    """

    name: str
    source: Source
    path: Path | None
    url: str
    num_bytes: int | None
    sha256: str | None


def describe(name: str, file: Path | None = None) -> WeightsInfo:
    """Says where an encoder's weights are or would come from, without fetching or checking them.

    Raises:
        RecipeError: If no encoder has this name.
        WeightsError: If `file` is given and is no file, or the file found cannot be read.
    """
    source, path = _locate(name, file)
    url = _url(name) if name in PUBLISHED_FILES else ""
    if path is None:
        return WeightsInfo(name, source, None, url, None, None)
    return WeightsInfo(name, source, path, url, path.stat().st_size, _sha256(path))


def verify(name: str, file: Path | None = None) -> WeightsInfo:
    """Recomputes the SHA-256 of weights on this machine, and checks every tensor's name, shape and values.

    Raises:
        RecipeError: If no encoder has this name.
        WeightsError: If the weights are damaged, of another network, or not on this machine.
    """
    info = describe(name, file)
    if info.path is None:
        raise WeightsError(f"The weights of {name} are not on this machine. {_looked(name)} {_way_out(name)}")
    if info.source == "package":
        from impasto.encoders.compact import load_compact

        load_compact()
    else:
        load_weights(build_vgg(name), info.path)
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
            f"The weights '{path}' are damaged: their SHA-256 is {digest}, '{_sidecar(path)}' says {recorded}. "
            + _remedy()
        )
    try:
        encoder.load_torchvision(safetensors.torch.load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights '{path}' are no whole safetensors file: {error}. {_remedy()}") from None
    except EncoderError as error:
        raise WeightsError(f"{error} The file is '{path}'. {_remedy()}") from None
    encoder.weights_sha256 = digest


def download(name: str, *, on_download: OnDownload | None = None) -> Path:
    """Fetches torchvision's published file and keeps its convolutional part in the user's cache.

    An earlier file in the cache is replaced at the very end; until then, and if anything fails or the user
    interrupts, nothing is left behind. Several processes may download at once.

    Args:
        name: The encoder's name in the recipe.
        on_download: Told of the progress.

    Returns:
        The safetensors file in the cache, with its SHA-256 beside it.

    Raises:
        RecipeError: If no encoder of this name has published weights.
        WeightsError: If there is no network, what arrives is not what was published, or the cache cannot be
            written to.
    """
    if name not in PUBLISHED_FILES:
        raise RecipeError(f"No weights are published for '{name}'. {did_you_mean(name, PUBLISHED_FILES)}")
    folder = cache_folder()
    target = folder / _file_names(name)[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as temporary:
            checkpoint = Path(temporary) / PUBLISHED_FILES[name]
            _fetch(name, checkpoint, on_download)
            data = safetensors.torch.save(
                _convolutions(name, checkpoint),
                {"origin": f"torchvision's {checkpoint.name}, convolutional part"},  # one entry: two may swap places
            )
            digest = hashlib.sha256(data).hexdigest()
            # The SHA-256 goes first: alone it is harmless, and no weights are ever without it.
            for path, content in (_sidecar(target), f"{digest}  {target.name}\n".encode()), (target, data):
                _write_durably(Path(temporary) / path.name, content).replace(path)
    except OSError as error:
        raise WeightsError(
            f"Cannot keep the weights of {name} in '{folder}': {error.strerror or error}. "
            "Make room there or set IMPASTO_CACHE_DIR to another folder, or use --model compact."
        ) from None
    logger.info("stored the weights of %s in %s", name, target)
    return target


def cache_folder() -> Path:
    """The user's cache: ``IMPASTO_CACHE_DIR``, else the platform's place for caches.

    Raises:
        WeightsError: If the user has no home folder.
    """
    if explicit := os.environ.get("IMPASTO_CACHE_DIR"):
        return Path(explicit)
    places = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
    variable, below_home = places.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    base = Path(os.environ.get(variable, ""))
    if not base.is_absolute():  # also what the XDG specification asks for
        try:
            base = Path.home() / below_home
        except RuntimeError:
            raise WeightsError(
                "No home folder to keep weights in: set IMPASTO_CACHE_DIR to a folder, or use --model compact."
            ) from None
    return base / "impasto"


def _locate(name: str, file: Path | None) -> tuple[Source, Path | None]:
    """The first place on this machine that has the weights; else ``("network", None)``."""
    known = [*PUBLISHED_FILES, *BUNDLED_FILES]
    if name not in known:
        raise RecipeError(f"Unknown model '{name}'. {did_you_mean(name, known)}")
    if file is not None:
        if name in BUNDLED_FILES:
            raise RecipeError(f"{name} takes no file of weights, got '{file}': its weights are in the package.")
        if not file.is_file():
            raise WeightsError(f"The weights '{file}' are no file. Give the path of a safetensors file.")
        return "file", file
    if name in BUNDLED_FILES:
        return "package", BUNDLED_FILES[name]
    if (folder := _weights_folder()) and (path := _in_folder(folder, name)):
        return "folder", path
    path = _in_folder(cache_folder(), name)
    return ("network", None) if path is None else ("cache", path)


def _weights_folder() -> Path | None:
    folder = os.environ.get("IMPASTO_WEIGHTS_DIR")
    return Path(folder) if folder else None


def _file_names(name: str) -> tuple[str, str]:
    return f"{name}_features.safetensors", f"{name}.safetensors"


def _in_folder(folder: Path, name: str) -> Path | None:
    return next((folder / file for file in _file_names(name) if (folder / file).is_file()), None)


def _url(name: str) -> str:
    """Where the weights are published, or mirrored: ``IMPASTO_WEIGHTS_URL`` replaces all but the file's name."""
    return f"{os.environ.get('IMPASTO_WEIGHTS_URL') or PUBLISHED_URL}".rstrip("/") + f"/{PUBLISHED_FILES[name]}"


def _fetch(name: str, target: Path, on_download: OnDownload | None) -> None:
    """Streams the published file to `target`, and holds it to the SHA-256 in its name."""
    digest, num_bytes = hashlib.sha256(), 0
    with target.open("wb") as stream:
        for chunk, total in _chunks(name):
            stream.write(chunk)
            digest.update(chunk)
            num_bytes += len(chunk)
            if on_download is not None:
                on_download(num_bytes, total)
    expected = target.stem.rpartition("-")[2]
    if not digest.hexdigest().startswith(expected):
        raise WeightsError(
            f"What arrived from {_url(name)} is damaged or another file: its SHA-256 starts with "
            f"{digest.hexdigest()[: len(expected)]}, not with {expected}. {_way_out(name)}"
        )


def _chunks(name: str) -> Iterator[tuple[bytes, int | None]]:
    """The published file piece by piece, each with the bytes that the server announced for the whole."""
    url, num_bytes = _url(name), 0
    if not url.startswith(("https://", "http://", "file://")):
        raise WeightsError(f"IMPASTO_WEIGHTS_URL must start with https://, http:// or file://, got '{url}'.")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 (checked above)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while chunk := response.read(_CHUNK_BYTES):
                num_bytes += len(chunk)
                yield chunk, total
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise WeightsError(
            f"Cannot download the weights of {name} from {url}: {reason}. {_looked(name)} {_way_out(name)}"
        ) from None
    if total not in (None, num_bytes):
        raise WeightsError(
            f"The download of {url} broke off after {num_bytes} of {total} bytes. Try again. {_way_out(name)}"
        )


def _convolutions(name: str, checkpoint: Path) -> dict[str, Tensor]:
    """The convolutional part of a checkpoint of torchvision, checked against the network."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        tensors = {key: state[key].float().contiguous() for key in state if key.startswith("features.")}
    except Exception as error:  # torch.load raises whatever the bytes provoke in its unpickler
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"What arrived from {_url(name)} holds no weights: {reason} {_way_out(name)}") from None
    try:
        build_vgg(name).load_torchvision(tensors)
    except EncoderError as error:
        raise WeightsError(f"{error} They came from {_url(name)}. {_way_out(name)}") from None
    return tensors


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded_sha256(path: Path) -> str | None:
    try:
        words = _sidecar(path).read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsError(f"Cannot read '{_sidecar(path)}': {error.strerror}.") from None
    return words[0] if words else "nothing"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"Cannot read the weights '{path}': {error.strerror}. {_remedy()}") from None


def _write_durably(path: Path, content: bytes) -> Path:
    """Writes a file and waits until it is on the disk; returns its path."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return path


def _looked(name: str) -> str:
    """Where weights were looked for, as a sentence."""
    places = [(_weights_folder(), "IMPASTO_WEIGHTS_DIR"), (cache_folder(), "the cache")]
    words = [
        f"'{folder}' ({what}{'' if folder.is_dir() else ', which is no folder'})" for folder, what in places if folder
    ]
    return f"Looked for {' and '.join(_file_names(name))} in {' and '.join(words)}."


def _way_out(name: str) -> str:
    """What a user can do who cannot download, as a sentence."""
    return (
        f"Put {_file_names(name)[0]} into '{cache_folder()}', or let IMPASTO_WEIGHTS_URL name a mirror or a folder "
        f"(file:///…) with {PUBLISHED_FILES[name]}, or use --model compact, which needs no download."
    )


def _remedy() -> str:
    return "Replace the file, or remove it to have it downloaded anew, or use --model compact, which needs none."
