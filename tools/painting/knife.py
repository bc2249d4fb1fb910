"""A boulevard in autumn rain, its lamps mirrored in the street, laid with a palette knife."""

import numpy as np
from scipy import ndimage

from painting.canvas import Array, finished, grid, mixed, noise, palette, ramp, relief, smoothstep
from painting.strokes import Brush, PaintedCanvas

_MIDDLE, _HORIZON = 0.62, 0.52


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    reference, angle, leaves, lamps = _composition(rng)
    canvas = PaintedCanvas(palette("14182e")[0], rng)
    canvas.lay(
        reference, angle, Brush(width=30, length=62, spacing=0.55, load=1.2, streaks=0.06, hue=0.02, dryness=0.1)
    )
    middle = Brush(width=17, length=34, spacing=0.75, load=2.0, streaks=0.07, hue=0.025, dryness=0.35, lightness=0.04)
    canvas.lay(reference, angle, middle)
    canvas.lay(
        reference,
        angle,
        Brush(width=9, length=22, spacing=0.9, load=2.2, streaks=0.04, hue=0.025, dryness=0.5, lightness=0.05),
    )
    fall = Brush(width=8, length=11, spacing=0.8, load=2.8, hue=0.045, lightness=0.08, wobble=1.2)
    canvas.lay(reference, angle, fall, where=leaves)
    reference, angle, figures = _walkers(reference, angle)
    canvas.lay(
        reference,
        angle,
        Brush(width=6, length=12, spacing=0.55, load=2, streaks=0.05, dryness=0.6, wobble=0.05),
        where=figures,
    )
    glow = np.broadcast_to(palette("fff3b8")[0], reference.shape)
    canvas.lay(glow, angle, Brush(width=7, length=8, spacing=0.4, load=3, lightness=0.03, dryness=0.7), where=lamps)
    height = ndimage.gaussian_filter(canvas.height, 0.9)
    return finished(relief(canvas.color, height, depth=0.9, gloss=0.25))


def _composition(rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Colors, direction of the strokes, and where loose leaves and lamps are laid on top."""
    x, y = grid()
    upper, angle, leaves, lamps = _avenue(rng, x, np.minimum(y, 2 * _HORIZON - y))
    below = y > _HORIZON
    depth = np.clip((y - _HORIZON) / (1 - _HORIZON), 0, 1)

    # The wet street repeats what stands above it, drawn downward and broken into bands.
    rows = np.arange(y.shape[0])
    mirror = upper[np.clip(2 * int(_HORIZON * y.shape[0]) - rows, 0, y.shape[0] - 1)]
    mirror = ndimage.gaussian_filter(mirror, (26, 3, 0))
    ripple = np.sin(y * 120 / (0.35 + depth) + 2 * noise(rng, (0.02, 0.15), 2))
    street = ramp(0.3 + 0.25 * ripple + 0.2 * noise(rng, (0.02, 0.2), 2), palette("0c1230 1a2f62 33609a 8f6a9a"))
    wet = np.clip(0.66 + 0.28 * ripple - 0.25 * depth, 0, 1)
    reference = np.where(below[..., None], mixed(street, np.clip(mirror * 1.25, 0, 1), wet), upper)
    angle = np.where(below, 0.06 * noise(rng, 0.2), angle)
    verge = np.abs(x - _MIDDLE) - 0.16 - 0.55 * depth
    fallen = below * smoothstep(0.2, 1.0, 0.6 * noise(rng, 0.05) + 9 * verge)
    gold = ramp(0.5 + 0.3 * noise(rng, 0.03), palette("8a1f2a d0481c f08a20 ffd24a"))
    reference = mixed(reference, gold, fallen.astype(np.float32))
    return reference, angle.astype(np.float32), np.where(below, fallen * 0.5, leaves).astype(np.float32), lamps


def _avenue(rng: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Sky, houses, trees and lamps above the horizon."""
    off = np.hypot(x - _MIDDLE, (y - _HORIZON) * 1.2)
    color = ramp(
        off + 0.05 * noise(rng, 0.15, 2),
        palette("fff0b0 ffc766 e88a6a 8f62a0 3f559f 1f3478 10194a"),
        [0, 0.08, 0.18, 0.3, 0.45, 0.65, 0.9],
    )
    angle = 0.6 + 0.5 * noise(rng, 0.25)
    color = _houses(rng, x, y, color)
    leaves = np.zeros_like(x)
    lamps = np.zeros_like(x)
    trees = [
        (0.50, 0.09, "c85a3a e89a4a ffd27a"),
        (0.74, 0.09, "b8503f e8a04a ffe08a"),
        (0.40, 0.17, "8a2a3a d8502a ffa83a"),
        (0.86, 0.18, "2f6a5a 7fa04a f0d24a"),
        (0.22, 0.30, "6a1a3a d0301f ff8a2a ffcf4a"),
        (1.07, 0.31, "1f4a5a 3f8a4f c8b83a ffd84a"),
        (-0.06, 0.46, "3a1440 a01f2f f0581f ffb03a"),
        (1.40, 0.48, "5a1a2a c8401f ff8f1f ffd65a"),
    ]
    for trunk, size, colors in trees:
        foot = _HORIZON + 0.12 * size
        wood = (np.abs(x - trunk - 0.04 * size * np.sin(9 * y / size)) < 0.045 * size) & (y > foot - size) & (y < foot)
        color = mixed(color, np.broadcast_to(palette("1a1228")[0], color.shape), wood.astype(np.float32))
        angle = np.where(wood, np.pi / 2, angle)
        leaf = noise(rng, 0.05, 3)
        top = foot - 1.15 * size
        crown = np.hypot((x - trunk) / 0.62, (y - top) / 0.6) / size + 0.16 * leaf
        inside = smoothstep(1.0, 0.85, crown)
        toward = np.sign(_MIDDLE - trunk)
        tone = 0.5 + 0.55 * toward * (x - trunk) / size + 0.22 * leaf + 0.2 * (top - y) / size
        color = mixed(color, ramp(np.clip(tone, 0, 1), palette(colors)), inside)
        angle = np.where(inside > 0.5, 1.2 * leaf + 0.8, angle)
        leaves = np.maximum(leaves, smoothstep(1.2, 0.7, crown) * 0.6)
    for lamp, size in [(0.555, 0.10), (0.685, 0.10), (0.47, 0.20), (0.77, 0.20), (0.335, 0.36), (0.905, 0.36)]:
        top = _HORIZON - size
        post = (np.abs(x - lamp) < 0.014 * size + 0.003) & (y > top) & (y < _HORIZON + 0.1 * size)
        off = np.hypot(x - lamp, y - top)
        color = mixed(color, np.broadcast_to(palette("100e20")[0], color.shape), post.astype(np.float32) * 0.9)
        color = mixed(
            color,
            np.broadcast_to(palette("ffe48a")[0], color.shape),
            np.clip(1.4 * np.exp(-((off / (0.26 * size)) ** 2)), 0, 1),
        )
        angle = np.where(off < 0.45 * size, np.arctan2(x - lamp, top - y), np.where(post, np.pi / 2, angle))
        leaves = np.where(off < 0.35 * size, 0, leaves)
        lamps = np.maximum(lamps, (off < 0.09 * size + 0.004) & (grid()[1] < _HORIZON))
    return color, angle, leaves, lamps


def _houses(rng: np.random.Generator, x: Array, y: Array, color: Array) -> Array:
    """Dark fronts with lit windows on both sides, lower toward the end of the street."""
    aside = np.abs(x - _MIDDLE)
    house = np.floor(aside / 0.12)
    roof = _HORIZON - 0.16 - 0.42 * aside - 0.04 * np.sin(house * 5.3)
    front = ((y > roof) & (aside > 0.13)).astype(np.float32)
    wall = ramp(0.5 + 0.4 * np.sin(house * 2.7) + 0.2 * noise(rng, 0.05), palette("1f1a48 3a2a6a 6a3a6a 8f4f5a"))
    color = mixed(color, wall, front)
    across, down = (aside / 0.045) % 1, ((y - _HORIZON) / (0.03 + 0.12 * aside)) % 1
    lit = np.sin(np.floor(aside / 0.045) * 12.9 + np.floor((y - _HORIZON) / (0.03 + 0.12 * aside)) * 78.2) > -0.2
    window = front * lit * (np.abs(across - 0.5) < 0.24) * (np.abs(down - 0.5) < 0.3)
    return mixed(color, np.broadcast_to(palette("ffcf6a")[0], color.shape), window * np.float32(0.9))


def _walkers(color: Array, angle: Array) -> tuple[Array, Array, Array]:
    """Two people under an umbrella, and their reflection: colors, directions, and where they are."""
    x, y = grid()
    foot, size = 0.735, 0.27
    where = np.zeros_like(x)
    for sign, strength in ((-1, 0.55), (1, 1.0)):
        up = sign * (foot - y) / size
        tall = (up > 0) & (up < 0.80)
        for middle, coat in ((_MIDDLE - 0.032, "1a1838"), (_MIDDLE + 0.034, "3a1a4a")):
            body = tall & (np.abs(x - middle) < 0.026 * np.clip(1.3 - 0.75 * up, 0, 1.0))
            color = mixed(color, np.broadcast_to(palette(coat)[0], color.shape), body * np.float32(strength))
            angle, where = np.where(body, np.pi / 2 if sign > 0 else 0, angle), np.maximum(where, body * strength)
        dome = (((x - _MIDDLE) / 0.11) ** 2 + ((up - 0.72) / 0.27) ** 2 < 1) & (up > 0.72)
        red = ramp(0.5 + (x - _MIDDLE) / 0.2, palette("8a0f2a d81f2f ff5a3a"))
        color = mixed(color, red, dome * np.float32(strength))
        angle = np.where(dome, sign * 0.9 * np.clip((x - _MIDDLE) / 0.11, -1, 1), angle)
        where = np.maximum(where, dome * strength)
    return color, angle.astype(np.float32), where.astype(np.float32)
