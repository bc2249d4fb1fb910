"""What every painter starts from: a canvas larger than the picture, smooth noise, palettes, and light on a relief."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
"""Numbers on the canvas; float32 where nothing else is said."""

WIDTH, HEIGHT = 640, 480
"""Size of a finished picture, in pixels."""

OVERSAMPLING = 2
"""Canvas pixels per picture pixel: edges are painted hard and become smooth when the canvas is shrunk."""

SHAPE = (HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING)

_OKLAB_FROM_LMS = np.array([[0.2105, 0.7936, -0.0041], [1.978, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
_LMS_FROM_RGB = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.63]])


def grid() -> tuple[Array, Array]:
    """Coordinates x in [0, 4/3] and y in [0, 1] of the canvas, y downward, each of shape `SHAPE`."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32) / SHAPE[0]
    return x, y


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a soft slope between; `low` above `high` turns it round."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def noise(rng: np.random.Generator, size: float | tuple[float, float], octaves: int = 1) -> Array:
    """Smooth noise over the canvas with mean 0 and standard deviation 1.

    Args:
        rng: Source of randomness.
        size: Size of its blobs as a fraction of the canvas height, or one each for y and x.
        octaves: How many times finer detail, each half as large and half as strong, is added.
    """
    sizes = (size, size) if isinstance(size, int | float) else size
    total = np.zeros(SHAPE, np.float32)
    for octave in range(octaves):
        cells = [max(edge / SHAPE[0] / extent * 2**octave, 1e-3) for edge, extent in zip(SHAPE, sizes, strict=True)]
        coarse = [min(int(np.ceil(count)) + 4, edge) for count, edge in zip(cells, SHAPE, strict=True)]
        values = rng.standard_normal(coarse).astype(np.float32)
        position = [
            np.linspace(1, 1 + min(count, number - 3), edge)
            for count, number, edge in zip(cells, coarse, SHAPE, strict=True)
        ]
        total += _interpolated(values, *position) / 2**octave
    return (total - total.mean()) / total.std()


def _interpolated(values: Array, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Array:
    """Smooth interpolation of a table at the crossings of fractional rows and columns, one axis after the other."""
    for axis, position in enumerate((rows, columns)):
        at = np.minimum(position.astype(int), values.shape[axis] - 3)
        t = (position - at).astype(np.float32)
        cubic = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
        form = (-1, 1) if axis == 0 else (1, -1)
        values = sum(
            np.take(values, np.clip(at + step, 0, values.shape[axis] - 1), axis) * (weight / 6).reshape(form)
            for step, weight in zip((-1, 0, 1, 2), cubic, strict=True)
        )
    return values.astype(np.float32)


def palette(names: str) -> Array:
    """Colors from hexadecimal codes separated by blanks, as RGB in [0, 1] of shape (N, 3)."""
    return np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in names.split()], np.float32) / 255


def _to_oklab(color: Array) -> NDArray[np.float64]:
    return np.cbrt(np.asarray(color, float) ** 2.2 @ _LMS_FROM_RGB.T) @ _OKLAB_FROM_LMS.T


def _from_oklab(lab: NDArray[np.float64]) -> Array:
    linear = (lab @ np.linalg.inv(_OKLAB_FROM_LMS).T) ** 3 @ np.linalg.inv(_LMS_FROM_RGB).T
    return (np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.float32)


def ramp(t: Array, colors: Array, stops: Sequence[float] | None = None) -> Array:
    """A gradient through colors, mixed in Oklab so that blends stay clear instead of going gray.

    Args:
        t: Where on the gradient, of any shape.
        colors: RGB colors of shape (N, 3).
        stops: Where each color sits, ascending; evenly over [0, 1] where None.

    Returns:
        RGB of shape (*t.shape, 3).
    """
    steps = np.linspace(0, 1, 513)
    at = np.linspace(0, 1, len(colors)) if stops is None else np.asarray(stops)
    lab = _to_oklab(colors)
    table = _from_oklab(np.stack([np.interp(steps * at[-1], at, lab[:, i]) for i in range(3)], -1))
    index = np.clip(t / at[-1] * 512, 0, 512).astype(np.int32)
    return table[index]


def jitter(color: Array, rng: np.random.Generator, lightness: float, hue: float) -> Array:
    """Colors shifted at random in Oklab, each row on its own: `lightness` and `hue` are standard deviations."""
    lab = _to_oklab(color)
    lab += rng.standard_normal(lab.shape) * [lightness, hue, hue]
    return _from_oklab(lab)


def mixed(below: Array, above: Array, mask: Array) -> Array:
    """`above` over `below` with an opacity of shape (H, W)."""
    return below + (above - below) * mask[..., None]


def relief(color: Array, height: Array, depth: float, gloss: float = 0.0, ambient: float = 0.35) -> Array:
    """Light from the upper left on a surface.

    Args:
        color: RGB of the surface, shape (H, W, 3).
        height: Its height in canvas pixels, shape (H, W).
        depth: Factor on the height.
        gloss: Strength of the highlights.
        ambient: Share of the light that comes from everywhere.
    """
    slope_y, slope_x = np.gradient(height * depth)
    light = np.array([-0.5, -0.62, 0.6])
    light /= np.linalg.norm(light)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    diffuse = np.clip((-slope_x * light[0] - slope_y * light[1] + light[2]) / length, 0, None) / light[2]
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    facing = np.clip((-slope_x * half[0] - slope_y * half[1] + half[2]) / length, 0, 1)
    flat = half[2] ** 40
    lit = color * (ambient + (1 - ambient) * diffuse)[..., None]
    return (lit + (gloss * (facing**40 - flat))[..., None]).astype(np.float32)


def finished(color: Array) -> NDArray[np.uint8]:
    """The picture of shape (480, 640, 3): the canvas shrunk by averaging, a little sharpened, as 8-bit RGB."""
    cells = np.clip(color, 0, 1).reshape(HEIGHT, OVERSAMPLING, WIDTH, OVERSAMPLING, 3).mean((1, 3))
    crisp = cells + 0.35 * (cells - ndimage.gaussian_filter(cells, (1, 1, 0)))
    return (np.clip(crisp, 0, 1) * 255 + 0.5).astype(np.uint8)
