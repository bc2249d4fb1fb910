"""Keeping the content's colors: before a run, by recoloring the styles, and after it.

Pictures are sRGB tensors of shape (1, 3, H, W) in [0, 1], as everywhere. `prepare` and `finisher` are what a run
calls; the rest are pure functions of tensors.

Reference: Gatys, Bethge, Hertzmann & Shechtman (2016), arXiv:1606.05897, "Preserving Color in Neural Artistic Style
Transfer".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from impasto.images import Picture, fill_transparent, resize
from impasto.images.color_spaces import join_luma, join_oklab, luma, mix_channels
from impasto.recipe import Recipe

_NOTHING = 1e-8
"""Variance below which a picture counts as flat: about a thousandth of a squared gray level."""

_TURNS, _BINS = 12, 1024
"""Of the histogram matching: the number of rotations of the axes, and of bins along each."""


def match_luma(style: Tensor, content: Tensor) -> Tensor:
    """Matches the mean and the standard deviation of a style's luma to the content's.

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
    """Matches mean and covariance of a style's colors to the content's, by the affine map that moves colors least.

    Args:
        style: Shape (1, 3, h, w).
        content: Shape (1, 3, H, W).

    Returns:
        Shape (1, 3, h, w); may leave [0, 1]. Directions in which the style's colors do not vary stay without variation.

    Reference: Gatys et al. (2016), arXiv:1606.05897, "Color histogram matching"; Pitié & Kokaram (2007), "The linear
        Monge-Kantorovitch linear colour mapping for example-based colour transfer".
    Differs: Gatys et al. take the Cholesky factor or the square root of each covariance; the symmetric
        Monge–Kantorovich map is, of all maps that match, the one nearest to the identity.
    """
    return match_moments(style, *color_moments(content))


def match_moments(image: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Brings colors to a mean and a covariance by the affine map that moves them least; see `match_linear`.

    Args:
        image: Shape (1, 3, H, W).
        mean: Shape (3,), float64.
        covariance: Shape (3, 3), float64.

    Returns:
        Shape (1, 3, H, W); may leave [0, 1].
    """
    own_mean, own = color_moments(image)
    root, inverse_root = _power(own, 0.5), _power(own, -0.5)
    matrix = inverse_root @ _power(root @ covariance @ root, 0.5) @ inverse_root
    return mix_channels(image - own_mean.to(image).view(3, 1, 1), matrix.to(image)) + mean.to(image).view(3, 1, 1)


def color_moments(image: Tensor) -> tuple[Tensor, Tensor]:
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
    """Matches a style's color distribution to the content's, in three dimensions and not channel by channel.

    One-dimensional histograms are matched along three orthogonal axes, which are rotated from step to step. The
    rotations are fixed, so the result is reproducible.

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


def prepare(
    content: Picture,
    styles: Sequence[Picture],
    recipe: Recipe,
    size: tuple[int, int],
    style_sizes: Sequence[tuple[int, int]],
) -> tuple[Picture, list[Picture]]:
    """The pictures that a run works on: shrunk, and recolored if the recipe says so.

    Args:
        content: The content image.
        styles: The style images; each is matched on its own.
        recipe: With `preserve_color` and `color_strength`.
        size: The largest height and width at which the content is used; a larger picture is shrunk to it first.
        style_sizes: The same for each style.
    """
    content = _at_most(content, size)
    styles = [_at_most(style, largest) for style, largest in zip(styles, style_sizes, strict=True)]
    strength = recipe.color_strength / 100
    if not strength or recipe.preserve_color in ("none", "oklab"):
        return content, list(styles)
    if recipe.preserve_color == "luminance":
        grays = [_in_grays_of(content, style, strength) for style in styles]
        return _faded(content, luma(content.pixels), strength), grays
    match = match_histogram if recipe.preserve_color == "histogram" else match_linear
    return content, [_matched(style, content, match, strength) for style in styles]


def _matched(style: Picture, content: Picture, match: Callable[[Tensor, Tensor], Tensor], strength: float) -> Picture:
    """A style, recolored in part or in full to the content's colors; only visible parts count."""
    pixels = style.pixels
    own = _visible(style, pixels)
    matched = match(own, _visible(content, content.pixels)).clamp(0, 1)
    return fill_transparent(replace(style, samples=_put_back(style, pixels, torch.lerp(own, matched, strength))))


def _in_grays_of(content: Picture, style: Picture, strength: float) -> Picture:
    """A style, faded to gray and to the content's luma; only visible parts count."""
    own = luma(style.pixels)
    matched = match_luma(_visible(style, own), _visible(content, luma(content.pixels)))
    return fill_transparent(_faded(style, _put_back(style, own, matched), strength))


def _visible(picture: Picture, values: Tensor) -> Tensor:
    """The values, shape (1, C, H, W), at the picture's visible pixels, shape (1, C, 1, N); all if there is no alpha."""
    return values if picture.alpha is None else values[..., _is_visible(picture.alpha)][:, :, None]


def _put_back(picture: Picture, values: Tensor, visible: Tensor) -> Tensor:
    """The values, replaced at the pixels that `_visible` takes."""
    if picture.alpha is None:
        return visible
    values = values.clone()
    values[..., _is_visible(picture.alpha)] = visible[:, :, 0]
    return values


def _is_visible(alpha: Tensor) -> Tensor:
    """Pixels that are at least half as opaque as the most opaque one, shape (H, W)."""
    return alpha[0, 0] >= alpha.amax() / 2


def _at_most(picture: Picture, size: tuple[int, int]) -> Picture:
    is_larger = math.prod(picture.size) > math.prod(size)
    if not is_larger:
        return picture
    alpha = None if picture.alpha is None else resize(picture.alpha, size)
    return replace(picture, samples=resize(picture.pixels, size), alpha=alpha)


def _faded(picture: Picture, brightness: Tensor, strength: float) -> Picture:
    """A picture faded to the luma given; its chroma fades by the square root, since `finisher` fades it once more."""
    colors = picture.pixels
    own = luma(colors)
    pixels = torch.lerp(own, brightness, strength) + (colors - own) * (1 - strength) ** 0.5
    return replace(picture, samples=pixels.clamp(0, 1))


def finisher(content: Picture, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """The postprocessing of a run's picture, at any size, before it is shown or saved.

    Args:
        content: The content image, as it was before `prepare`.
        recipe: With `preserve_color` and `color_strength`.

    Returns:
        A function from and to a tensor of shape (1, 3, H, W) in [0, 1]; it returns the tensor itself if nothing
        changes.
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
        # where the run sees gray, nothing is left of what it may have added.
        chroma = (image - brightness) * (1 - strength) ** 0.5 + (colors - luma(colors)) * strength
        return join_luma(brightness, chroma)

    return finish


def style_colors(
    styles: Sequence[Tensor], masks: Sequence[Tensor | None], shares: Sequence[float], recipe: Recipe
) -> Callable[[Tensor], Tensor]:
    """Brings a picture's colors to the mean and the covariance of the styles': a cosine says nothing of contrast.

    Args:
        styles: Shapes (1, 3, h, w), as the run looks at them.
        masks: Which part of each counts, shapes (1, 1, ?, ?); None for all.
        shares: Of each style; only ratios count.
        recipe: Below 50, its strength turns this down as well, to nothing at 0.

    Returns:
        A function from and to a tensor of shape (1, 3, H, W) in [0, 1].

    Reference: Kolkin et al. (2022), arXiv:2203.13215, section 3.5, matches the moments of colors likewise.
    """
    strength = min(1.0, recipe.strength / 50)
    moments = [color_moments(_counting(*pair)) for pair in zip(styles, masks, strict=True)]
    weights = [share / sum(shares) for share in shares]
    mean = torch.stack([weight * own for weight, (own, _) in zip(weights, moments, strict=True)]).sum(0)
    covariance = torch.stack(
        [
            weight * (own + torch.outer(middle - mean, middle - mean))
            for weight, (middle, own) in zip(weights, moments, strict=True)
        ]
    ).sum(0)

    def match(image: Tensor) -> Tensor:
        return torch.lerp(image, match_moments(image, mean, covariance).clamp(0, 1), strength)

    return match


def _counting(style: Tensor, mask: Tensor | None) -> Tensor:
    """The pixels of a style that its mask lets count, shape (1, 3, N, 1)."""
    if mask is None:
        return style
    shares = resize(mask, (style.shape[-2], style.shape[-1]))[0, 0]
    return style[..., shares >= shares.amax() / 2][..., None]


def stays_gray(content: Picture, recipe: Recipe) -> bool:
    """Whether the picture stays gray, because the content is gray and its colors are kept in full."""
    return content.is_gray and recipe.preserve_color != "none" and recipe.color_strength == 100
