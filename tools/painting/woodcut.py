"""A mountain lake under a red sun, cut into wood and printed in four inks on handmade paper."""

import numpy as np
from scipy import ndimage

from painting.canvas import Array, finished, grid, noise, palette, smoothstep

_PAPER, _OCHER, _RED, _BLUE, _BLACK = palette("f1e3c4 e8a83a d3402a 2f7c8c 1b1a2b")


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    x, y = grid()
    x = x + 0.0015 * noise(rng, 0.04)
    y = y + 0.0015 * noise(rng, 0.04)
    scene = _Scene(rng, x, y)
    paper = _paper(rng)
    picture = paper
    plates = [
        (_OCHER, scene.ocher(), (0.0, 0.004)),
        (_RED, scene.red(), (0.003, -0.002)),
        (_BLUE, scene.blue(), (-0.003, 0.002)),
        (_BLACK, scene.black(), (0.0, 0.0)),
    ]
    for ink, cut, offset in plates:
        cut = ndimage.shift(cut, np.array(offset) * cut.shape[0], order=1, mode="nearest")
        picture = _printed(rng, picture, ink, cut)
    return finished(picture)


def _paper(rng: np.random.Generator) -> Array:
    fibers = 0.5 * noise(rng, (0.004, 0.05)) + 0.5 * noise(rng, (0.05, 0.004)) + 0.6 * noise(rng, 0.003, 2)
    return _PAPER * (1 + 0.022 * fibers + 0.025 * noise(rng, 0.5))[..., None]


def _printed(rng: np.random.Generator, paper: Array, ink: Array, cut: Array) -> Array:
    """Lays ink where the block stands: thinner along the grain of the wood, missing in specks."""
    grain = noise(rng, (0.004, 0.5), 2) + 0.5 * noise(rng, 0.003)
    edge = smoothstep(-0.12, 0.12, cut + 0.05 * noise(rng, 0.004, 2))
    specks = smoothstep(2.5, 1.7, noise(rng, 0.0035) + 0.35 * noise(rng, 0.06))
    film = edge * (0.3 + 0.7 * specks) * np.clip(0.9 + 0.07 * grain, 0, 1)
    pressed = 1 - 0.1 * np.exp(-((cut / 0.2) ** 2)) * edge
    return paper * (1 - film[..., None]) + (paper * 0.12 + ink * 0.88) * (film * pressed)[..., None]


def _lines(phase: Array, tone: Array | float, ragged: Array) -> Array:
    """Strips of a carved block, positive where ink stands: one a unit of `phase`, wider where `tone` is darker."""
    saw = np.abs((phase % 1) - 0.5) * 2
    return (np.clip(tone + ragged, -0.3, 1.25) - saw).astype(np.float32)


class _Scene:
    """The drawing: for each plate where its block stands (positive) and where it is cut away."""

    def __init__(self, rng: np.random.Generator, x: Array, y: Array) -> None:
        self.x, self.y, self.rng = x, y, rng
        self.ragged = 0.10 * noise(rng, 0.012, 2)
        self.away = np.hypot(x - 0.9, y - 0.3)
        self.sun = self.away < 0.15
        self.far = 0.40 + 0.05 * noise(rng, (9, 0.35), 4)
        self.peak = self._peak()
        self.shore = 0.655 + 0.012 * noise(rng, (9, 0.2), 3)
        self.bank = 0.86 + 0.03 * noise(rng, (9, 0.3), 3) - 0.16 * np.exp(-((x / 0.3) ** 2))
        self.cloud = self._clouds()
        self.pines = self._pines()

    def _peak(self) -> Array:
        rough = 0.022 * noise(self.rng, (9, 0.12), 4)
        main = 0.13 + 0.95 * np.abs(self.x - 0.46) ** 0.92
        side = 0.34 + 0.7 * np.abs(self.x - 1.18)
        # The mountain stands before its neighbor, and its flank goes on down to the lake.
        self.flank = (self.y - main - rough).astype(np.float32)
        self.summit = np.where(self.flank > 0, 0.46, 1.12)
        return np.minimum(main, side) + rough

    def _clouds(self) -> Array:
        """Height of the canvas as the unit: distance from the edge of a cloud, positive inside."""
        bands = noise(self.rng, (0.08, 0.45), 2)
        bands = bands - 0.75 - 8 * np.clip(self.y - 0.26, 0, 1)
        steepness = np.hypot(*np.gradient(bands)) * bands.shape[0]
        return (bands / np.maximum(steepness, 1)).astype(np.float32)

    def _pines(self) -> Array:
        """Positive inside the trees on the near bank."""
        inside = np.full(self.x.shape, -1, np.float32)
        self.needles = np.zeros(self.x.shape, np.float32)
        trunks = [(0.07, 0.17, 1.0), (0.17, 0.33, 0.8), (0.255, 0.45, 0.62), (1.27, 0.42, 0.75), (1.19, 0.58, 0.5)]
        for trunk, top, size in trunks:
            down = (self.y - top) / (0.62 * size)
            tooth = (down * 9 + 2.2 * np.abs(self.x - trunk) / size) % 1
            wide = 0.16 * size * down * (0.55 + 0.5 * tooth)
            tree = np.where((down > 0) & (down < 1.02), (wide - np.abs(self.x - trunk)) * 30, -1)
            self.needles = np.where(tree > inside, (self.y + 0.55 * np.abs(self.x - trunk)) * 62, self.needles)
            inside = np.maximum(inside, tree)
        return inside

    def _land(self) -> tuple[Array, Array, Array]:
        peak = (self.y > self.peak) & (self.y < self.shore)
        far = (self.y > self.far + 0.1) & (self.y < self.shore) & ~peak
        lake = (self.y >= self.shore) & (self.y < self.bank)
        return peak, far, lake

    def ocher(self) -> Array:
        """A glow about the sun that fades into the sky and onto the water."""
        sky = 1.1 - self.away * 1.35 + 0.1 * noise(self.rng, (0.02, 0.3), 2)
        lit = _lines(self.away * 34, sky, self.ragged)
        lake = np.where(
            self.y > self.shore, _lines(self.y * 60 + self._ripple(), 0.9 - 4 * np.abs(self.x - 0.9), self.ragged), lit
        )
        return np.where(self.sun, 1, np.maximum(lake, (self.y > self.bank) * 1.0)).astype(np.float32)

    def _ripple(self) -> Array:
        return 1.2 * noise(self.rng, (0.03, 0.2)) + 0.4 * np.sin(self.x * 40 + self.y * 90)

    def red(self) -> Array:
        """The sun, its path on the lake, and the mountain's lit side."""
        peak, _, lake = self._land()
        path = _lines(
            self.y * 46 + self._ripple(), 0.75 - 7 * np.abs(self.x - 0.9 + 0.05 * noise(self.rng, 0.05)), self.ragged
        )
        slope = _lines((self.x - self.y) * 38 + noise(self.rng, 0.1), 0.55 + 1.8 * (self.x - self.summit), self.ragged)
        plate = np.where(self.sun, 1, -1.0)
        plate = np.where(peak & (self.x > self.summit), slope, plate)
        return np.where(lake, path, np.where((self.y > self.peak) & ~peak & ~lake, -1, plate)).astype(np.float32)

    def blue(self) -> Array:
        """Sky at the top, far hills, shadowed slopes, and water."""
        peak, far, lake = self._land()
        sky = _lines(
            self.y * 42 + 0.9 * noise(self.rng, (0.1, 0.4), 2),
            0.85 - 2.1 * self.y + 0.5 * (self.away - 0.6),
            self.ragged,
        )
        plate = np.where(self.sun, -1, sky)
        plate = np.where(self.cloud > 0, -1, plate)
        plate = np.where(far, 1, plate)
        plate = np.where(
            peak, _lines((self.x + self.y) * 30, 0.9 - 1.6 * (self.x - self.summit + 0.2), self.ragged), plate
        )
        water = _lines(self.y * 50 + self._ripple(), 0.35 + 1.3 * np.abs(self.x - 0.9), self.ragged)
        return np.where(lake, water, np.where(self.y > self.bank, -1, plate)).astype(np.float32)

    def black(self) -> Array:
        """Outlines, rock, reflections, and the near bank with its pines."""
        peak, far, lake = self._land()
        plate = _lines(self.away * 26 + 0.3 * noise(self.rng, 0.1), 0.95 * (self.away - 0.55), self.ragged)
        plate = np.maximum(np.where(self.cloud > 0, -1, plate), 1 - np.abs(self.cloud) * 240)
        plate = np.where(self.sun, -1, plate)
        plate = np.where(far, _lines(self.y * 70 + 2 * noise(self.rng, (0.2, 0.1)), 0.35, self.ragged), plate)
        depth = self.y - self.peak
        rock = noise(self.rng, 0.07, 3)
        tone = 0.75 - 1.9 * (self.x - self.summit + 0.1) + 0.55 * rock - 0.9 * np.exp(-depth / 0.07)
        ridges = _lines((self.x * 0.9 + self.y * 0.5) * 34 + 1.1 * rock, tone, self.ragged)
        plate = np.where(peak, np.maximum(ridges, 1 - np.minimum(depth, np.abs(self.flank)) * 130), plate)
        mirror = 0.5 - 2.6 * np.abs(self.x - 0.42) + 0.3 * noise(self.rng, (0.02, 0.2))
        plate = np.where(
            lake,
            np.maximum(_lines(self.y * 55 + self._ripple(), mirror, self.ragged), 1 - (self.y - self.shore) * 160),
            plate,
        )
        grass = _lines(self.x * 62 + 1.5 * noise(self.rng, 0.08), 0.75 + 0.35 * noise(self.rng, 0.05, 2), self.ragged)
        plate = np.where(self.y > self.bank, np.maximum(grass, 1 - (self.y - self.bank) * 70), plate)
        needles = _lines(self.needles, np.full_like(self.x, 0.78), self.ragged)
        return np.where(self.pines > 0, np.maximum(needles, 0.4 - self.pines), plate).astype(np.float32)
