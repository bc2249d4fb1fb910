"""The boxes of JPEG 2000."""

import struct

from PIL import Image

from impasto.formats import jp2
from tests.pictures import card, encoded


def test_boxes_of_jpeg_2000_are_read_and_written() -> None:
    file = encoded(Image.fromarray(card(channels=3)), "JPEG2000")
    assert jp2.uuid_box(file, jp2.XMP) is None
    assert jp2.profile(file) is None
    marked = jp2.with_uuid_box(jp2.with_profile(file, b"profile" * 99), jp2.XMP, b"packet")
    assert jp2.uuid_box(marked, jp2.XMP) == b"packet"
    assert jp2.uuid_box(marked, jp2.EXIF) is None
    assert jp2.profile(marked) == b"profile" * 99


def test_boxes_of_any_length_end_the_search_quietly() -> None:
    file = encoded(Image.fromarray(card(channels=3)), "JPEG2000")
    for length in (0, 1, 2, 7, 2**32 - 1):
        assert jp2.uuid_box(struct.pack(">I", length) + file[4:], jp2.XMP) is None
    large = struct.pack(">I4sQ", 1, b"uuid", 16 + 16 + 3) + jp2.XMP + b"abc"
    assert jp2.uuid_box(large, jp2.XMP) == b"abc"
    assert jp2.uuid_box(b"\xff\x4f\xff\x51" + bytes(50), jp2.XMP) is None
