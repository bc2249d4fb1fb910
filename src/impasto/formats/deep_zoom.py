"""Deep Zoom: a picture as tiles of several sizes, for viewers on the web.

``out.dzi`` describes the picture; the tiles lie beside it in the folder ``out_files``, a folder for each size. The
recipe is written into the description, as XMP behind its known elements, where viewers pass over it.

Reference: the Deep Zoom file format (Microsoft, 2008), which OpenSeadragon and others show.
"""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from impasto.errors import OutputError
from impasto.formats.embedded_recipe import to_xmp
from impasto.formats.files import flush_to_disk, reason, temporary_beside, utf8_path
from impasto.formats.frame import Frame, call_saver, to_vips
from impasto.formats.icc import srgb_profile

_JPEG, _PNG = ".jpg[Q=90]", ".png"
"""What tiles are; those with transparency are PNG."""

_PROPERTIES = "vips-properties.xml"
"""Libvips's own note, which no viewer reads."""

_FLUSHES = 32
"""Files that are brought to the disk at the same time."""

_LEVEL, _TILE = re.compile(r"\d+"), re.compile(r"\d+_\d+\.(?:jpe?g|png|webp)", re.IGNORECASE)


def tiles_of(path: Path) -> Path:
    """The folder of a picture's tiles."""
    return path.with_name(f"{path.stem}_files")


def check_tiles(path: Path) -> None:
    """Raises `OutputError` if the folder of a picture's tiles is there and holds anything but tiles."""
    tiles = tiles_of(path)
    try:
        is_free = not os.path.lexists(tiles) or _holds_only_tiles(tiles)
    except OSError as error:
        raise OutputError(f"Cannot look into '{tiles}': {reason(error)}. Choose another name.") from None
    if not is_free:
        raise OutputError(
            f"'{tiles}' is where the tiles of '{path.name}' go, and it is not a folder of tiles alone. Move it "
            "elsewhere, or choose another name."
        )


def save(frame: Frame, path: Path) -> None:
    """Writes a picture's tiles and their description; an earlier picture is replaced once all of it is written.

    Args:
        frame: Its EXIF finds no place.
        path: With the suffix ``.dzi``; missing folders are made.

    Raises:
        OutputError: If it cannot be written, or the tiles' folder holds something else; an earlier picture is then
            untouched.
    """
    try:
        target = path.resolve()
        check_tiles(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        work = temporary_beside(target)
        try:
            work.mkdir()
            _write(frame, work)
            _put_in_place(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"Cannot write '{path}': {reason(error)}. What was there before is untouched.") from None


def _write(frame: Frame, work: Path) -> None:
    """Writes ``picture.dzi`` and ``picture_files`` into a folder."""
    has_alpha = frame.samples.shape[2] in (2, 4)
    is_srgb = frame.profile in (None, srgb_profile())  # what browsers take a picture without a profile for
    with utf8_path(work) as folder:
        call_saver(
            to_vips(frame), "dzsave", str(folder / "picture"), suffix=_PNG if has_alpha else _JPEG,
            keep="none" if is_srgb else "icc",
        )  # fmt: skip
    (work / "picture_files" / _PROPERTIES).unlink(missing_ok=True)
    description = work / "picture.dzi"
    text = description.read_text(encoding="utf-8")
    if frame.recipe:
        end = text.rindex("</Image>")
        text = f"{text[:end]}{to_xmp(frame.recipe).decode()}\n{text[end:]}"
    description.write_text(text, encoding="utf-8")
    files = (path for path in work.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_FLUSHES) as pool:  # the disk takes many at once about as fast as one
        list(pool.map(flush_to_disk, files))


def _put_in_place(work: Path, target: Path) -> None:
    """Moves a new picture to its place; if that fails half-way, the earlier one goes back."""
    tiles, earlier = tiles_of(target), work / "earlier"
    has_earlier = tiles.exists()
    if has_earlier:
        tiles.rename(earlier)
    try:
        (work / "picture_files").rename(tiles)
        (work / "picture.dzi").replace(target)
    except OSError:
        if tiles.exists():
            tiles.rename(work / "picture_files")
        if has_earlier:
            earlier.rename(tiles)
        raise


def _holds_only_tiles(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    for level in folder.iterdir():
        if level.name == _PROPERTIES:
            continue
        if not _LEVEL.fullmatch(level.name) or level.is_symlink() or not level.is_dir():
            return False
        if not all(_TILE.fullmatch(tile.name) and not tile.is_symlink() for tile in level.iterdir()):
            return False
    return True
