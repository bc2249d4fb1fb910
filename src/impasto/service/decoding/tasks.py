"""What a decoding child does: looks a picture over and makes its thumbnails, or writes a picture in another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyvips

from impasto.errors import ImageError, ImpastoError, OutputError
from impasto.formats import exif, icc
from impasto.formats.decode import decode
from impasto.formats.decoded import Decoded
from impasto.formats.embedded_recipe import read_recipe_json
from impasto.formats.encode import CODECS
from impasto.formats.files import Format, sniff
from impasto.formats.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEDIA_TYPES = {
    Format.JPEG: "image/jpeg",
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.GIF: "image/gif",
    Format.TIFF: "image/tiff",
    Format.JP2: "image/jp2",
    Format.BMP: "image/bmp",
    Format.PNM: "image/x-portable-anymap",
}
"""By format; what is AVIF and what HEIC, the file's brand tells."""

WEBP_QUALITY = 82


def inspect(source: str, name: str, max_pixels: int, thumbnails: dict[str, str]) -> dict[str, Any]:
    """Decodes a whole picture, so that a damaged one is refused now and not in a job, and makes thumbnails.

    Args:
        source: The file.
        name: What its owner calls it, for messages.
        max_pixels: Pictures of more pixels are refused before they are decoded.
        thumbnails: Files to write, by longest edge in pixels; smaller pictures are not enlarged.

    Returns:
        ``format``, ``media_type``, ``width``, ``height`` (upright), ``notes`` and ``recipe`` (the JSON of a picture
        that Impasto painted, else None).

    Raises:
        ImageError: If it is no readable picture, or too large.
    """
    data = Path(source).read_bytes()
    if not data:
        raise ImageError(f"'{name}' is empty (0 bytes), a picture file is needed.")
    kind = sniff(data, name)
    decoded = decode(data, kind, name, max_pixels)
    height, width = decoded.samples.shape[:2]
    _write_thumbnails(decoded, {int(edge): file for edge, file in thumbnails.items()})
    return {
        "format": _format_name(kind, data),
        "media_type": MEDIA_TYPES.get(kind) or ("image/avif" if _is_avif(data) else "image/heic"),
        "width": width,
        "height": height,
        "notes": list(decoded.notes),
        "recipe": _recipe_in(source),
    }


def convert(source: str, target: str, name: str, max_pixels: int) -> dict[str, Any]:
    """Writes a picture of Impasto's in another format, with its recipe, profile and EXIF.

    Args:
        source: The file.
        target: The new file; its suffix names the format.
        name: What its owner calls it, for messages.
        max_pixels: As in `inspect`.

    Returns:
        ``num_bytes`` of the new file.

    Raises:
        OutputError: If the format cannot hold the picture.
    """
    data = Path(source).read_bytes()
    decoded = decode(data, sniff(data, name), name, max_pixels)
    codec = CODECS[Path(target).suffix]
    if codec.write is None:
        raise OutputError(f"{codec.name} is no single file. Ask for png or tiff.")
    if max(decoded.samples.shape[:2]) > codec.max_edge:
        raise OutputError(
            f"{codec.name} holds at most {codec.max_edge} pixels an edge, the picture has "
            f"{max(decoded.samples.shape[:2])}. Ask for png or tiff."
        )
    samples = decoded.samples if codec.has_16_bit else _to_8_bit(decoded.samples)
    if samples.shape[2] == 1 and not codec.has_gray:
        samples = samples.repeat(3, axis=2)
    if decoded.alpha is not None:
        samples = _with_alpha(samples, decoded.alpha, codec.has_alpha)
    block = decoded.exif and exif.for_output(decoded.exif, keep_gps=False, is_srgb=decoded.profile is None)
    with Path(target).open("w+b") as file:
        codec.write(Frame(samples, decoded.profile, block, _recipe_in(source)), file)
    return {"num_bytes": Path(target).stat().st_size}


def _with_alpha(samples: NDArray[Any], alpha: NDArray[Any], has_alpha: bool) -> NDArray[Any]:
    """Samples with their alpha; put on white where the format has none."""
    import numpy as np

    if has_alpha:
        return np.concatenate([samples, alpha if alpha.dtype == samples.dtype else _to_8_bit(alpha)], axis=2)
    full = np.iinfo(samples.dtype).max
    share = alpha.astype(np.float32) / np.iinfo(alpha.dtype).max
    return np.rint(samples * share + full * (1 - share)).astype(samples.dtype)


def _recipe_in(source: str) -> str | None:
    try:
        return read_recipe_json(source)
    except ImpastoError:
        return None


def _format_name(kind: Format, data: bytes) -> str:
    if kind is not Format.HEIF:
        return str(kind.value)
    return "AVIF" if _is_avif(data) else "HEIC"


def _is_avif(data: bytes) -> bool:
    return data[8:12] in (b"avif", b"avis")


def _write_thumbnails(decoded: Decoded, files: dict[int, str]) -> None:
    """Writes WebP files, each shrunk from the next larger one."""
    if not files:
        return
    import numpy as np

    edges = sorted(files, reverse=True)
    small = [_shrunk(decoded.samples, edges[0])]
    if decoded.alpha is not None:
        small.append(_to_8_bit(_shrunk(decoded.alpha, edges[0])))
    small[0] = _to_8_bit(_to_srgb(small[0], decoded.profile))
    image = pyvips.Image.new_from_array(np.ascontiguousarray(np.concatenate(small, axis=2)))
    image = image.copy(interpretation="srgb" if image.bands >= 3 else "b-w")
    for edge in edges:
        factor = edge / max(image.width, image.height)
        image = image.resize(factor).copy_memory() if factor < 1 else image
        image.webpsave(files[edge], Q=WEBP_QUALITY, effort=1, keep="none")


def _shrunk(samples: NDArray[Any], edge: int) -> NDArray[Any]:
    """Shape (H, W, C), shrunk so that the longest edge fits; never enlarged."""
    factor = edge / max(samples.shape[:2])
    if factor >= 1:
        return samples
    # The channels as they are: what the numbers mean is seen to afterwards, on far fewer of them.
    image = pyvips.Image.new_from_array(samples).copy(interpretation="multiband")
    small = image.resize(factor).numpy()
    shrunk: NDArray[Any] = small.reshape(*small.shape[:2], samples.shape[2])
    return shrunk


def _to_srgb(samples: NDArray[Any], profile: bytes | None) -> NDArray[Any]:
    """As `impasto.images` does it, which would load torch."""
    is_cmyk = samples.shape[2] == 4
    if not profile and not is_cmyk:
        return samples
    integers = samples if samples.dtype.kind == "u" else _to_8_bit(samples)
    try:
        if profile and not is_cmyk and icc.channels_of(profile) != samples.shape[2]:
            return samples
        return icc.to_srgb(integers, profile or None)
    except icc.ProfileError:
        return icc.to_srgb(integers, None) if is_cmyk else samples


def _to_8_bit(samples: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if samples.dtype == np.uint8:
        return samples
    full = 65535 if samples.dtype == np.uint16 else 1
    levels: NDArray[np.uint8] = np.rint(samples.astype(np.float32) * np.float32(255 / full)).clip(0, 255).astype("u1")
    return levels


TASKS: Mapping[str, Callable[..., dict[str, Any]]] = {"inspect": inspect, "convert": convert}
"""By name."""
