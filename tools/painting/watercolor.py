"""A meadow of poppies and cornflowers in transparent washes on rough paper."""

import numpy as np

from painting.canvas import OVERSAMPLING, SHAPE, Array, finished, grid, noise, palette, smoothstep

_WHITE = palette("fbf6ea")[0]


class _Paper:
    """Rough paper that takes transparent color: every wash filters the light that the ones below send back."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.grain = 0.7 * noise(rng, 0.006, 2) + 0.5 * noise(rng, 0.012)
        self.light = np.broadcast_to(_WHITE, (*SHAPE, 3)) * (1 + 0.018 * self.grain[..., None])

    def wash(
        self,
        inside: Array,
        pigment: str,
        strength: Array | float = 1.0,
        wet: float = 0.0,
        region: tuple[slice, slice] | None = None,
    ) -> None:
        """Lays one wash.

        Args:
            inside: Distance from its edge in picture pixels, positive inside.
            pigment: Hexadecimal color of a full wash on white.
            strength: Density, 1 for a full wash.
            wet: Softness of the edge in picture pixels; a dry edge (0) dries dark.
            region: Part of the canvas that `inside` covers; all of it where None.
        """
        region = region or (slice(None), slice(None))
        grain = self.grain[region]
        ragged = inside + 0.7 * grain
        cover = smoothstep(-0.5 - wet, 0.5 + wet, ragged)
        rim = np.exp(-(((ragged - 1.0) / 1.3) ** 2)) * (0.55 if wet < 1 else 0.1) + 0.12 * np.exp(
            -np.clip(ragged, 0, None) / 8
        )
        density = cover * (strength * (0.86 + 0.13 * grain) + rim * np.minimum(strength, 0.8))
        self.light[region] *= np.exp(
            np.log(np.clip(palette(pigment)[0], 0.02, 1)) * np.clip(density, 0, None)[..., None]
        )

    def mask(self, inside: Array, region: tuple[slice, slice]) -> None:
        """Bares the paper, as if masking fluid had kept earlier washes from it."""
        cover = 0.93 * smoothstep(-0.5, 0.5, inside + 0.7 * self.grain[region])[..., None]
        bare = _WHITE * (1 + 0.018 * self.grain[region][..., None])
        self.light[region] += (bare - self.light[region]) * cover


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    paper = _Paper(rng)
    _sky(paper)
    _hills(paper)
    _meadow(paper)
    for flower in _places(rng, 150):
        _stem(paper, *flower)
    for x, y, size in _places(rng, 130):
        _flower(paper, x, y, size)
    _spatter(paper)
    return finished(paper.light)


def _sky(paper: _Paper) -> None:
    rng, (_, y) = paper.rng, grid()
    clouds = noise(rng, (0.16, 0.34), 4) + 3.4 * (y - 0.26)
    paper.wash(60 * (0.5 - clouds), "6fa3dc", 0.7 + 0.2 * noise(rng, 0.2, 3) - 0.6 * y, wet=26)
    paper.wash(50 * (-0.1 - clouds), "4f86d0", 0.38 + 0.25 * noise(rng, 0.12, 3), wet=10)
    gaps = 50 * np.minimum(clouds - 0.9, 0.8)
    paper.wash(gaps + 30 * noise(rng, (0.1, 0.4), 3) - 240 * np.abs(y - 0.30), "f7b09a", 0.75, wet=22)
    paper.wash(gaps + 20 * noise(rng, (0.12, 0.3), 3) - 260 * np.abs(y - 0.38), "f9d67a", 0.8, wet=22)
    paper.wash(14 * (noise(rng, 0.12, 3) - 0.8) - 200 * np.clip(y - 0.2, 0, 1), "8fb0e0", 0.35, wet=0)


def _hills(paper: _Paper) -> None:
    rng, (_, y) = paper.rng, grid()
    ranges = [(0.37, 0.045, 0.35, "a9b4e0", 2.0), (0.43, 0.035, 0.25, "86a6d0", 0.2), (0.49, 0.03, 0.2, "6fb0b0", 0.2)]
    for level, rise, size, pigment, wet in ranges:
        ridge = level + rise * noise(rng, (9, size), 4)
        fade = np.clip(1.0 - (y - ridge) * 7, 0.0, 1) * smoothstep(0.62, 0.55, y)
        paper.wash((y - ridge) * 480, pigment, fade * (0.85 + 0.25 * noise(rng, 0.08, 3)), wet=wet)
    trees = 0.535 - 0.022 * np.abs(noise(rng, (9, 0.05), 3))
    fade = smoothstep(0.63, 0.55, y)
    paper.wash((y - trees) * 480, "3f7f6a", fade * (0.8 + 0.3 * noise(rng, 0.05, 3)), wet=0.6)


def _meadow(paper: _Paper) -> None:
    rng, (_, y) = paper.rng, grid()
    below = np.minimum(0, y - 0.57) * 900
    paper.wash((y - 0.56 - 0.012 * noise(rng, (9, 0.1), 3)) * 480, "ecdf6a", 0.8 + 0.3 * noise(rng, 0.15, 3), wet=3)
    for middle, pigment, size, wet in [
        (0.68, "a6cf5a", (0.08, 0.25), 6),
        (0.84, "5fae7a", (0.12, 0.14), 4),
        (0.98, "4f86b0", (0.1, 0.12), 2),
    ]:
        pool = noise(rng, size, 4) + 3.0 * (y - middle)
        paper.wash(36 * pool + below, pigment, 0.8 + 0.3 * noise(rng, 0.05, 2), wet=wet)
    for thin, spare, pigment in [(0.011, 0.9, "6fae4a"), (0.009, 1.2, "3f8a5a"), (0.013, 1.6, "2f5f7a")]:
        blades = noise(rng, (0.16, thin)) + 0.6 * noise(rng, 0.1)
        paper.wash(7 * (blades - spare) + below * 0.2, pigment, np.clip(3 * (y - 0.58), 0, 0.9), wet=0)


def _places(rng: np.random.Generator, count: int) -> list[tuple[float, float, float]]:
    """Where flowers stand, as x, y and size in picture pixels, the far ones first."""
    depth = np.sort(rng.beta(1.1, 1.25, count))
    across = rng.uniform(-10, 650, count)
    return [
        (x, 285 + 185 * d + rng.normal(0, 6), 3.2 + 30 * d**1.7 * rng.uniform(0.75, 1.15))
        for x, d in zip(across, depth, strict=True)
    ]


def _window(x: float, y: float, reach: float) -> tuple[tuple[slice, slice], Array, Array] | None:
    """The part of the canvas about a point, and the offsets of its pixels from the point, in picture pixels."""
    edges = [
        slice(max(int((at - reach) * OVERSAMPLING), 0), min(int((at + reach) * OVERSAMPLING), limit))
        for at, limit in ((y, SHAPE[0]), (x, SHAPE[1]))
    ]
    if any(edge.start >= edge.stop for edge in edges):
        return None
    dy = np.arange(edges[0].start, edges[0].stop, dtype=np.float32)[:, None] / OVERSAMPLING - np.float32(y)
    dx = np.arange(edges[1].start, edges[1].stop, dtype=np.float32)[None] / OVERSAMPLING - np.float32(x)
    return (edges[0], edges[1]), dx, dy


def _stem(paper: _Paper, x: float, y: float, size: float) -> None:
    window = _window(x, y + 2 * size, 2.4 * size)
    if window:
        region, dx, dy = window
        lean = paper.rng.normal(0, 0.25)
        off = np.abs(dx - lean * (dy - 2 * size) * 0.5 + 0.1 * size * np.sin(dy / size))
        paper.wash(np.minimum(0.045 * size + 0.5 - off, 2 * size - np.abs(dy)), "3f7f45", 0.7, region=region)


def _flower(paper: _Paper, x: float, y: float, size: float) -> None:
    rng = paper.rng
    kind = rng.choice(3, p=[0.66, 0.22, 0.12])
    pigments = [("ff7a52", "ee4a34", "c8283f"), ("9fb0f5", "5f74dc", "3f45b0"), ("ffe98a", "f8c43f", "e0872a")][kind]
    size *= (1.0, 0.6, 0.55)[kind]
    window = _window(x, y, 1.7 * size + 3)
    if not window:
        return
    region, dx, dy = window
    turn = rng.uniform(0, 2 * np.pi)
    for layer, pigment in enumerate(pigments):
        shift = rng.normal(0, 0.14, 2) * size
        px, py = dx - shift[0], (dy - shift[1]) * rng.uniform(1.05, 1.5)
        around = np.arctan2(py, px) + turn
        petals = (4, 9, 6)[kind]
        shape = (
            0.78
            + 0.16 * np.cos(petals * around)
            + sum(rng.normal(0, 0.13) * np.cos(k * around + rng.uniform(0, 6)) for k in (1, 2, 3, 5))
        )
        away = np.hypot(px, py)
        radius = size * (1.0, 0.82, 0.5)[layer] * shape
        if layer == 0:
            paper.mask(radius - away, region)
        pool = 0.62 + 0.3 * np.clip(dy / size, -1, 1) + 0.16 * paper.grain[region]
        paper.wash(radius - away, pigment, np.clip(pool, 0.1, 1.2), wet=(0.0, 0.4, 1.0)[layer], region=region)
    if size > 6:
        paper.wash(0.17 * size - np.hypot(dx, dy * 1.2), "2a1f3a", 0.95, wet=0.8, region=region)


def _spatter(paper: _Paper) -> None:
    rng = paper.rng
    for pigment, count in [("dd2a24", 70), ("3f4fc0", 40), ("2f7a5a", 50), ("e8a82a", 40)]:
        for _ in range(count):
            radius = rng.exponential(1.1) + 0.7
            window = _window(rng.uniform(0, 640), 480 * rng.beta(3, 1.4), radius + 3)
            if window:
                region, dx, dy = window
                paper.wash(radius - np.hypot(dx, dy), pigment, rng.uniform(0.3, 0.8), region=region)
