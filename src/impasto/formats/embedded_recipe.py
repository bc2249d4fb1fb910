"""The recipe inside a picture: a PNG text chunk, XMP in all other formats."""

import html
import re
from pathlib import Path

from impasto.errors import ImageError, OutputError
from impasto.formats import jp2
from impasto.formats.file_bytes import FileBytes
from impasto.formats.files import HEAD_BYTES, Format, open_file, reason, sniff
from impasto.formats.vips_decode import vips_header
from impasto.recipe import MAX_RECIPE_BYTES

PNG_KEYWORD = "impasto"
DEEP_ZOOM = ".dzi"
"""Suffix of the descriptions of Deep Zoom pictures, which are XML with the packet in it."""

_MAX_DESCRIPTION_BYTES = 2**20
_MAX_COMMENTS = 1000
"""Text chunks that libpng keeps."""

_NAMESPACE = "urn:impasto:recipe:1/"
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:impasto="{_NAMESPACE}"><impasto:recipe>%s</impasto:recipe>'
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_ELEMENT = re.compile(r"<impasto:recipe>(.+?)</impasto:recipe>|\simpasto:recipe=\"(.+?)\"", re.DOTALL)
"""As element, as written here, or as attribute, into which editors of XMP turn it."""


def check_recipe(recipe_json: str) -> None:
    """Raises `OutputError` for a recipe that no picture can hold."""
    if not recipe_json.isascii() or len(recipe_json) >= MAX_RECIPE_BYTES:
        raise OutputError(
            f"The recipe to embed has {len(recipe_json.encode())} bytes; it must be ASCII JSON below "
            f"{MAX_RECIPE_BYTES} bytes. Shorten it."
        )


def to_xmp(recipe_json: str) -> bytes:
    """An XMP packet that holds a recipe and nothing else."""
    return (_PACKET % html.escape(recipe_json, quote=False)).encode()


def from_xmp(packet: bytes) -> str | None:
    """The recipe in an XMP packet, None if there is none."""
    found = _ELEMENT.search(packet.decode("utf-8", "replace"))
    return html.unescape(found[1] or found[2]) if found else None


def read_recipe_json(path: str | Path) -> str:
    """The recipe that is embedded in a picture which Impasto wrote.

    Args:
        path: The picture's file, in any format that `save_picture` writes.

    Returns:
        The JSON, as it was given to `save_picture`.

    Raises:
        ImageError: If the file is no picture, or holds no recipe.
    """
    path = Path(path)
    recipe = _from_description(path) if path.suffix.lower() == DEEP_ZOOM else _from_picture(path)
    if recipe is None:
        raise ImageError(
            f"'{path}' holds no recipe: it is not a picture that Impasto wrote, or a program has since dropped its "
            "metadata. Give the recipe as a file instead."
        )
    return recipe


def _from_description(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return from_xmp(file.read(_MAX_DESCRIPTION_BYTES))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ImageError(f"Cannot read the picture '{path}': {reason(error)}.") from None


def _from_picture(path: Path) -> str | None:
    with open_file(path) as data:
        kind = sniff(data[:HEAD_BYTES], path)
        return _from_jp2(data[:]) if kind is Format.JP2 else _from_header(data, kind, path)


def _from_jp2(data: bytes) -> str | None:
    return from_xmp(jp2.uuid_box(data, jp2.XMP) or b"")


def _from_header(data: bytes | FileBytes, kind: Format, path: str | Path) -> str | None:
    if not kind.by_vips:
        return None
    header = vips_header(data, kind, path)
    for number in range(_MAX_COMMENTS):  # pyvips lists no names that are not UTF-8, as other programs' may be
        field = f"png-comment-{number}-{PNG_KEYWORD}"
        if header.get_typeof(field):
            return str(header.get(field))
    return from_xmp(bytes(header.get("xmp-data"))) if header.get_typeof("xmp-data") else None
