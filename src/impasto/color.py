"""Color spaces, and keeping the content's colors: before a run, by recoloring the styles, and after it.

Pictures are sRGB tensors of shape (1, 3, H, W) in [0, 1], as everywhere. `prepare` and `finisher` are what a run
calls; the rest are pure functions of tensors.

Reference: Gatys, Bethge, Hertzmann & Shechtman (2016), arXiv:1606.05897, "Preserving Color in Neural Artistic Style
Transfer".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache

import torch
from torch import Tensor

from impasto.images import Picture, resize
from impasto.recipe import Recipe

__all__ = [
    "finisher",
    "join_luma",
    "join_oklab",
    "linear_to_srgb",
    "luma",
    "match_histogram",
    "match_linear",
    "match_luma",
    "oklab_to_srgb",
    "prepare",
    "srgb_to_linear",
    "srgb_to_oklab",
    "stays_gray",
]

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

_NOTHING = 1e-8
"""A variance below this (a thousandth of one grey level, squared) is that of a flat picture."""

_GAMUT_SLACK = 1e-4
"""Linear light outside [0, 1] by this is rounding, and invisible at 16 bit once clamped."""

_BISECTIONS = 14
"""Halvings of a lightness interval; enough for a twentieth of a grey level."""

_TURNS, _BINS = 12, 1024
"""Of the histogram matching: how often the axes are turned, and the bins along each."""


def luma(image: Tensor) -> Tensor:
    """Rec. 601 luma, the Y of YIQ, of shape (B, 1, H, W). An image minus its luma holds what I and Q hold."""
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
    cones = _mix(srgb_to_linear(image), image.new_tensor(_LMS))
    return _mix(cones.clamp(min=0) ** (1 / 3), image.new_tensor(_LAB))


def oklab_to_srgb(lab: Tensor) -> Tensor:
    """The sRGB picture, shape (B, 3, H, W), of an OKLab one; what lies outside of [0, 1] is clamped."""
    return linear_to_srgb(_oklab_to_linear(lab).clamp(0, 1))


def _oklab_to_linear(lab: Tensor) -> Tensor:
    roots = _mix(lab, _inverse(_LAB).to(lab))
    return _mix(roots**3, _inverse(_LMS).to(lab))


@cache
def _inverse(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    inverse: Tensor = torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64))
    return inverse


def _mix(image: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies each pixel's three channels by a matrix of shape (3, 3)."""
    return torch.einsum("ij,bjhw->bihw", matrix, image)


def match_luma(style: Tensor, content: Tensor) -> Tensor:
    """Brings a style's luma to the mean and the deviation of the content's.

    Args:
        style: Luma, shape (1, 1, h, w).
        content: Luma, shape (1, 1, H, W).

    Returns:
        Shape (1, 1, h, w); may leave [0, 1]. A flat style becomes flat at the content's mean.

    Reference: Gatys et al. (2016), arXiv:1606.05897, "Luminance-only transfer".
    """
    variance = style.var(correction=0)
    gain = (content.var(correction=0) / variance).sqrt() if variance > _NOTHING else variance.new_ones(())
    return (style - style.mean()) * gain + content.mean()


def match_linear(style: Tensor, content: Tensor) -> Tensor:
    """Brings a style's colors to the mean and the covariance of the content's by the affine map that moves them least.

    Args:
        style: Shape (1, 3, h, w).
        content: Shape (1, 3, H, W).

    Returns:
        Shape (1, 3, h, w); may leave [0, 1]. Along colors that the style does not vary in, it stays without variation.

    Reference: Gatys et al. (2016), arXiv:1606.05897, "Color histogram matching"; Pitié & Kokaram (2007), "The linear
        Monge-Kantorovitch linear colour mapping for example-based colour transfer".
    Differs: Gatys et al. take the Cholesky factor or the square root of each covariance; the symmetric
        Monge–Kantorovich map is, of all that match, the one nearest to the identity.
    """
    (mean, covariance), (target_mean, target) = _color_moments(style), _color_moments(content)
    root, inverse_root = _power(covariance, 0.5), _power(covariance, -0.5)
    matrix = inverse_root @ _power(root @ target @ root, 0.5) @ inverse_root
    centered = style - mean.to(style).view(3, 1, 1)
    return _mix(centered, matrix.to(style)) + target_mean.to(style).view(3, 1, 1)


def _color_moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, shape (3,), and covariance, shape (3, 3), of the colors, in float64."""
    colors = image[0].flatten(1).double()
    mean = colors.mean(1)
    centered = colors - mean[:, None]
    return mean, centered @ centered.mT / centered.shape[1]


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric positive semidefinite matrix, of its range where it is singular."""
    values, vectors = torch.linalg.eigh(matrix)
    is_there = values > _NOTHING**2 + 1e-6 * values.amax()
    powers = torch.where(is_there, values.clamp(min=_NOTHING**2) ** exponent, torch.zeros_like(values))
    power: Tensor = vectors * powers @ vectors.mT
    return power


def match_histogram(style: Tensor, content: Tensor) -> Tensor:
    """Brings a style's whole color distribution to the content's, in three dimensions and not channel by channel.

    One-dimensional histograms are matched along three axes at right angles, which are turned from step to step; the
    turns are fixed, so the outcome is the same each time.

    Args:
        style: Shape (1, 3, h, w).
        content: Shape (1, 3, H, W).

    Returns:
        Shape (1, 3, h, w), each channel within the range of the content's.

    Reference: Gatys et al. (2016), arXiv:1606.05897, "Color histogram matching"; Pitié, Kokaram & Dahyot (2007),
        "Automated colour grading using colour distribution transfer".
    """
    colors, wanted = style[0].flatten(1), content[0].flatten(1)
    generator = torch.Generator().manual_seed(0)
    turns = [torch.linalg.qr(torch.randn((3, 3), generator=generator)).Q for _ in range(_TURNS)]
    for turn in [*turns, torch.eye(3)]:  # red, green and blue come last: their ranges hold
        axes = turn.to(colors)
        moved = [_match_values(own, other) for own, other in zip(axes @ colors, axes @ wanted, strict=True)]
        colors = axes.mT @ torch.stack(moved)
    return colors.view_as(style)


def _match_values(values: Tensor, wanted: Tensor) -> Tensor:
    """Maps values, shape (N,), by an increasing function that gives them the histogram of `wanted`, shape (M,)."""
    (positions, shares, _), (_, wanted_shares, edges) = _histogram(values), _histogram(wanted)
    above = torch.searchsorted(wanted_shares, shares).clamp(1, _BINS)
    start, end = wanted_shares[above - 1], wanted_shares[above]
    part = ((shares - start) / (end - start).clamp(min=1e-12)).clamp(0, 1).to(edges)
    table = torch.lerp(edges[above - 1], edges[above], part)
    below = positions.long().clamp(max=_BINS - 1)
    return torch.lerp(table[below], table[below + 1], positions - below)


def _histogram(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each value's place among the edges of the bins; the share of values below each edge; the edges."""
    low, high = values.aminmax()
    positions = (values - low) / (high - low).clamp(min=1e-6) * _BINS
    counts = torch.bincount(positions.long().clamp(max=_BINS - 1), minlength=_BINS).cumsum(0).double()
    edges = torch.lerp(low, high, torch.linspace(0, 1, _BINS + 1, device=values.device))
    return positions, torch.cat([counts.new_zeros(1), counts / len(values)]), edges


def join_luma(brightness: Tensor, chroma: Tensor) -> Tensor:
    """The picture of a luma and a chroma; luma that has no such chroma gives way, chroma is kept.

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

    Where sRGB has no color of that lightness with that a and b, lightness moves towards that of `colors`, where it
    has, and just so far: colors are kept exactly.

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
    outside, inside = torch.zeros_like(wanted), torch.ones_like(wanted)  # shares of the way to what is possible
    for _ in range(_BISECTIONS):
        share = (outside + inside) / 2
        fits = _is_in_gamut(torch.cat([torch.lerp(wanted, possible, share), ab], 1))
        outside, inside = torch.where(fits, outside, share), torch.where(fits, share, inside)
    share = torch.where(_is_in_gamut(torch.cat([wanted, ab], 1)), 0, inside)
    return oklab_to_srgb(torch.cat([torch.lerp(wanted, possible, share), ab], 1))


def _is_in_gamut(lab: Tensor) -> Tensor:
    """Which pixels sRGB has, shape (B, 1, H, W)."""
    light = _oklab_to_linear(lab)
    return ((light >= -_GAMUT_SLACK) & (light <= 1 + _GAMUT_SLACK)).all(1, keepdim=True)


def prepare(
    content: Picture,
    styles: Sequence[Picture],
    recipe: Recipe,
    size: tuple[int, int],
    style_sizes: Sequence[tuple[int, int]],
) -> tuple[Picture, list[Picture]]:
    """The pictures that a run works on: shrunk, and recolored where the recipe keeps colors so.

    Args:
        content: The content image.
        styles: The style images; each is matched on its own.
        recipe: Its `preserve_color` and `color_strength` are looked at.
        size: The largest height and width at which the content is looked at; a larger picture is shrunk to it first.
        style_sizes: The same of each style.
    """
    content = _at_most(content, size)
    styles = [_at_most(style, largest) for style, largest in zip(styles, style_sizes, strict=True)]
    strength = recipe.color_strength / 100
    if not strength or recipe.preserve_color in ("none", "oklab"):
        return content, list(styles)
    if recipe.preserve_color == "luminance":
        brightness = luma(content.pixels)
        return _faded(content, brightness, strength), [
            _faded(style, match_luma(luma(style.pixels), brightness), strength) for style in styles
        ]
    match = match_histogram if recipe.preserve_color == "histogram" else match_linear
    matched = [match(style.pixels, content.pixels).clamp(0, 1) for style in styles]
    return content, [
        replace(style, samples=torch.lerp(style.pixels, target, strength))
        for style, target in zip(styles, matched, strict=True)
    ]


def _at_most(picture: Picture, size: tuple[int, int]) -> Picture:
    is_larger = math.prod(picture.size) > math.prod(size)
    return replace(picture, samples=resize(picture.pixels, size)) if is_larger else picture


def _faded(picture: Picture, brightness: Tensor, strength: float) -> Picture:
    """A picture on its way to the luma given; its chroma goes with the root, as `finisher` weakens it once more."""
    colors = picture.pixels
    own = luma(colors)
    pixels = torch.lerp(own, brightness, strength) + (colors - own) * (1 - strength) ** 0.5
    return replace(picture, samples=pixels.clamp(0, 1))


def finisher(content: Picture, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """What a run's picture, at any size, goes through before it is shown or saved.

    Args:
        content: The content image, as it was before `prepare`.
        recipe: Its `preserve_color` and `color_strength` are looked at.

    Returns:
        A function from and to a tensor of shape (1, 3, H, W) in [0, 1]; it returns the tensor itself if there is
        nothing to do.
    """
    strength = recipe.color_strength / 100

    @lru_cache(maxsize=1)
    def colors_at(size: tuple[int, int]) -> Tensor:
        return resize(content.pixels, size)

    def finish(image: Tensor) -> Tensor:
        if not strength or recipe.preserve_color == "none":
            return image
        if recipe.preserve_color in ("histogram", "linear"):
            return luma(image).expand_as(image) if stays_gray(content, recipe) else image
        colors = colors_at((image.shape[-2], image.shape[-1])).to(image)
        if recipe.preserve_color == "oklab":
            return torch.lerp(image, join_oklab(image, colors), strength)
        brightness = luma(image)
        # The styles' chroma was weakened by the root before the run, and is by the root after it: at full strength,
        # where the run sees grey, nothing is left of what it may have added.
        chroma = (image - brightness) * (1 - strength) ** 0.5 + (colors - luma(colors)) * strength
        return join_luma(brightness, chroma)

    return finish


def stays_gray(content: Picture, recipe: Recipe) -> bool:
    """Whether the picture is to be grey because the content is, and its colors are to be kept in full."""
    return content.is_gray and recipe.preserve_color != "none" and recipe.color_strength == 100
