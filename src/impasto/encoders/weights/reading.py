"""Read a file of weights, and check it every time: its SHA-256 and what the encoder says of its tensors."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from impasto.encoders.weights.paths import sidecar
from impasto.errors import EncoderError, WeightsError

_REMEDY = (
    "Put a whole one in its place ('impasto models download' renews the one in the cache), "
    "or use --model compact, which needs no download."
)


def load_weights(path: Path, load: Callable[[Mapping[str, Tensor]], None]) -> str:
    """Gives an encoder the tensors of a file.

    Args:
        path: A safetensors file.
        load: Takes the tensors by name; raises `EncoderError` if they are not the encoder's.

    Returns:
        The file's SHA-256, in hexadecimal.

    Raises:
        WeightsError: If the file is no safetensors file, differs from the SHA-256 beside it, or `load` refuses it.
    """
    digest, recorded = sha256_of(path), _recorded_sha256(path)
    if recorded not in (None, digest):
        raise WeightsError(
            f"The weights '{path}' are damaged: their SHA-256 starts with {digest[:12]}, "
            f"'{sidecar(path).name}' says {recorded[:12]}. {_REMEDY}"
        )
    try:
        load(safetensors.torch.load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights '{path}' are no whole safetensors file: {error}. {_REMEDY}") from None
    except EncoderError as error:
        raise WeightsError(f"{error} The file is '{path}'. {_REMEDY}") from None
    return digest


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file of weights, in hexadecimal.

    Raises:
        WeightsError: If it cannot be read.
    """
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
