"""An evening by the sea in dots of unmixed color."""

import numpy as np
from scipy import ndimage

from painting.canvas import Array, finished, grid, mixed, noise, palette, ramp, relief, smoothstep
from painting.strokes import Brush, PaintedCanvas


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    light, shade, angle = _composition(rng)
    canvas = PaintedCanvas(palette("efe2c4")[0], rng)
    canvas.lay(light, angle, Brush(width=11, length=14, load=0.5, spacing=0.62, hue=0.03, lightness=0.05))
    dots = Brush(width=6.6, length=7.6, load=1.2, spacing=0.95, dryness=0.6, hue=0.04, lightness=0.06, streaks=0.02)
    # Divided color: each tone is set beside dots of its shadow's color, and the eye does the mixing.
    canvas.lay(shade, angle, dots)
    canvas.lay(light, angle, dots)
    fine = Brush(width=5.2, length=6.0, load=1.4, spacing=1.45, dryness=0.7, hue=0.05, lightness=0.07, streaks=0.02)
    canvas.lay(shade, angle, fine, where=np.full(light.shape[:2], 0.55, np.float32))
    canvas.lay(light, angle, fine)
    height = ndimage.gaussian_filter(canvas.height, 0.8)
    return finished(relief(canvas.color, height, depth=0.9, gloss=0.12))


def _composition(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """The colors of lit dots, those of the dots between them, and the directions of the dots."""
    x, y = grid()
    sun_x, sun_y, sea = 0.86, 0.34, 0.47
    away = np.hypot(x - sun_x, (y - sun_y) * 1.3)
    glow = np.clip(away * 1.05 + 0.05 * noise(rng, (0.03, 0.3), 2), 0, 1)
    light = ramp(
        glow,
        palette("fffbd6 ffe58a fdbf6b f59a86 cf93b8 8f9ad6 6f9fe0 5f83c8"),
        [0, 0.1, 0.22, 0.38, 0.55, 0.7, 0.86, 1],
    )
    shade = ramp(glow, palette("ffd76a ff9f4a f0718a b873c8 6f7fd6 5566c0"))
    disk = smoothstep(0.062, 0.056, np.hypot(x - sun_x, y - sun_y))
    light = mixed(light, np.broadcast_to(palette("fffde8")[0], light.shape), disk)
    shade = mixed(shade, np.broadcast_to(palette("ffdf5a")[0], shade.shape), disk)
    halo = np.exp(-(((np.hypot(x - sun_x, y - sun_y) - 0.085) / 0.014) ** 2))
    light = mixed(light, np.broadcast_to(palette("ff9a3a")[0], light.shape), 0.6 * halo)
    angle = np.arctan2(x - sun_x, sun_y - y)

    water = y > sea
    depth = np.clip((y - sea) / 0.4, 0, 1)
    swell = np.sin(y * 95 / (0.4 + depth) + 2.2 * noise(rng, (0.04, 0.3))) * 0.5 + 0.35 * noise(rng, (0.012, 0.08), 2)
    path = np.exp(-(((x - sun_x) / (0.05 + 0.16 * depth)) ** 2))
    tone = np.clip(0.42 + 0.2 * swell + 0.55 * path - 0.15 * depth, 0, 1)
    light = mixed(light, ramp(tone, palette("1d3f8f 2a6fb8 3fa3bf 8fd0c0 ffd98a fff4c0")), water.astype(np.float32))
    shade = mixed(shade, ramp(tone, palette("2a2a80 3a4fa8 2f86a8 7f8fd0 ff9f6a ffd070")), water.astype(np.float32))
    angle = np.where(water, 0, angle)

    for boat_x, foot, size in [(0.52, 0.545, 0.13), (1.13, 0.52, 0.09), (0.7, 0.497, 0.05)]:
        light, shade = _boat(x, y, light, shade, boat_x, foot, size)

    bank = 0.79 + 0.1 * np.sin(x * 2.2 + 1.0) + 0.012 * noise(rng, (9, 0.15), 2)
    grass = (y > bank).astype(np.float32)
    tone = np.clip(
        0.55 + 0.25 * noise(rng, (0.05, 0.12), 2) - 0.6 * np.exp(-(((x - 0.1) / 0.4) ** 2)) * (y > 0.86), 0, 1
    )
    light = mixed(light, ramp(tone, palette("2a4f86 2f8a6a 6fb04a c8cf4a ffe86a")), grass)
    shade = mixed(shade, ramp(tone, palette("3a2f7a 2a6f86 3f9a4f e89a3a ff8a5a")), grass)
    flowers = grass * smoothstep(0.9, 1.3, noise(rng, 0.02) + 0.5 * noise(rng, 0.15))
    light = mixed(
        light, np.where((noise(rng, 0.1) > 0)[..., None], palette("ff4f5a")[0], palette("fff0f4")[0]), flowers
    )

    for tree_x, foot, size in [(0.16, 0.9, 0.42), (0.02, 0.95, 0.5), (0.33, 0.86, 0.24), (1.29, 0.9, 0.3)]:
        light, shade = _tree(rng, x, y, light, shade, (tree_x, foot, size))
    return light, shade, angle.astype(np.float32)


def _boat(x: Array, y: Array, light: Array, shade: Array, mast: float, foot: float, size: float) -> tuple[Array, Array]:
    up = (foot - y) / size
    main = (up > 0.1) & (up < 1.6) & (x > mast) & (x < mast + size * 0.62 * (1.6 - up) / 1.5)
    jib = (up > 0.12) & (up < 1.4) & (x < mast - size * 0.03) & (x > mast - size * 0.42 * (1.4 - up) / 1.3)
    hull = (up > -0.12) & (up < 0.1) & (np.abs(x - mast) < size * (0.55 + up))
    mirror = (
        (up < -0.12)
        & (up > -1.1)
        & (np.abs(x - mast - 0.1 * size) < size * 0.28 * (1.1 + up) * (1 + 0.3 * np.sin(y * 400)))
    )
    for part, lit, dark in [
        (main, "fffdf0", "ffd9b0"),
        (jib, "ffe2c8", "c8a0e0"),
        (hull, "5a2a4a", "2a2a70"),
        (mirror, "cfe0f0", "e0b8d8"),
    ]:
        mask = part.astype(np.float32)
        light = mixed(light, np.broadcast_to(palette(lit)[0], light.shape), mask)
        shade = mixed(shade, np.broadcast_to(palette(dark)[0], shade.shape), mask)
    return light, shade


def _tree(
    rng: np.random.Generator, x: Array, y: Array, light: Array, shade: Array, place: tuple[float, float, float]
) -> tuple[Array, Array]:
    trunk, foot, size = place
    leaf = noise(rng, 0.035, 2)
    middle = foot - size
    crown = np.hypot((x - trunk) / 0.36, (y - middle) / 0.62) / size + 0.10 * leaf
    inside = smoothstep(1.0, 0.93, crown)
    side = np.clip(0.36 + 0.9 * (x - trunk) / size - 0.5 * (y - middle) / size + 0.18 * leaf, 0, 1)
    stem = ((np.abs(x - trunk) < 0.035 * size) & (y > middle) & (y < foot)).astype(np.float32)
    light = mixed(light, np.broadcast_to(palette("6a3a5a")[0], light.shape), stem)
    shade = mixed(shade, np.broadcast_to(palette("2a2a6a")[0], shade.shape), stem)
    light = mixed(light, ramp(side, palette("16296a 1a5f66 3f8f3f a0bf3a ffe066")), inside)
    return light, mixed(shade, ramp(side, palette("2a1f66 3a4a9a 2f7f5a d88a3a ffb04a")), inside)
