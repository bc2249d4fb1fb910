"""Gathers pictures to learn from out of Debian's packages: ``python -m training.gather``.

Wallpapers and the pictures of a children's program, free by Debian's guidelines: photographs of animals, buildings,
things and landscapes; paintings, drawings and abstract art. Needs ``apt-get`` and ``dpkg-deb``. Kept under
`impasto`'s ignored ``work/``; only what a network learns from them is published.
"""

import io
import logging
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

logger = logging.getLogger(__name__)

GATHERED = Path("work/pictures")
"""With a folder ``content`` and a folder ``style``, as that of the repository's own pictures."""

PACKAGES = (
    "gcompris-qt-data",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
    "ukui-wallpapers",
)

ART = re.compile(r"babyshapes|details|paintings|plasma|ukui|painting|pattern|abstract", re.IGNORECASE)
"""Of names: what is painted, drawn or abstract. The rest are photographs."""

SCREENS = re.compile(r"screenshot|/doc/|MATE|Stripes|images_dark|1080x1920")
"""Of names: what is no picture of its own."""

LONGEST_EDGE, SMALLEST_EDGE, SMALLEST_FILE = 1024, 240, 15_000


def main() -> None:
    """Downloads, unpacks and shrinks."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", str(archive), folder], check=True)
            count = 0
            for name, data in pictures_in(Path(folder)):
                count += _keep(f"{package}_{name}", data)
        logger.info("%s: %d pictures", package, count)


def pictures_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Pictures as bytes with a name: files, and those that lie uncompressed in Qt's resource files."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".rcc":
            data = path.read_bytes()
            for number, match in enumerate(re.finditer(rb"RIFF(....)WEBP", data, re.DOTALL)):
                size = int.from_bytes(match[1], "little") + 8
                yield f"{path.stem}_{number}", data[match.start() : match.start() + size]
        elif path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and not SCREENS.search(name):
            yield (
                re.sub(r"[^A-Za-z0-9]+", "_", path.relative_to(folder).with_suffix("").as_posix()[-60:]),
                path.read_bytes(),
            )


def _keep(name: str, data: bytes) -> bool:
    """Writes a picture unless it is too small to learn from; transparent places become black."""
    if len(data) < SMALLEST_FILE:
        return False
    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (2 * LONGEST_EDGE, 2 * LONGEST_EDGE))
            layered = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return False
    image = Image.new("RGB", layered.size)
    image.paste(layered, mask=layered.getchannel("A"))
    if min(image.size) < SMALLEST_EDGE:
        return False
    image.thumbnail((LONGEST_EDGE, LONGEST_EDGE), Image.Resampling.LANCZOS)
    folder = GATHERED / ("style" if ART.search(name) else "content")
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / f"{name}.jpg", quality=95)
    return True


if __name__ == "__main__":
    main()
