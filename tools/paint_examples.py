"""Rebuilds the bundled pictures: crops the photographs, paints the style pictures.

Run with the development dependencies installed::

    python tools/paint_examples.py [--only NAME] [--out DIR]
"""

import argparse
import importlib
import logging
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "src" / "impasto" / "examples"

PHOTOGRAPHS = {
    "astronaut": (0, 0, 512, 512),
    "chelsea": (0, 0, 451, 300),
    "coffee": (0, 0, 600, 400),
    "rocket": (0, 0, 640, 427),
}
"""Pictures among scikit-image's sample data, with the part that is kept: left, top, right, bottom."""

PAINTERS = ("glass", "knife", "mosaic", "oil", "pointillism", "watercolor", "waves", "woodcut")
"""Modules of the package `painting`; each is the name of its picture."""

log = logging.getLogger("paint_examples")


def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image's sample data, cropped."""
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB").crop(PHOTOGRAPHS[name])


def painting(name: str) -> Image.Image:
    """A style picture; its name is its seed, so that it comes out the same every time."""
    painter = importlib.import_module(f"painting.{name}")
    return Image.fromarray(painter.paint(np.random.default_rng(zlib.crc32(name.encode()))))


def save(picture: Image.Image, path: Path, quality: int, subsampling: str) -> None:
    """Writes a JPEG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    picture.save(unfinished, "JPEG", quality=quality, subsampling=subsampling, optimize=True)
    unfinished.replace(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Rebuilds all pictures, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", choices=[*PHOTOGRAPHS, *PAINTERS], help="rebuild this one alone")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=EXAMPLES, help="folder that receives content/ and style/"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in [options.only] if options.only else [*PHOTOGRAPHS, *PAINTERS]:
        start = time.perf_counter()
        if name in PHOTOGRAPHS:
            path = options.out / "content" / f"{name}.jpg"
            save(photograph(name), path, quality=92, subsampling="4:4:4")
        else:
            path = options.out / "style" / f"{name}.jpg"
            save(painting(name), path, quality=90, subsampling="4:2:0")
        log.info("%-12s %4.0f kB  %4.1f s", name, path.stat().st_size / 1000, time.perf_counter() - start)


if __name__ == "__main__":
    main()
