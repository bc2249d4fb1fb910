"""Rosettes and a running wave in tesserae of glass, stone and gold, as on a late Roman vault."""

import numpy as np
from scipy import ndimage, spatial

from painting.canvas import (
    HEIGHT, OVERSAMPLING, SHAPE, WIDTH, Array, finished, grid, jitter, mixed, noise, palette, ramp, relief, smoothstep,
)

_TESSERAE = 5200
_ROUNDS = 24
_NEIGHBORS = 6

_LAPIS = palette("0d1a4f 15307a 1d4c9a 2a3f96 1a6c9c")
_GOLD = palette("7d4f10 c98e1d f0c24a ffe9a0")


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    design, angle, gilded = _composition(rng)
    centers = _relaxed(rng.uniform(0, 1, (_TESSERAE, 2)) * [HEIGHT, WIDTH], angle[::OVERSAMPLING, ::OVERSAMPLING])
    points = _pixels(OVERSAMPLING)
    # Joints are never quite straight: the stones are broken by hand.
    points += np.stack([noise(rng, 0.02), noise(rng, 0.02)], -1).reshape(-1, 2) * 0.35
    owner, gap = _nearest(points, centers, angle[::OVERSAMPLING, ::OVERSAMPLING])
    owner, gap = owner.reshape(SHAPE), gap.reshape(SHAPE).astype(np.float32)
    return finished(_laid(rng, design, gilded, centers, owner, gap))


def _laid(
    rng: np.random.Generator, design: Array, gilded: Array, centers: np.ndarray, owner: np.ndarray, gap: Array
) -> Array:
    """Sets a stone of its own color and tilt into each cell, and mortar between them."""
    at = tuple(np.clip((centers * OVERSAMPLING).astype(int), 0, np.array(SHAPE) - 1).T)
    colors = jitter(design[at], rng, 0.055, 0.022)
    gold = gilded[at] > 0.5
    colors[gold] = ramp(np.clip(rng.normal(0.62, 0.22, gold.sum()), 0, 1), _GOLD)
    vein = 1 + 0.07 * noise(rng, 0.006, 2) + 0.05 * noise(rng, (0.004, 0.03))
    stones = colors[owner] * vein[..., None]

    width = 0.75 + 0.25 * noise(rng, 0.1)
    stone = smoothstep(0, 1, (gap - width) / 0.7)
    mortar = ramp(0.5 + 0.25 * noise(rng, 0.004, 2), palette("2b2622 6f6250 a3947a"))
    color = mixed(mortar, stones, stone)

    tilt = rng.normal(0, 0.10, (2, len(centers))) * np.where(gold, 1.6, 1.0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / OVERSAMPLING
    plane = tilt[0][owner] * (y - centers[owner, 0]) + tilt[1][owner] * (x - centers[owner, 1])
    bevel = 1.7 * np.clip((gap - width) / 2.2, 0, 1) ** 0.6
    height = ndimage.gaussian_filter((plane + bevel) * stone * 2, 0.9) + 0.12 * noise(rng, 0.008, 2)
    shine = np.where(gold, 0.5, 0.16)[owner]
    dull = relief(color, height, depth=0.8)
    return dull + (relief(np.zeros_like(color), height, depth=0.8, gloss=1.0) * shine[..., None]) * stone[..., None]


def _pixels(scale: int) -> np.ndarray:
    y, x = np.mgrid[: HEIGHT * scale, : WIDTH * scale]
    return (np.stack([y.ravel(), x.ravel()], -1) + 0.5) / scale


def _relaxed(centers: np.ndarray, angle: Array) -> np.ndarray:
    """Moves the centers to the middles of their cells until the cells are rows of near-squares along the field."""
    points = _pixels(1)
    for _ in range(_ROUNDS):
        owner, _ = _nearest(points, centers, angle)
        count = np.bincount(owner, minlength=len(centers))
        sums = [np.bincount(owner, points[:, axis], len(centers)) for axis in (0, 1)]
        middles = np.stack(sums, -1) / np.maximum(count, 1)[:, None]
        centers = np.where(count[:, None] > 0, middles, centers)
    return centers


def _nearest(points: np.ndarray, centers: np.ndarray, angle: Array) -> tuple[np.ndarray, np.ndarray]:
    """The stone that each point belongs to, and its distance from the joint in pixels.

    Distance is measured as the larger of two coordinates along and across the field, which makes cells square.
    """
    at = np.clip(centers.astype(int), 0, [HEIGHT - 1, WIDTH - 1])
    turn = angle[at[:, 0], at[:, 1]]
    _, index = spatial.cKDTree(centers).query(points, k=_NEIGHBORS)
    offset = points[:, None] - centers[index]
    cos, sin = np.cos(turn)[index], np.sin(turn)[index]
    along = np.abs(offset[..., 1] * cos + offset[..., 0] * sin)
    across = np.abs(offset[..., 0] * cos - offset[..., 1] * sin)
    distance = np.maximum(along, across) + 0.08 * (along + across)
    order = np.argsort(distance, 1)[:, :2]
    first, second = np.take_along_axis(distance, order, 1).T
    return np.take_along_axis(index, order[:, :1], 1)[:, 0], (second - first) / 2


def _composition(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Colors, direction of the rows in radians, and where gold leaf lies."""
    x, y = grid()
    night = 0.55 + 0.25 * noise(rng, 0.3, 2) + 0.12 * noise(rng, 0.03)
    color = ramp(night, _LAPIS)
    gilded = np.zeros(SHAPE, np.float32)
    outline = np.full(SHAPE, 9, np.float32)
    rosettes = [
        (0.44, 0.43, 0.285, 12), (1.03, 0.27, 0.17, 8), (0.93, 0.64, 0.115, 6), (1.25, 0.57, 0.10, 6),
        (0.09, 0.10, 0.09, 6), (0.75, 0.08, 0.07, 5), (0.06, 0.72, 0.07, 5), (1.29, 0.06, 0.06, 5),
    ]
    for center_x, center_y, radius, petals in rosettes:
        away = np.hypot(x - center_x, y - center_y)
        around = np.arctan2(y - center_y, x - center_x)
        flower, leaf, inside = _rosette(away / radius, around, petals)
        color, gilded = mixed(color, flower, inside), np.where(inside > 0.5, leaf, gilded)
        outline = np.minimum(outline, np.abs(away - radius * np.round(away / radius * 3) / 3) + 10 * (away > radius * 1.02) * 0 + np.maximum(away - radius, 0))
    for star_y, star_x in rng.uniform(0, 1, (46, 2)) * [0.82, 4 / 3]:
        away = np.hypot(x - star_x, y - star_y)
        gilded = np.where((away < 0.014) & (outline > 0.02), 1, gilded)
    band = 0.86
    color, gilded = _wave_band(x, y - band, color, gilded)
    outline = np.where(y > band - 0.02, np.abs(y - band), np.minimum(outline, np.abs(y - band)))
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(outline, 5))
    return color, np.arctan2(slope_x, -slope_y).astype(np.float32), gilded


def _rosette(ring: Array, around: Array, petals: int) -> tuple[Array, Array, Array]:
    """A flower of pointed petals in a ring of gold: colors, gold, and its disk; `ring` is 1 at the rim."""
    wave = np.abs(((around * petals / (2 * np.pi) + 0.25) % 1) * 2 - 1)
    other = np.abs(((around * petals / (2 * np.pi) + 0.75) % 1) * 2 - 1)
    color = np.broadcast_to(palette("0f5f66")[0], (*SHAPE, 3))
    outer = np.where(ring < 0.46 + 0.36 * other**0.8, 1, 0).astype(np.float32)
    color = mixed(color, ramp((ring - 0.4) / 0.45, palette("0c3f3a 2f9d86 a8dcb8 eef0cf")), outer)
    inner = (ring < 0.36 + 0.38 * wave**0.8).astype(np.float32)
    color = mixed(color, ramp((ring - 0.2) / 0.55, palette("6e1420 b32a22 e0552b f6a45a ffe6b8")), inner)
    core = (ring < 0.3).astype(np.float32)
    color = mixed(color, ramp(ring / 0.3, palette("fff3cf f2dfb0 2a1a3f 4a1d52")), core)
    rim = (ring > 0.92).astype(np.float32)
    cord = (ring > 0.85) & (ring <= 0.92)
    color = np.where(cord[..., None], palette("f3ead2")[0], color)
    gold = np.maximum(rim, (ring < 0.14) | ((ring > 0.24) & (ring < 0.3)))
    return color.astype(np.float32), gold.astype(np.float32), (ring < 1).astype(np.float32)


def _wave_band(x: Array, depth: Array, color: Array, gilded: Array) -> tuple[Array, Array]:
    """A running wave in terracotta and cream between lines of gold, below `depth` 0."""
    period, middle = 4 / 3 / 7, 0.075
    phase = ((x / period) % 1 - 0.5) * period
    spiral_x, spiral_y = phase, depth - middle
    around = np.arctan2(spiral_y, spiral_x)
    away = np.hypot(spiral_x, spiral_y)
    curl = ((away / 0.034 - around / (2 * np.pi)) % 1) < 0.5
    wave = np.where(away < 0.062, curl, depth > middle + 0.03 * np.sin(2 * np.pi * x / period))
    cream = ramp(depth / 0.14, palette("fff6dc f0d9a8"))
    earth = ramp(depth / 0.14, palette("c2492a 8e2a20 5a1524"))
    band = np.where(wave[..., None], earth, cream)
    color = np.where((depth > 0)[..., None], band, color)
    lines = ((depth > -0.022) & (depth < 0.0)) | (depth > 0.128)
    return color.astype(np.float32), np.where(lines, 1, np.where(depth > 0, 0, gilded)).astype(np.float32)
