"""Fetch an encoder's published weights once, check them, and keep what the encoder needs in the user's cache."""

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from impasto.encoders.registry import ENCODERS, PublishedCheckpoint
from impasto.encoders.weights.paths import (
    cache_folder,
    file_names,
    looked,
    published_url,
    sidecar,
    way_out,
)
from impasto.errors import EncoderError, RecipeError, WeightsError, did_you_mean

__all__ = ["OnDownload", "download"]

logger = logging.getLogger(__name__)

OnDownload = Callable[[int, int | None], None]
"""Told of a download's progress: bytes so far, and bytes in all where the server says so."""

TIMEOUT_SECONDS = 30
"""A server that is silent for longer is given up."""

CHUNK_BYTES = 1 << 20


def download(name: str, *, on_download: OnDownload | None = None) -> Path:
    """Fetches an encoder's published weights and keeps what it needs of them in the user's cache.

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
    downloads = {spec.name: spec.published for spec in ENCODERS.values() if spec.published}
    if name not in downloads:
        raise RecipeError(f"'{name}' has no weights to download. {did_you_mean(name, downloads)}")
    published = downloads[name]
    folder = cache_folder()
    target = folder / file_names(name)[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as temporary:
            checkpoint = Path(temporary) / published.file
            _fetch(name, published, checkpoint, on_download)
            # one entry of metadata: several have no fixed order, and the same weights would not be the same bytes
            origin = {"origin": f"torchvision's {published.file}, {published.part}"}
            data = safetensors.torch.save(_kept_tensors(name, published, checkpoint), origin)
            checksum = f"{hashlib.sha256(data).hexdigest()}  {target.name}\n".encode()
            # the checksum goes first: alone it is harmless, and the weights are never there without it
            for path, content in ((sidecar(target), checksum), (target, data)):
                _write_durably(Path(temporary) / path.name, content).replace(path)
    except OSError as error:
        raise WeightsError(
            f"Cannot keep the weights of {name} in '{folder}': {error.strerror or error}. "
            "Make room there or set IMPASTO_CACHE_DIR to another folder, or use --model compact."
        ) from None
    logger.info("stored the weights of %s in %s", name, target)
    return target


def _fetch(name: str, published: PublishedCheckpoint, target: Path, on_download: OnDownload | None) -> None:
    """Streams the published file to `target`, and holds it to the SHA-256 in its name."""
    digest, num_bytes = hashlib.sha256(), 0
    with target.open("wb") as stream:
        for chunk, total in _chunks(name, published):
            stream.write(chunk)
            digest.update(chunk)
            num_bytes += len(chunk)
            if on_download is not None:
                on_download(num_bytes, total)
    expected = target.stem.rpartition("-")[2]
    if not digest.hexdigest().startswith(expected):
        raise _failure(
            f"What arrived from {published_url(published.file)} is damaged or another file: its SHA-256 starts with "
            f"{digest.hexdigest()[: len(expected)]}, not with {expected}.", name, published,
        )  # fmt: skip


def _chunks(name: str, published: PublishedCheckpoint) -> Iterator[tuple[bytes, int | None]]:
    """The published file piece by piece, each with the bytes that the server announced for the whole."""
    url, num_bytes = published_url(published.file), 0
    if not url.startswith(("https://", "http://", "file://")):
        raise WeightsError(f"IMPASTO_WEIGHTS_URL must start with https://, http:// or file://, got '{url}'.")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 (checked above)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while chunk := response.read(CHUNK_BYTES):
                num_bytes += len(chunk)
                yield chunk, total
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failure(
            f"Cannot download the weights of {name} from {url}: {_reason(error)}. {looked(name)}", name, published
        ) from None
    if total not in (None, num_bytes):
        raise _failure(
            f"The download of {url} broke off after {num_bytes} of {total} bytes. Try again.", name, published
        )


def _failure(what: str, name: str, published: PublishedCheckpoint) -> WeightsError:
    """An error that says what happened and what a user can do."""
    return WeightsError(f"{what} {way_out(name, published.file)}")


def _reason(error: Exception) -> str:
    """What a failed request came to, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the connection
        return f"the server answered {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (isinstance(cause, OSError) and cause.strerror) or str(cause)


def _kept_tensors(name: str, published: PublishedCheckpoint, checkpoint: Path) -> dict[str, Tensor]:
    """What an encoder keeps of its published checkpoint, float32, checked by the encoder."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        tensors = {key: state[key].float().contiguous() for key in state if key.startswith(published.prefix)}
    except Exception as error:  # the unpickler raises whatever the bytes provoke
        logger.debug("torch.load refused %s: %s", checkpoint.name, error)
        raise _failure(
            f"What arrived from {published_url(published.file)} holds no plain tensors.", name, published
        ) from None
    try:
        published.check(tensors)
    except EncoderError as error:
        raise _failure(f"{error} They came from {published_url(published.file)}.", name, published) from None
    return tensors


def _write_durably(path: Path, content: bytes) -> Path:
    """Writes a file and waits until it is on the disk; returns its path."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return path
