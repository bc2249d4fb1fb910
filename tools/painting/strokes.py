"""A brush: strokes of thick paint with bristle marks, laid along a field of directions."""

from dataclasses import dataclass

import numpy as np

from painting.canvas import OVERSAMPLING, SHAPE, Array, jitter

_ALONG, _ACROSS = 48, 40


@dataclass(frozen=True)
class Brush:
    """How a layer of strokes is laid.

    Attributes:
        width: Width of a stroke in pixels of the finished picture.
        length: Its length in the same unit.
        spacing: Distance between strokes as a fraction of the width; smaller covers more.
        load: Thickness of the paint.
        dryness: How early bristles run out of paint, 0 to 1.
        lightness: Variation of lightness from stroke to stroke (Oklab).
        hue: Variation of hue from stroke to stroke (Oklab).
        streaks: Variation of color within a stroke, from bristle to bristle (Oklab).
        wobble: Variation of the direction in radians.
    """

    width: float
    length: float
    spacing: float = 0.75
    load: float = 1.0
    dryness: float = 0.25
    lightness: float = 0.035
    hue: float = 0.018
    streaks: float = 0.05
    wobble: float = 0.12


class PaintedCanvas:
    """A canvas of wet paint.

    Attributes:
        color: RGB of shape (H, W, 3).
        height: Thickness of the paint in canvas pixels, shape (H, W).
    """

    def __init__(self, ground: Array, rng: np.random.Generator) -> None:
        self.color = np.broadcast_to(ground, (*SHAPE, 3)).astype(np.float32)
        self.height = np.zeros(SHAPE, np.float32)
        self._rng = rng
        self._bristles = [self._bristle_marks() for _ in range(24)]

    def _bristle_marks(self) -> Array:
        """A table (along, across) in [0, 1]: lines that start and end softly, as bristles leave them."""
        across = self._rng.standard_normal(_ACROSS + 2)
        across = across[:-2] * 0.25 + across[1:-1] * 0.5 + across[2:] * 0.25
        drift = np.cumsum(self._rng.standard_normal((_ALONG, _ACROSS)), 0) / np.sqrt(_ALONG)
        marks = across * 1.6 + drift * 0.8
        ranks = marks.ravel().argsort().argsort().reshape(marks.shape)
        return (ranks / ranks.max()).astype(np.float32)

    def lay(self, reference: Array, angle: Array, brush: Brush, where: Array | None = None) -> None:
        """Covers the canvas with strokes in random order.

        Args:
            reference: The color that a stroke takes at its middle, shape (H, W, 3).
            angle: Direction of the strokes in radians, shape (H, W).
            brush: How they are laid.
            where: Probability of a stroke, shape (H, W); everywhere where None.
        """
        rng = self._rng
        step = max(brush.width * brush.spacing * OVERSAMPLING, 1.0)
        along = max(step, brush.length * OVERSAMPLING * brush.spacing * 0.45)
        pitch = np.sqrt(step * along)
        rows, columns = np.mgrid[0 : SHAPE[0] + pitch : pitch, 0 : SHAPE[1] + pitch : pitch]
        points = np.stack([rows.ravel(), columns.ravel()], -1)
        points = points + rng.uniform(-0.6, 0.6, points.shape) * pitch
        rng.shuffle(points)
        at = np.clip(points.astype(int), 0, [SHAPE[0] - 1, SHAPE[1] - 1])
        if where is not None:
            kept = rng.random(len(at)) < where[at[:, 0], at[:, 1]]
            points, at = points[kept], at[kept]
        colors = reference[at[:, 0], at[:, 1]]
        colors = jitter(colors, rng, brush.lightness, brush.hue)
        seconds = jitter(colors, rng, brush.streaks, brush.streaks * 0.6)
        angles = angle[at[:, 0], at[:, 1]] + rng.normal(0, brush.wobble, len(at))
        sizes = np.exp(rng.normal(0, 0.16, (len(at), 2))) * [brush.length, brush.width] * OVERSAMPLING
        for i, (y, x) in enumerate(points):
            bend = self._bend(angle, at[i], angles[i], sizes[i, 0])
            self._stroke(y, x, angles[i], bend, sizes[i], (colors[i], seconds[i]), brush)

    @staticmethod
    def _bend(angle: Array, at: np.ndarray, direction: float, length: float) -> float:
        """Curvature of the field along a stroke, per canvas pixel; directions count modulo half a turn."""
        reach = length * 0.3 * np.array([np.sin(direction), np.cos(direction)])
        ahead = np.clip((at + reach).astype(int), 0, [SHAPE[0] - 1, SHAPE[1] - 1])
        behind = np.clip((at - reach).astype(int), 0, [SHAPE[0] - 1, SHAPE[1] - 1])
        turn = angle[ahead[0], ahead[1]] - angle[behind[0], behind[1]]
        turn = (turn + np.pi / 2) % np.pi - np.pi / 2
        return float(np.clip(turn / (0.6 * length), -1.3 / length, 1.3 / length))

    def _stroke(
        self, y: float, x: float, angle: float, bend: float, size: Array, colors: tuple[Array, Array], brush: Brush
    ) -> None:
        length, width = size / 2
        reach = np.hypot(length, width) + abs(bend) * length**2 / 2 + 2
        top, bottom = max(int(y - reach), 0), min(int(y + reach) + 1, SHAPE[0])
        left, right = max(int(x - reach), 0), min(int(x + reach) + 1, SHAPE[1])
        if top >= bottom or left >= right:
            return
        dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
        dx = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        u = dx * cos + dy * sin
        v = (dy * cos - dx * sin - u * u * np.float32(bend / 2)) / np.float32(width)
        u /= np.float32(length)
        near = (np.abs(u) < 0.999) & (np.abs(v) < 0.999)
        rows, columns = np.nonzero(near)
        u, v = u[near], v[near]
        table = self._bristles[int(self._rng.integers(len(self._bristles)))]
        marks = table[((u + 1) * (_ALONG / 2)).astype(np.int32), ((v + 1) * (_ACROSS / 2)).astype(np.int32)]

        # A bristle ends earlier or later than its neighbors, and those with little paint first.
        edge = np.abs(v)
        cap = np.sqrt(1 - edge * edge) * np.float32(width / length)
        end = 1 - np.float32(width / length) + cap - (1 - marks) * np.float32(0.22 * (0.4 + brush.dryness))
        cover = np.clip((end - np.abs(u)) * np.float32(length / 2.5), 0, 1)
        cover *= np.clip((1 - edge) * np.float32(width / 1.6), 0, 1)
        cover *= np.clip((marks - (u * np.float32(0.9) - np.float32(0.9 - brush.dryness))) * 7, 0, 1)

        index = (rows + top, columns + left)
        paint = colors[0] + (colors[1] - colors[0]) * marks[:, None]
        self.color[index] += (paint - self.color[index]) * cover[:, None]
        ridge = np.exp(-(((edge - 0.82) / 0.14) ** 2)) * 0.5 + np.exp(-(((u - 0.75) / 0.2) ** 2)) * 0.3
        thickness = np.float32(brush.load) * (0.35 + 0.9 * marks + ridge)
        below = self.height[index]
        self.height[index] = below + (thickness + 0.35 * below - below) * cover
