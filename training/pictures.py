"""What the compact encoder learns from: photographs, paintings, sample pictures and procedural ones.

Pictures are RGB tensors (3, H, W), float32 in [0, 1] or (those to cut crops from) bytes. kodim19–24, shipwreck and
starry_night judge the result and are never loaded here but by `judges`; kodim17, kodim18 and the great wave choose
between variants and are not trained on.
"""

import os
from pathlib import Path

import matplotlib
import numpy as np
import skimage
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.random import Generator
from PIL import Image
from torch import Tensor
from training.gather import GATHERED

JUDGES = (*(f"content/kodim{i}" for i in range(19, 25)), "style/shipwreck", "style/starry_night")
VALIDATION = ("content/kodim17", "content/kodim18", "style/wave")

SAMPLES = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "hubble_deep_field", "rocket")
"""Of scikit-image's bundled pictures, those in the public domain or under CC0."""


def load(path: Path) -> Tensor:
    """Reads a picture as RGB bytes of shape (3, H, W)."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def _by_name(root: Path | None = None) -> dict[str, Path]:
    root = root or Path(os.environ["IMPASTO_IMAGES_DIR"])
    paths = sorted([*root.glob("content/*.jpg"), *root.glob("style/*.jpg")])
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def judges() -> dict[str, Tensor]:
    """The pictures that judge the result, by name."""
    return {name: load(path).float() / 255 for name, path in _by_name().items() if name in JUDGES}


def validation_pictures() -> dict[str, Tensor]:
    """The pictures that choose between variants and checkpoints, by name."""
    return {name: load(path).float() / 255 for name, path in _by_name().items() if name in VALIDATION}


def training_pictures() -> tuple[list[Tensor], list[Tensor]]:
    """The photographs (with the sample pictures) and the paintings to learn from, as bytes."""
    named = {name: path for name, path in _by_name().items() if name not in JUDGES + VALIDATION}
    photographs = [load(path) for name, path in named.items() if name.startswith("content/")]
    paintings = [load(path) for name, path in named.items() if name.startswith("style/")]
    folder = Path(skimage.__file__).parent / "data"
    for sample in SAMPLES:
        photographs.append(load(next(folder.glob(f"{sample}.*"))))
    photographs.append(load(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    return photographs, paintings


def gathered_pictures() -> tuple[list[Tensor], list[Tensor]]:
    """The photographs and the works of art that `training.gather` has found, as bytes."""
    named = _by_name(GATHERED)
    if not named:
        raise SystemExit(f"No pictures in {GATHERED}: run python -m training.gather first.")
    photographs, art = (
        [load(path) for name, path in named.items() if name.startswith(kind)] for kind in ("content", "style")
    )
    return photographs, art


GATHERED_SHARE = 0.6
"""Of the crops that are cut from gathered pictures."""


class Crops:
    """An endless, seeded stream of square crops of everything above, augmented.

    Args:
        size: Edge of a crop in pixels.
        seed: Of every choice made.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.rng = size, np.random.default_rng(seed)
        self.photographs, self.paintings = zip(training_pictures(), gathered_pictures(), strict=True)

    def draw(self) -> Tensor:
        """The next crop, of shape (3, size, size)."""
        kind = self.rng.random()
        if kind < 0.12:
            return procedural(self.rng, self.size)
        crop = self._any()
        if kind < 0.34:  # what a picture on its way from the one to the other resembles
            crop = torch.lerp(crop, self._any(), float(self.rng.uniform(0.1, 0.9)))
        if self.rng.random() < 0.3:
            crop = add_noise(self.rng, crop)
        return crop

    def photograph(self) -> Tensor:
        """A crop of a photograph."""
        return recolor(self.rng, crop_of(self.rng, self._choice(self.photographs), self.size))

    def painting(self) -> Tensor:
        """A crop of a painting."""
        return recolor(self.rng, crop_of(self.rng, self._choice(self.paintings), self.size))

    def _any(self) -> Tensor:
        return self.photograph() if self.rng.random() < 0.62 else self.painting()

    def _choice(self, sources: tuple[list[Tensor], list[Tensor]]) -> Tensor:
        pictures = sources[int(self.rng.random() < GATHERED_SHARE)]
        return pictures[int(self.rng.integers(len(pictures)))]


def crop_of(rng: Generator, picture: Tensor, size: int) -> Tensor:
    """A square of `size` pixels at a random place, scale (full resolution to the whole picture) and orientation."""
    _, height, width = picture.shape
    edge = round(np.exp(rng.uniform(np.log(min(size, height, width)), np.log(min(height, width)))))
    top, left = int(rng.integers(height - edge + 1)), int(rng.integers(width - edge + 1))
    crop = picture[:, top : top + edge, left : left + edge].float() / 255
    if edge != size:
        crop = F.interpolate(crop[None], (size, size), mode="bilinear", antialias=True, align_corners=False)[0]
    if rng.random() < 0.5:
        crop = crop.flip(2)
    return torch.rot90(crop, int(rng.integers(4)) if rng.random() < 0.4 else 0, (1, 2)).contiguous()


def recolor(rng: Generator, crop: Tensor) -> Tensor:
    """Another contrast, brightness, saturation and hue, in half of the cases."""
    if rng.random() < 0.5:
        return crop
    if rng.random() < 0.25:
        crop = crop[torch.from_numpy(rng.permutation(3))]
    gray = crop.mean(0, keepdim=True)
    crop = gray + (crop - gray) * float(rng.uniform(0.0, 1.8))
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, (3, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.15, 0.15, (3, 1, 1))).float()
    return ((crop - 0.5) * gain + 0.5 + shift).clamp(0, 1)


def add_noise(rng: Generator, crop: Tensor) -> Tensor:
    """Gaussian noise of any grain, up to what the optimizer starts from (standard deviation 90/255)."""
    _, height, width = crop.shape
    grain = int(rng.choice([1, 1, 1, 2, 4]))
    noise = torch.from_numpy(rng.standard_normal((3, height // grain + 1, width // grain + 1))).float()
    noise = F.interpolate(noise[None], scale_factor=grain, mode="nearest")[0, :, :height, :width]
    return (crop + noise * float(rng.choice([0.02, 0.05, 0.1, 0.2, 0.35]))).clamp(0, 1)


def procedural(rng: Generator, size: int) -> Tensor:
    """A picture of no camera: dead leaves, strokes, fractal or white noise, or a gradient."""
    kind = rng.choice(["leaves", "strokes", "fractal", "white", "gradient"], p=[0.3, 0.25, 0.2, 0.1, 0.15])
    if kind == "white":
        mean, std = np.array([0.485, 0.456, 0.406]), rng.uniform(0.05, 0.36)
        pixels = mean[:, None, None] + std * rng.standard_normal((3, size, size))
    elif kind == "fractal":
        pixels = fractal(rng, size)
    else:
        pixels = gradient(rng, size)
        if kind != "gradient":
            paint_shapes(rng, pixels, long=kind == "strokes")
    return torch.from_numpy(np.clip(pixels, 0, 1)).float().contiguous()


def gradient(rng: Generator, size: int) -> np.ndarray:
    """A linear passage between two colors, of shape (3, size, size)."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + x * np.cos(angle) + y * np.sin(angle)
    first, second = rng.random((2, 3, 1, 1))
    return np.asarray(first + (second - first) * ramp)


def fractal(rng: Generator, size: int) -> np.ndarray:
    """Noise whose spectrum falls as a power of the frequency, its colors correlated; shape (3, size, size)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) + 1 / size
    spectrum = np.fft.rfft2(rng.standard_normal((3, size, size))) / frequency ** rng.uniform(0.6, 1.6)
    noise = np.tensordot(rng.standard_normal((3, 3)), np.fft.irfft2(spectrum, (size, size)), 1)
    return np.asarray(rng.uniform(0.2, 0.8, (3, 1, 1)) + noise / noise.std() * rng.uniform(0.05, 0.3))


def paint_shapes(rng: Generator, pixels: np.ndarray, *, long: bool) -> None:
    """Covers `pixels` (3, size, size) in place with opaque ellipses: round leaves, or long strokes along a flow."""
    size = pixels.shape[-1]
    y, x = np.mgrid[0:size, 0:size]
    flow = rng.uniform(0, np.pi)
    palette = rng.random((int(rng.integers(3, 12)), 3))
    for _ in range(int(rng.integers(60, 350))):
        radius = min(size / 4, 2 + rng.pareto(1.5) * 4)
        aspect = rng.uniform(4, 10) if long else rng.uniform(1, 2)
        angle = flow + rng.normal(0, 0.4) if long else rng.uniform(0, np.pi)
        cy, cx = rng.uniform(0, size, 2)
        reach = int(radius * aspect) + 1
        rows = slice(max(0, int(cy) - reach), int(cy) + reach + 1)
        columns = slice(max(0, int(cx) - reach), int(cx) + reach + 1)
        dy, dx = y[rows, columns] - cy, x[rows, columns] - cx
        along = (dx * np.cos(angle) + dy * np.sin(angle)) / aspect
        across = dy * np.cos(angle) - dx * np.sin(angle)
        color = np.clip(palette[rng.integers(len(palette))] + rng.normal(0, 0.04, 3), 0, 1)
        pixels[:, rows, columns][:, along**2 + across**2 < radius**2] = color[:, None]
