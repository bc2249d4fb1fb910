"""Where weights are published, where they are looked for on this machine, and the words that say so.

Three variables move the places: ``IMPASTO_WEIGHTS_DIR`` names a folder that is looked into before the user's cache,
``IMPASTO_CACHE_DIR`` the cache itself, and ``IMPASTO_WEIGHTS_URL`` a mirror to download from (``file:///…`` too).
"""

import os
import sys
from pathlib import Path

from impasto.errors import WeightsError

PUBLISHED_URL = "https://download.pytorch.org/models"


def file_names(name: str) -> tuple[str, str]:
    """The names under which an encoder's weights are looked for; a download has the first."""
    return f"{name}_features.safetensors", f"{name}.safetensors"


def find_in_folder(folder: Path, name: str) -> Path | None:
    """The file with an encoder's weights in a folder, which need not exist."""
    return next((folder / file for file in file_names(name) if (folder / file).is_file()), None)


def sidecar(path: Path) -> Path:
    """The file beside a file that holds its SHA-256, as ``sha256sum`` writes it."""
    return path.with_name(f"{path.name}.sha256")


def weights_folder() -> Path | None:
    """The folder that ``IMPASTO_WEIGHTS_DIR`` names, None if it is unset."""
    folder = os.environ.get("IMPASTO_WEIGHTS_DIR")
    return Path(folder) if folder else None


def cache_folder() -> Path:
    """The user's cache: ``IMPASTO_CACHE_DIR``, else the platform's place for caches.

    Raises:
        WeightsError: If the user has no home folder.
    """
    if explicit := os.environ.get("IMPASTO_CACHE_DIR"):
        return Path(explicit)
    variable, below_home = {
        "win32": ("LOCALAPPDATA", "AppData/Local"),
        "darwin": ("XDG_CACHE_HOME", "Library/Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    base = Path(os.environ.get(variable, ""))
    if not base.is_absolute():  # as the XDG specification asks
        try:
            base = Path.home() / below_home
        except RuntimeError:
            raise WeightsError(
                "No home folder to keep weights in: set IMPASTO_CACHE_DIR to a folder, or use --model compact."
            ) from None
    return base / "impasto"


def published_url(file: str) -> str:
    """Where a file of weights is published, or mirrored."""
    return (os.environ.get("IMPASTO_WEIGHTS_URL") or PUBLISHED_URL).rstrip("/") + f"/{file}"


def looked(name: str) -> str:
    """A sentence for an error: where weights were looked for."""
    folder, cache = weights_folder(), cache_folder()
    places = [(folder, "IMPASTO_WEIGHTS_DIR")] if folder else []
    places.append((cache, "the cache"))
    words = [f"'{path}' ({what}{'' if path.is_dir() else ', which is no folder'})" for path, what in places]
    return f"Looked for {' and '.join(file_names(name))} in {' and '.join(words)}."


def way_out(name: str, file: str) -> str:
    """A sentence for an error: what a user can do who cannot download an encoder's published file."""
    return (
        f"Put {file_names(name)[0]} into '{cache_folder()}', or let IMPASTO_WEIGHTS_URL name a mirror or a folder "
        f"(file:///…) with {file}, or use --model compact, which needs no download."
    )
