"""A sun among stars above a sea of scales, in tesserae of glass, stone and gold, as on a late Roman vault."""

import numpy as np
from scipy import ndimage, spatial

from painting.canvas import (
    HEIGHT,
    OVERSAMPLING,
    SHAPE,
    WIDTH,
    Array,
    finished,
    grid,
    jitter,
    mixed,
    noise,
    palette,
    ramp,
    relief,
    smoothstep,
)

_TESSERAE = 5000
_ROUNDS = 24
_NEIGHBORS = 6

_NIGHT = palette("f08a3a 7a4fa0 3a4fb0 1f3f9a 15307a 0d1a4f")
_WATER = palette("fbf6e6 f3ead2 e8b84a 1f8f8a 2fb5a0 1f7fa8 1c5fa8 16357f 0f2258")
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
    colors = jitter(design[at], rng, 0.04, 0.016)
    gold = gilded[at] > 0.5
    colors[gold] = ramp(np.clip(rng.normal(0.62, 0.22, gold.sum()), 0, 1), _GOLD)
    vein = 1 + 0.06 * noise(rng, 0.008) + 0.05 * noise(rng, (0.004, 0.03))
    stones = colors[owner] * vein[..., None]

    width = 0.42 + 0.14 * noise(rng, 0.1)
    stone = smoothstep(0, 1, (gap - width) / 0.7)
    mortar = ramp(0.5 + 0.25 * noise(rng, 0.004, 2), palette("1d1a1c 4a4038 7d705c"))
    color = mixed(mortar, stones, stone)

    tilt = rng.normal(0, 0.085, (2, len(centers))) * np.where(gold, 1.6, 1.0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / OVERSAMPLING
    plane = tilt[0][owner] * (y - centers[owner, 0]) + tilt[1][owner] * (x - centers[owner, 1])
    bevel = 1.7 * np.clip((gap - width) / 2.2, 0, 1) ** 0.6
    height = ndimage.gaussian_filter((plane + bevel) * stone * 2, 0.9) + 0.12 * noise(rng, 0.01)
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
    center_x, center_y = 0.82, 0.40
    away = np.hypot(x - center_x, y - center_y)
    around = np.arctan2(y - center_y, x - center_x)
    color = ramp(away + 0.05 * noise(rng, 0.12, 2), _NIGHT, [0, 0.3, 0.42, 0.56, 0.72, 0.95])
    gilded = np.zeros(SHAPE, np.float32)
    rows = away + 0.012 * noise(rng, 0.4)
    stars = rng.uniform(0, 1, (900, 2)) * [0.6, 4 / 3]
    kept: list[np.ndarray] = []
    for star in stars:
        clear = all(np.hypot(*(star - other)) > 0.13 for other in kept)
        if clear and np.hypot(star[1] - center_x, star[0] - center_y) > 0.42:
            kept.append(star)
    for star_y, star_x in kept:
        color, gilded, rows = _star(x - star_x, y - star_y, color, gilded, rows)
    color, gilded = _sun(away, around, color, gilded)
    return _sea(rng, x, y, color, gilded, rows)


def _star(dx: Array, dy: Array, color: Array, gilded: Array, rows: Array) -> tuple[Array, Array, Array]:
    away, around = np.hypot(dx, dy), np.arctan2(dy, dx)
    reach = 0.021 + 0.030 * np.abs(np.cos(around * 2)) ** 5
    color = np.where((away < reach)[..., None], palette("fdf6e0")[0], color)
    return color, np.where(away < 0.016, 1, gilded), np.where(away < 0.055, away, rows)


def _sun(away: Array, around: Array, color: Array, gilded: Array) -> tuple[Array, Array]:
    """A disk in rings of gold and fire, with flames that bend alternately."""
    for turn, reach, count, colors in [
        (0.5, 0.385, 14, "b3201f e2452a f58a3a"),
        (0.0, 0.33, 14, "e8862a ffc64a ffe9a0"),
    ]:
        bent = around + 0.35 * np.sin((away - 0.17) * 16)
        off = np.abs((bent * count / (2 * np.pi) + turn) % 1 - 0.5) * 2
        flame = away < 0.17 + (reach - 0.17) * (1 - off) ** 0.75
        color = np.where(flame[..., None], ramp((reach - away) / (reach - 0.15), palette(colors)), color)
        gilded = np.where(flame, 0, gilded)
    rings = [
        (0.197, "8c1620"),
        (0.178, ""),
        (0.158, "f7ecd0"),
        (0.142, "d8402a"),
        (0.112, "f28a34"),
        (0.084, ""),
        (0.05, "f7ecd0"),
        (0.032, "c8302a"),
    ]
    for radius, name in rings:
        ring = away < radius
        gilded = np.where(ring, not name, gilded)
        if name:
            color = np.where(ring[..., None], palette(name)[0], color)
    return color, gilded


def _sea(
    rng: np.random.Generator, x: Array, y: Array, color: Array, gilded: Array, rows: Array
) -> tuple[Array, Array, Array]:
    """Waves in scales, each in rows of foam, turquoise and blue, the near ones large."""
    lines = [(0.655, 0.16, 0.0), (0.73, 0.185, 0.5), (0.815, 0.21, 0.1), (0.91, 0.24, 0.55), (1.02, 0.28, 0.2)]
    for crest, span, start in lines:
        place = x / span + start + 0.25 * np.sin(x * 5 + crest * 30)
        across = (place % 1 - 0.5) * span
        depth = np.hypot(across, y - crest - 0.045) * -1 + 0.62 * span
        inside = depth > 0
        ring = depth / (0.62 * span)
        scale = ramp(ring + 0.03 * noise(rng, 0.05), _WATER, [0, 0.09, 0.12, 0.24, 0.28, 0.5, 0.54, 0.8, 1])
        color = np.where(inside[..., None], scale, color)
        gilded = np.where(inside, (ring > 0.105) & (ring < 0.17), gilded)
        rows = np.where(inside, depth, rows)
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(rows, 3))
    return color.astype(np.float32), np.arctan2(slope_x, -slope_y).astype(np.float32), gilded.astype(np.float32)
