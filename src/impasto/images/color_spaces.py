"""Color spaces: luma, linear light and OKLab, and joining the lightness of one picture with the colors of another.

Pictures are sRGB tensors of shape (B, 3, H, W) in [0, 1].
"""

from functools import cache

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
"""Rec. 601, as in YIQ."""

_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)

_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)

_GAMUT_SLACK = 1e-4
"""How far linear light may leave [0, 1] and still count as rounding; clamping that is invisible at 16 bit."""

_BISECTIONS = 14
"""Halvings of a lightness interval; enough for a twentieth of a gray level."""


def luma(image: Tensor) -> Tensor:
    """Rec. 601 luma, the Y of YIQ, shape (B, 1, H, W). An image minus its luma is its chroma, as I and Q are."""
    return (image * image.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def srgb_to_linear(image: Tensor) -> Tensor:
    """Decodes sRGB to linear light (IEC 61966-2-1); any shape, both in [0, 1]."""
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Tensor) -> Tensor:
    """Encodes linear light as sRGB (IEC 61966-2-1); any shape, both in [0, 1]."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def srgb_to_oklab(image: Tensor) -> Tensor:
    """OKLab of an sRGB picture.

    Args:
        image: Shape (B, 3, H, W), in [0, 1].

    Returns:
        Shape (B, 3, H, W): L in [0, 1], a (green to red) and b (blue to yellow) within about ±0.4.

    Reference: Ottosson (2020), "A perceptual color space for image processing".
    """
    cones = mix_channels(srgb_to_linear(image), image.new_tensor(_LMS))
    return mix_channels(cones.clamp(min=0) ** (1 / 3), image.new_tensor(_LAB))


def oklab_to_srgb(lab: Tensor) -> Tensor:
    """The sRGB picture, shape (B, 3, H, W), of an OKLab one; values outside [0, 1] are clamped."""
    return linear_to_srgb(_oklab_to_linear(lab).clamp(0, 1))


def _oklab_to_linear(lab: Tensor) -> Tensor:
    roots = mix_channels(lab, _inverse(_LAB).to(lab))
    return mix_channels(roots**3, _inverse(_LMS).to(lab))


@cache
def _inverse(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    inverse: Tensor = torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64))
    return inverse


def mix_channels(image: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies each pixel's three channels by a matrix of shape (3, 3)."""
    return torch.einsum("ij,bjhw->bihw", matrix, image)


def join_luma(brightness: Tensor, chroma: Tensor) -> Tensor:
    """Joins luma and chroma. Where sRGB cannot have both, luma changes and chroma is kept.

    Args:
        brightness: Luma, shape (B, 1, H, W).
        chroma: A picture minus its luma, shape (B, 3, H, W).

    Returns:
        Shape (B, 3, H, W), in [0, 1].
    """
    lowest, highest = -chroma.amin(1, keepdim=True), 1 - chroma.amax(1, keepdim=True)
    return (brightness.clamp(lowest, highest) + chroma).clamp(0, 1)


def join_oklab(image: Tensor, colors: Tensor) -> Tensor:
    """The lightness of one picture with the colors (a and b of OKLab) of another.

    Where sRGB has no color of that lightness with that a and b, lightness moves toward that of `colors`, as far as
    needed: a and b are kept exactly.

    Args:
        image: Gives the lightness, shape (B, 3, H, W), in [0, 1].
        colors: Gives a and b, shape (B, 3, H, W), in [0, 1].

    Returns:
        Shape (B, 3, H, W), in [0, 1].

    Reference: Ottosson (2020), "A perceptual color space for image processing"; on the gamut, Ottosson (2021), "sRGB
        gamut clipping".
    """
    wanted = srgb_to_oklab(image)[:, :1]
    possible, ab = srgb_to_oklab(colors).tensor_split((1,), dim=1)
    outside, inside = (
        torch.zeros_like(wanted),
        torch.ones_like(wanted),
    )  # shares of the way to a lightness that is possible
    for _ in range(_BISECTIONS):
        share = (outside + inside) / 2
        fits = _is_in_gamut(torch.cat([torch.lerp(wanted, possible, share), ab], 1))
        outside, inside = torch.where(fits, outside, share), torch.where(fits, share, inside)
    share = torch.where(_is_in_gamut(torch.cat([wanted, ab], 1)), 0, inside)
    return oklab_to_srgb(torch.cat([torch.lerp(wanted, possible, share), ab], 1))


def _is_in_gamut(lab: Tensor) -> Tensor:
    """Which pixels lie in the gamut of sRGB, shape (B, 1, H, W)."""
    light = _oklab_to_linear(lab)
    return ((light >= -_GAMUT_SLACK) & (light <= 1 + _GAMUT_SLACK)).all(1, keepdim=True)
