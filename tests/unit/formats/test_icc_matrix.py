"""Profiles that are a matrix and curves."""

import struct

import numpy as np
import pytest
import pyvips

from impasto.formats import icc, icc_matrix
from tests.pictures import ADOBE_RGB, GAMMA, Space, card, srgb_to_linear


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profiles_with_a_matrix_agree_with_little_cms(dtype: type) -> None:
    samples = card(channels=3, dtype=dtype, height=80, width=80)
    ours = icc.to_srgb(samples, Space(ADOBE_RGB, GAMMA).profile())
    tagged = pyvips.Image.new_from_array((samples // (257 if dtype == np.uint16 else 1)).astype(np.uint8)).copy()
    tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", Space(ADOBE_RGB, GAMMA).profile())
    theirs = tagged.icc_transform("srgb", embedded=True, depth=16, intent="relative").numpy()
    assert np.abs(ours / 257 - theirs / 257.0).max() <= (1.2 if dtype == np.uint8 else 2.5)


@pytest.mark.parametrize(
    ("kind", "parameters", "reference"),
    [
        (0, (2.2,), lambda x: x**2.2),
        (1, (2.0, 1.1, -0.1), lambda x: np.maximum(1.1 * x - 0.1, 0) ** 2),
        (2, (2.0, 0.9, 0.0, 0.1), lambda x: (0.9 * x) ** 2 + 0.1),
        (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), srgb_to_linear),
        (4, (2.0, 0.9, 0.0, 0.5, 0.1, 0.12, 0.05), lambda x: np.where(x >= 0.1, (0.9 * x) ** 2 + 0.12, 0.5 * x + 0.05)),
    ],
)
def test_parametric_curves_follow_their_formulas(kind: int, parameters: tuple[float, ...], reference: object) -> None:
    fixed = [round(value * 65536) for value in parameters]
    tag = b"para\0\0\0\0" + struct.pack(f">HH{len(fixed)}i", kind, 0, *fixed)
    profile = _with_curve(tag)
    known = icc_matrix.parse(profile)
    assert known is not None
    x = np.linspace(0, 1, 65536)
    assert np.abs(known.curves[0] - reference(x)).max() < 1e-4  # type: ignore[operator]


@pytest.mark.parametrize(
    "tag",
    [
        b"none" + bytes(20),
        b"curv\0\0\0\0" + struct.pack(">I3H", 3, 65535, 100, 0),  # falls
        b"curv\0\0\0\0" + struct.pack(">I3H", 3, 9, 9, 9),  # is flat
        b"curv\0\0\0\0" + struct.pack(">IH", 4000, 9),  # ends early
        b"para\0\0\0\0" + struct.pack(">HHi", 9, 0, 65536),  # of no kind
        b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, -65536),  # infinite
    ],
)
def test_curves_that_cannot_be_inverted_are_left_to_little_cms(tag: bytes) -> None:
    assert icc_matrix.parse(_with_curve(tag)) is None


def _with_curve(tag: bytes) -> bytes:
    """A gray profile with a curve given as its bytes."""
    plain = Space(None, GAMMA).profile()
    padded = tag + bytes(-len(tag) % 4)
    entry = plain.index(b"kTRC")
    return plain[: entry + 4] + struct.pack(">II", len(plain), len(tag)) + plain[entry + 12 :] + padded
