"""Pictures, profiles and EXIF for tests, each made without the code under test."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

# Colors of a wide-gamut space's primaries, adapted to D50, as columns of its matrix to XYZ
SRGB = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
WHITE_D50 = (0.9642, 1.0, 0.8249)
GAMMA = 563 / 256
"""AdobeRGB's."""


@dataclass(frozen=True)
class Space:
    """A color space: its profile, and what its numbers mean in sRGB by plain matrix arithmetic.

    Attributes:
        matrix: To XYZ (D50); None for a gray space.
        gamma: Exponent of its curve; 0 for sRGB's curve.
    """

    matrix: np.ndarray | None
    gamma: float

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Values in [0, 1] of shape (..., 3), or (..., 1) in a gray space, to sRGB in [0, 1]."""
        linear = values**self.gamma if self.gamma else srgb_to_linear(values)
        if self.matrix is not None:
            linear = linear @ (np.linalg.inv(SRGB) @ self.matrix).T
        return linear_to_srgb(linear.clip(0, 1))

    def profile(self) -> bytes:
        """The space as an ICC profile of version 2."""
        if self.gamma:
            curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(self.gamma * 256))
        else:
            table = np.rint(srgb_to_linear(np.linspace(0, 1, 4096)) * 65535).astype(">u2")
            curve = b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()
        tags = {b"desc": _description(b"test"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE_D50)}
        if self.matrix is None:
            tags[b"kTRC"] = curve
        else:
            for index, name in enumerate((b"r", b"g", b"b")):
                tags |= {name + b"XYZ": _xyz(self.matrix[:, index]), name + b"TRC": curve}
        return _profile(b"GRAY" if self.matrix is None else b"RGB ", tags)


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _description(text: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" * (1 + 4 + 4 + 2 + 1 + 67)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"test", 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += struct.pack(">3i", *(round(value * 65536) for value in WHITE_D50))
    return head.ljust(128, b"\0") + table + body


def card(*, channels: int, dtype: type = np.uint8, height: int = 24, width: int = 40) -> np.ndarray:
    """A test card of shape (height, width, channels): flat fields of 8 pixels, no two corners alike.

    Fields have the size of JPEG's blocks, so that compression hardly moves them. The fourth (with two channels: the
    second) channel, alpha, takes all values from transparent to opaque.
    """
    rng = np.random.default_rng(5)
    fields = rng.uniform(0.05, 0.95, size=((height + 7) // 8, (width + 7) // 8, channels))
    if channels in (2, 4):
        fields[..., -1] = np.linspace(0, 1, fields[..., -1].size).reshape(fields.shape[:2])
    values = fields.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores an upright picture under an EXIF orientation: the inverse of what viewers do."""
    stored = upright.swapaxes(0, 1) if orientation >= 5 else upright
    flip_rows, flip_columns = {
        1: (False, False), 2: (False, True), 3: (True, True), 4: (True, False),
        5: (False, False), 6: (True, False), 7: (True, True), 8: (False, True),
    }[orientation]  # fmt: skip
    stored = stored[::-1] if flip_rows else stored
    return np.ascontiguousarray(stored[:, ::-1] if flip_columns else stored)


def exif_block(*, orientation: int = 1, gps: bool = True) -> Image.Exif:
    """EXIF of a camera: make, date, exposure, maker notes, and a place."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x013B] = "Camera Works", orientation, "A. Painter"
    exif[0x8769] = {0x9003: "2021:06:05 04:03:02", 0x829A: IFDRational(1, 250), 0x927C: b"secret notes", 0xA002: 9999}
    if gps:
        exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)}
    return exif


def write_odd(path: Path, stored: np.ndarray, kind: str, *, orientation: int = 1, profile: bytes | None = None) -> None:
    """Writes samples of shape (H, W, C), as they are, to a file of one of the kinds that tests go through.

    Args:
        path: Where.
        stored: uint8 or uint16.
        kind: ``jpeg``, ``png``, ``webp``, ``tiff``, ``avif``, ``jp2``, ``gif`` or ``bmp``; lossless where it can be.
        orientation: EXIF's.
        profile: ICC profile.
    """
    if kind == "tiff":
        _write_tiff(path, stored, orientation, profile)
    elif kind == "avif" or stored.dtype == np.uint16:
        _write_vips(path, stored, kind, orientation, profile)
    else:
        image = Image.fromarray(stored[..., 0] if stored.shape[2] == 1 else stored)
        options: dict[str, Any] = {"exif": exif_block(orientation=orientation)} if kind != "jp2" else {}
        options |= {"jpeg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True, "exact": True}}.get(kind, {})
        if profile and kind != "jp2":
            options["icc_profile"] = profile
        image.save(path, {"jp2": "JPEG2000"}.get(kind, kind.upper()), **options)
        if kind == "jp2":
            _finish_jp2(path, orientation, profile)


def _write_tiff(path: Path, stored: np.ndarray, orientation: int, profile: bytes | None) -> None:
    colors = 1 if stored.shape[2] < 3 else 3
    tags = [(274, 3, 1, orientation, True), (271, 2, 0, "Camera Works", True)]
    tags += [(34675, 7, len(profile), profile, True)] if profile else []
    tifffile.imwrite(
        path,
        stored if stored.shape[2] > 1 else stored[..., 0],
        photometric="rgb" if colors == 3 else "minisblack",
        planarconfig="contig" if stored.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if stored.shape[2] > colors else None,
        extratags=tags,
        metadata=None,
    )


def _write_vips(path: Path, stored: np.ndarray, kind: str, orientation: int, profile: bytes | None) -> None:
    wide = stored.dtype == np.uint16
    name = ("rgb16" if wide else "srgb") if stored.shape[2] >= 3 else ("grey16" if wide else "b-w")
    image = pyvips.Image.new_from_array(stored).copy(interpretation=name)
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if kind == "avif":
        # HEIF turns by its own property, which libvips does not write: Pillow does, and decodes AVIF the same
        assert orientation == 1
        path.write_bytes(image.heifsave_buffer(compression="av1", lossless=True, effort=0))
    else:
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif_block(orientation=orientation).tobytes())
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
        path.write_bytes(image.pngsave_buffer())


def _finish_jp2(path: Path, orientation: int, profile: bytes | None) -> None:
    data = path.read_bytes()
    if profile:  # the header's box "colr" names sRGB or gray in 15 bytes
        at = data.index(b"colr") - 4
        header = data.index(b"jp2h") - 4
        box = struct.pack(">I4s", 11 + len(profile), b"colr") + b"\2\0\0" + profile
        length = struct.unpack_from(">I", data, header)[0] + len(box) - 15
        data = data[:header] + struct.pack(">I", length) + data[header + 4 : at] + box + data[at + 15 :]
    content = b"JpgTiffExif->JP2" + exif_block(orientation=orientation).tobytes().removeprefix(b"Exif\0\0")
    path.write_bytes(data + struct.pack(">I4s", 8 + len(content), b"uuid") + content)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of some dozen bytes whose header promises a picture of any size."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(b"\0" * 100)),
            (b"IEND", b""),
        )
    )


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A Pillow image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
