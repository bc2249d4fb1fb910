"""ICC profiles, against Little CMS and against damage."""

import random

import numpy as np
import pyvips

from impasto.formats import icc, icc_matrix
from tests.pictures import ADOBE_RGB, GAMMA, SRGB, Space, card


def test_profiles_are_known_as_srgb_by_what_they_do() -> None:
    assert icc.is_srgb(icc.srgb_profile())
    assert icc.is_srgb(Space(SRGB, 0).profile())
    assert not icc.is_srgb(Space(SRGB, GAMMA).profile())
    assert not icc.is_srgb(Space(ADOBE_RGB, GAMMA).profile())
    assert icc.is_srgb(Space(None, 0).profile())
    assert not icc.is_srgb(Space(None, GAMMA).profile())


def test_profiles_with_tables_go_by_little_cms_both_ways() -> None:
    cmyk = bytes(pyvips.Image.profile_load("cmyk"))
    assert icc_matrix.parse(cmyk) is None
    ink = np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], np.uint8)
    srgb = icc.to_srgb(ink, cmyk)
    assert srgb[0, 0].min() > 0.95 * 65535
    assert srgb[0, 1].max() < 0.25 * 65535
    assert np.abs(icc.from_srgb(srgb, cmyk, 8)[0, 0].astype(int)).max() <= 10


def test_damaged_profiles_never_fail_otherwise() -> None:
    rng = random.Random(0)
    block = Space(ADOBE_RGB, GAMMA).profile()
    samples = card(channels=3)
    for _ in range(300):
        damaged = bytearray(block)
        for _ in range(rng.randint(1, 12)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            converted = icc.to_srgb(samples, bytes(damaged))
        except icc.ProfileError:
            continue
        assert converted.shape == (24, 40, 3)
