"""A sun over hills and a field of poppies, in thick oil paint."""

import numpy as np
from scipy import ndimage

from painting.canvas import Array, finished, grid, mixed, noise, palette, ramp, relief, smoothstep
from painting.strokes import Brush, PaintedCanvas


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    reference, angle, ground, poppies = _composition(rng)
    canvas = PaintedCanvas(palette("5a2f22")[0], rng)
    canvas.lay(reference, angle, Brush(width=24, length=72, load=1.0, spacing=0.6))
    canvas.lay(reference, angle, Brush(width=12, length=46, load=1.3, spacing=0.8, lightness=0.05, hue=0.03))
    canvas.lay(reference, angle, Brush(width=7, length=30, load=1.7, spacing=1.0, lightness=0.06, hue=0.035))
    near = Brush(width=4.5, length=26, load=1.6, spacing=1.3, lightness=0.07, hue=0.03, wobble=0.2)
    canvas.lay(reference, angle, near, where=ground)
    flowers, around, petals = _poppies(rng, poppies)
    canvas.lay(
        flowers, around, Brush(width=7.5, length=11, load=2.6, spacing=0.6, lightness=0.04, wobble=0.3), where=petals
    )
    height = ndimage.gaussian_filter(canvas.height, 0.8)
    return finished(relief(canvas.color, height, depth=1.0, gloss=0.22))


def _composition(rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    x, y = grid()
    sun_x, sun_y = 0.92, 0.36
    away = np.hypot(x - sun_x, (y - sun_y) * 1.05)

    # The sky flows along the contours of this function: rings about the sun, eddies, and a drift.
    flow = away.copy()
    for eddy_x, eddy_y, size, turn in [
        (0.3, 0.2, 0.13, 0.16),
        (0.5, 0.06, 0.08, 0.07),
        (0.08, 0.42, 0.09, 0.1),
        (1.25, 0.1, 0.1, 0.13),
    ]:
        flow += turn * np.exp(-((x - eddy_x) ** 2 + (y - eddy_y) ** 2) / size**2)
    flow += 0.02 * noise(rng, 0.25, 2)
    sky = ramp(
        flow + 0.045 * np.sin(flow * 62) + 0.012 * noise(rng, 0.05),
        palette("fff6c8 ffe27a f9b03c ef7f45 d98f8a 7fbfb4 3b93b8 2460a4 1b3a7d 182a5c"),
        [0, 0.06, 0.13, 0.2, 0.27, 0.36, 0.5, 0.68, 0.88, 1.05],
    )
    angle = _along(flow)

    reference = sky
    lines = [
        (0.50, 0.055, 0.45, "7d6aa6 4f5597 8f5f8f"),
        (0.58, 0.05, 0.30, "35427f 2a6a80 5a4a86"),
        (0.66, 0.04, 0.38, "1f5a58 2f7d5a 17424f"),
    ]
    for level, rise, size, colors in lines:
        ridge = level + rise * noise(rng, (9, size), 3)
        depth = y - ridge
        shade = 0.5 + 0.3 * np.sin(depth * 70 + 1.5 * noise(rng, 0.2)) + 0.25 * noise(rng, 0.06)
        hill = ramp(shade, palette(colors))
        rim = np.exp(-((depth / 0.016) ** 2)) * np.exp(-(((x - sun_x) / 0.5) ** 2))
        hill = mixed(hill, np.broadcast_to(palette("f4a64f")[0], hill.shape), 0.75 * rim)
        inside = (depth > 0).astype(np.float32)
        reference = mixed(reference, hill, inside)
        slope = np.arctan(np.gradient(ridge, axis=1) * 1.0) + 0.5 * np.sin(x * 14 + level * 40)
        angle = np.where(depth > 0, slope, angle)

    edge = 0.73 + 0.025 * noise(rng, (9, 0.5), 2)
    depth = y - edge
    furrow = 0.5 + 0.35 * np.sin(18 * (x - 0.75) / (0.25 + depth) + noise(rng, 0.2)) + 0.25 * noise(rng, 0.07)
    field = ramp(furrow, palette("3f6b2a 8a8a2a c98a1c efc13a f9e08a"))
    inside = (depth > 0).astype(np.float32)
    reference = mixed(reference, field, inside)
    angle = np.where(depth > 0, np.arctan2(0.3 + depth, x - 0.75 + 0.1 * noise(rng, 0.2)), angle)
    poppies = inside * smoothstep(-0.3, 1.0, noise(rng, 0.12)) * smoothstep(0.0, 0.12, depth) * 0.8
    return reference, angle.astype(np.float32), inside, poppies.astype(np.float32)


def _poppies(rng: np.random.Generator, chance: Array) -> tuple[Array, Array, Array]:
    """Flowers with dark hearts: their colors, the directions of strokes about each heart, and where they are."""
    x, y = grid()
    color = np.zeros((*chance.shape, 3), np.float32)
    angle, petals = np.zeros_like(chance), np.zeros_like(chance)
    spots = rng.uniform(0, 1, (1400, 2)) * chance.shape
    spots = spots[rng.random(len(spots)) < chance[spots[:, 0].astype(int), spots[:, 1].astype(int)] * 0.45]
    for row, column in spots[spots[:, 0].argsort()]:
        dx, dy = x - column / chance.shape[0], (y - row / chance.shape[0]) * 1.25
        away = np.hypot(dx, dy)
        size = 0.010 + 0.075 * max(row / chance.shape[0] - 0.72, 0)
        inside = away < size
        tones = ramp(
            away / size + 0.25 * dy / size, palette("2a0f2a 8f1420 e2321c ff5a2a ff9a4a"), [0, 0.22, 0.5, 0.85, 1.2]
        )
        color[inside], angle[inside], petals[inside] = tones[inside], np.arctan2(dx, -dy)[inside], 1
    return color, angle, petals


def _along(values: Array) -> Array:
    """Direction of the contour lines of a function, in radians."""
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(values, 4))
    return np.arctan2(slope_x, -slope_y).astype(np.float32)
