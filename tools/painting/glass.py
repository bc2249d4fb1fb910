"""A sunrise over a river and lilies, in leaded glass with the light behind it."""

import numpy as np
from scipy import ndimage

from painting.canvas import OVERSAMPLING, SHAPE, Array, finished, grid, jitter, noise, palette, ramp, relief, smoothstep

_SUN = (0.78, 0.36)


class _Window:
    """The cartoon: which pane each point belongs to, and the color of each pane."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pane = np.zeros(SHAPE, np.int64)
        self.colors = np.zeros((1, 3), np.float32)
        self.leads = np.zeros(1, np.float32)

    def glaze(self, inside: Array, cut: Array, tone: Array, colors: str, lead: float = 2.4) -> None:
        """Fills a part with panes.

        Args:
            inside: Where.
            cut: A whole number for each pane of the part.
            tone: Place on the gradient; each pane takes its mean.
            colors: The gradient, as hexadecimal codes.
            lead: Half the width of the leads, in picture pixels.
        """
        _, panes = np.unique(cut[inside], return_inverse=True)
        mean = np.bincount(panes, tone[inside]) / np.bincount(panes)
        chosen = jitter(ramp(np.clip(mean, 0, 1), palette(colors)), self.rng, 0.035, 0.018)
        self.pane[inside] = panes + len(self.colors)
        self.colors = np.concatenate([self.colors, chosen])
        self.leads = np.concatenate([self.leads, np.full(len(chosen), lead, np.float32)])


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    x, y = grid()
    x, y = x + 0.004 * noise(rng, 0.15), y + 0.004 * noise(rng, 0.15)
    window = _Window(rng)
    _sky(window, x, y)
    _land(window, x, y)
    for lily in [
        (0.16, 0.62, 0.135),
        (0.36, 0.80, 0.105),
        (1.17, 0.66, 0.14),
        (0.98, 0.84, 0.10),
        (1.29, 0.90, 0.09),
        (0.03, 0.90, 0.09),
    ]:
        _lily(window, x, y, *lily)
    return finished(_lit(rng, window))


def _lit(rng: np.random.Generator, window: _Window) -> Array:
    """Streaky glass with the light behind it, and round leads in front."""
    x, y = grid()
    pane = window.pane
    borders = np.zeros(SHAPE, bool)
    borders[:-1] |= pane[:-1] != pane[1:]
    borders[:, :-1] |= pane[:, :-1] != pane[:, 1:]
    away = ndimage.distance_transform_edt(~borders).astype(np.float32) / OVERSAMPLING

    turn = rng.uniform(0, np.pi, len(window.colors))[pane]
    shift = rng.uniform(0, 1, (2, len(window.colors)))
    streaks = _turned(noise(rng, (0.012, 0.14), 3), turn, shift[:, pane], x, y)
    ripple = _turned(noise(rng, (0.02, 0.035), 2), turn, shift[:, pane], x, y)
    seeds = smoothstep(2.6, 3.2, noise(rng, 0.006))
    glow = np.exp(-np.hypot(x - _SUN[0], y - _SUN[1]) / 0.75)
    density = 1.12 - 0.22 * streaks - 0.1 * ripple - 0.45 * glow + 0.5 * np.exp(-away / 5)
    glass = np.clip(window.colors[pane], 0.015, 1) ** np.clip(density, 0.25, 2.2)[..., None]
    glass = glass * (1 + 0.12 * ripple + 0.4 * seeds)[..., None] + 0.05 * glow[..., None]
    slope = ndimage.gaussian_filter(streaks + ripple, 1.5)
    glass = relief(glass, slope * 1.2, depth=1.0, gloss=0.12, ambient=0.7)

    width = ndimage.gaussian_filter(window.leads[pane], 3) * (1 + 0.16 * noise(rng, 0.08))
    lead = smoothstep(0.5, -0.5, away - width)
    round_top = np.sqrt(np.clip(1 - (away / np.maximum(width, 1)) ** 2, 0, 1)) * 5 + 0.35 * noise(rng, 0.006, 2)
    metal = ramp(0.4 + 0.2 * noise(rng, 0.02, 2), palette("0c0d12 23262e 4a4d55"))
    metal = relief(metal, ndimage.gaussian_filter(round_top, 0.8), depth=0.8, gloss=0.45)
    bloom = ndimage.gaussian_filter(glass * (1 - lead[..., None]), (9, 9, 0))
    lit = glass * (1 - lead[..., None]) + metal * lead[..., None]
    return lit + 0.20 * bloom**1.5


def _turned(texture: Array, turn: Array, shift: Array, x: Array, y: Array) -> Array:
    """A texture that runs in its own direction in every pane."""
    cos, sin = np.cos(turn), np.sin(turn)
    rows = ((y * cos - x * sin + shift[0]) * SHAPE[0]).astype(int) % (2 * SHAPE[0])
    columns = ((x * cos + y * sin + shift[1]) * SHAPE[0]).astype(int) % (2 * SHAPE[1])
    mirror = [np.where(at < edge, at, 2 * edge - 1 - at) for at, edge in zip((rows, columns), SHAPE, strict=True)]
    return texture[mirror[0], mirror[1]]


def _sky(window: _Window, x: Array, y: Array) -> None:
    rng = window.rng
    away = np.hypot(x - _SUN[0], y - _SUN[1])
    around = np.arctan2(y - _SUN[1], x - _SUN[0]) / (2 * np.pi) + 0.5
    rays = 26
    ray = np.floor(around * rays + 0.25 * np.sin(away * 9))
    ring = np.floor(np.log2(np.maximum(away, 0.03) / 0.115) * 1.25 + 0.45 * (ray % 2))
    everywhere = np.ones(SHAPE, bool)
    tone = np.clip(away / 0.85, 0, 1) + 0.05 * ((ray % 2) * 2 - 1)
    window.glaze(everywhere, ray * 100 + ring, tone, "ffe680 ffc23a f98a2f e8565a b0489a 6a4fc0 2f5fd0 1f86d8 1f4fa8")
    window.glaze(away < 0.115, np.floor(around * 8)[...] + 20 * (away < 0.055), 1 - away / 0.12, "ffb82f ffe27a fff6cf")
    bands = [(0.17, 0.07, 0.22), (0.11, 0.28, 1.13), (0.27, 0.10, 1.22)]
    for middle, lean, center in bands:
        swell = middle + 0.03 * np.sin(x * 7 + lean * 40)
        cloud = np.abs(y - swell) < 0.034 * np.sqrt(np.clip(1 - ((x - center) / 0.26) ** 2, 0, 1)) * (
            1 + 0.35 * np.sin(x * 34)
        )
        window.glaze(cloud, np.floor(x * 9), 0.5 + 0.5 * np.sin(x * 30) + 0 * rng.random(), "e88fb0 f0c0b8 a89ae0")


def _land(window: _Window, x: Array, y: Array) -> None:
    hills = [
        (0.47 - 0.07 * np.sin(x * 3.2 + 0.3), "4a3f9a 6a5fc8 8f7fe0", 0.13),
        (0.54 + 0.05 * np.sin(x * 3.0 + 1.2), "1f5f8a 2f8fa0 4fb8a8", 0.12),
        (0.61 - 0.05 * np.sin(x * 3.7 + 0.9), "1a6a4a 3f9a3f 8fc83a", 0.10),
        (0.76 + 0.05 * np.sin(x * 4.0 + 2.2), "0f4a3f 1f7a3a 5fae2f", 0.10),
    ]
    for ridge, colors, size in hills:
        depth = y - ridge
        cut = np.floor(x / size + 1.6 * depth + 0.3 * np.sin(y * 20)) + 1000 * np.floor(
            depth / 0.075 + 0.25 * np.sin(x * 8)
        )
        window.glaze(depth > 0, cut, 0.5 + 0.42 * np.sin(cut * 2.4), colors)
    depth = y - 0.62
    course = 0.74 + 0.16 * np.sin(depth * 9) * np.clip(depth * 2.2, 0, 1)
    river = (np.abs(x - course) < 0.022 + 0.42 * np.clip(depth, 0, 1)) & (depth > 0)
    cut = np.floor((x - course) / (0.03 + 0.26 * np.clip(depth, 0, 1)) + 0.5) + 50 * np.floor(
        11 * np.sqrt(np.clip(depth, 0, 1)) + 0.4 * np.sin(x * 22)
    )
    light = np.exp(-(((x - course) / (0.02 + 0.2 * np.clip(depth, 0, 1))) ** 2))
    window.glaze(river, cut, 0.15 + 0.7 * light + 0.2 * np.sin(cut * 1.7), "1f3f9f 1f7fd0 3fb8d8 9fe0d8 ffe9a0 ffc86a")


def _lily(window: _Window, x: Array, y: Array, center_x: float, center_y: float, size: float) -> None:
    """A flower of six petals on a stem with two leaves."""
    down = (y - center_y) / size
    stem = (np.abs(x - center_x - 0.08 * size * np.sin(down * 1.5)) < 0.075 * size) & (down > 0)
    window.glaze(stem, np.floor(down / 2), np.full(SHAPE, 0.5), "2f8f3f 5fb83f", 1.4)
    for side in (-1, 1):
        along = (y - center_y - 0.8 * size) / (2.2 * size)
        bow = center_x + side * (0.1 + 0.75 * np.sqrt(np.clip(1 - along, 0, 1))) * size * 0.9
        leaf = (np.abs(x - bow) < 0.42 * size * np.sqrt(np.clip(along * (1.2 - along), 0, 1))) & (along > 0)
        window.glaze(leaf, np.floor(along * 4) + 50 * (x > bow), 0.3 + 0.5 * (x > bow), "0f8a4a 3fb04a b0e04a", 1.5)
    for petals, reach, turn, colors in [
        (6, 1.0, 0.26, "c0185a e83f7a ff8fa8"),
        (6, 0.72, 0.79, "e8486a ff8f9a ffd8c8"),
    ]:
        px, py = x - center_x, (y - center_y) * 1.12
        around = np.arctan2(py, px) / (2 * np.pi) * petals + turn
        away = np.hypot(px, py) / size
        off = np.abs(around % 1 - 0.5) * 2
        petal = away < reach * (1 - off**2.2) ** 0.6
        number = np.floor(around) % petals
        half = (around % 1) > 0.5
        window.glaze(petal, number * 2 + half, away * 0.6 + 0.35 * half, colors, 1.5)
    window.glaze(
        np.hypot(x - center_x, (y - center_y) * 1.12) < 0.2 * size,
        np.zeros(SHAPE),
        np.full(SHAPE, 0.6),
        "f0a01f ffd83a",
        1.6,
    )
