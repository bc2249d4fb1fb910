"""The style term of nearest-neighbor features: every place is painted as a place of the style image that fits it.

Reference: Kolkin, Kucera, Paris, Sykora, Shechtman & Shakhnarovich (2022), "Neural Neighbor Style Transfer",
arXiv:2203.13215. Differs: L-BFGS on the pixels and not Adam on a Laplacian pyramid; layers are divided by the root mean
square of the style's features, so that any encoder will do, and weighted by the recipe; fine layers keep the parts of a
place apart instead of their mean; a content term helps to keep forms, and Gram matrices of fine layers their texture;
colors are matched by moments (`impasto.pipeline.color_preservation`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.losses.neighbors import GRID_STRIDE, CosineSums, Matching, cells_of, grid_of, nearest, on_grid
from impasto.objective.masks import Style, style_shares, to_grid
from impasto.objective.terms import Term, checked_finite
from impasto.recipe import Recipe

SCALE = 3.3
"""Constant at which the balanced picture of the default weights keeps forms and takes on strokes."""

MARGIN = 8
"""Pixels by which pictures are mirrored past their border: the border shows in features, and no place of the picture
itself should hold any of it. Places in the margin do not count."""

QUERY_SHARE = 0.75
"""Of the content in the queries at the balanced picture; the rest is the picture so far."""

Columns = Mapping[str, Tensor]
"""Hypercolumns in parts: features on the grid by layer, shapes (1, C, h, w)."""


class NeighborTerm(Term):
    """Mean cosine distance of hypercolumns from those of their matches in the style images.

    Matches are found once, from a mix of the content and the picture that a level begins with, and then stay: the term
    is a sum over places with fixed targets, as the content's.

    Args:
        encoder: Looks at all pictures.
        content_image: Shape (1, 3, H, W), RGB in [0, 1], with its margin, as all other pictures and masks.
        begin: The picture that is to be painted on, likewise.
        styles: Style images with their weights and masks.
        layers: Layers with their shares in the squared norm of a hypercolumn.
        recipe: With the strength.
        matching: How matches are found.
        visible: Which part of the picture counts, shape (1, 1, H, W) in [0, 1]; None for all.
    """

    name = "style"

    def __init__(
        self,
        encoder: Encoder,
        content_image: Tensor,
        begin: Tensor,
        styles: Sequence[Style],
        layers: Mapping[str, float],
        recipe: Recipe,
        matching: Matching,
        visible: Tensor | None = None,
    ) -> None:
        self.layers, self.shares = layers, style_shares(styles)
        self._cells = {layer: cells_of(encoder.layers[layer].stride) for layer in layers}
        self._rings = 0 if recipe.tileable else MARGIN // GRID_STRIDE
        self._grid = grid_of((content_image.shape[-2], content_image.shape[-1]))
        self._groups = [[layer] for layer in layers] if matching is Matching.BY_LAYER else [list(layers)]
        share = 1.0 if matching is Matching.OF_CONTENT else content_share(recipe.strength)
        queries = self._columns(encoder, begin.lerp(content_image, share))
        self._matches = [
            _Matches(self._candidates(encoder, style, recipe), queries, layers, self._groups) for style in styles
        ]
        inner = _inner(self._grid, self._rings).to(content_image)
        self._weights = [_place_weights(inner, self._grid, style.content_mask, visible) for style in styles]

    def begin(self, image: Tensor) -> list[Any]:
        """See `Term.begin`; sums for each group of layers, for each style."""
        return [[CosineSums() for _ in self._groups] for _ in self._matches]

    def add(self, distances: list[Any], layer: str, features: Tensor) -> None:
        """See `Term.add`."""
        features = on_grid(features, self._grid, self._cells[layer])
        group = next(index for index, group in enumerate(self._groups) if layer in group)
        for sums, matches in zip(distances, self._matches, strict=True):
            sums[group].add(features * matches.scales[layer], matches.targets[layer])

    def value(self, distances: Sequence[Any]) -> Tensor:
        """See `Term.value`."""
        values = self._distances(distances)
        return SCALE * torch.stack([share * value for share, value in zip(self.shares, values, strict=True)]).sum()

    def mean(self, distances: Sequence[Any]) -> float:
        """Of several styles, the mean by their shares."""
        values = self._distances(distances)
        return sum(share * value.item() for share, value in zip(self.shares, values, strict=True))

    def _distances(self, distances: Sequence[Any]) -> list[Tensor]:
        return [
            torch.stack([one.distance(norms, weights) for one, norms in zip(sums, matches.norms, strict=True)]).mean()
            for sums, matches, weights in zip(distances, self._matches, self._weights, strict=True)
        ]

    def _columns(self, encoder: Encoder, image: Tensor) -> Columns:
        grid = grid_of((image.shape[-2], image.shape[-1]))
        return {
            layer: on_grid(checked_finite(features, layer, encoder), grid, self._cells[layer])
            for layer, features in encoder.iter_features(image, self.layers)
        }

    def _candidates(self, encoder: Encoder, style: Style, recipe: Recipe) -> Mapping[str, Tensor]:
        """The hypercolumns that may be matched, in parts of shape (M, C), of the style image in all its rotations."""
        parts: dict[str, list[Tensor]] = {layer: [] for layer in self.layers}
        for turns in range(4 if recipe.style_rotations else 1):
            image = style.image.rot90(turns, (2, 3))
            mask = None if style.style_mask is None else style.style_mask.rot90(turns, (2, 3))
            grid = grid_of((image.shape[-2], image.shape[-1]))
            chosen = _chosen(grid, max(1, self._rings), mask).to(image.device)
            for layer, features in self._columns(encoder, image).items():
                parts[layer].append(features[0, :, chosen].mT)
        return {layer: torch.cat(columns) for layer, columns in parts.items()}


class _Matches:
    """The style's features at the places that fit.

    Attributes:
        targets: By layer, scaled, shape (1, C, h, w).
        norms: Of the targets' hypercolumns, for each group of layers, shape (1, h, w).
        scales: What the picture's features are multiplied by, by layer.
    """

    def __init__(
        self,
        candidates: Mapping[str, Tensor],
        queries: Columns,
        layers: Mapping[str, float],
        groups: Sequence[Sequence[str]],
    ) -> None:
        self.scales = {layer: _scale(columns, layers[layer]) for layer, columns in candidates.items()}
        self.targets: dict[str, Tensor] = {}
        self.norms: list[Tensor] = []
        for group in groups:
            keys = torch.cat([candidates[layer] * self.scales[layer] for layer in group], dim=1)
            asked = torch.cat([queries[layer][0].flatten(1).mT * self.scales[layer] for layer in group], dim=1)
            places = nearest(asked, keys)
            targets = {
                layer: _placed(candidates[layer][places] * self.scales[layer], queries[layer]) for layer in group
            }
            self.targets |= targets
            self.norms.append(torch.stack([target.square().sum(1) for target in targets.values()]).sum(0).sqrt())


def content_share(strength: float) -> float:
    """What part of the queries is the content: `QUERY_SHARE` at 50 on the dial, all at 0, half at 100.

    Reference: Kolkin et al. (2022), section 3.3, where it is alpha.
    """
    return 1 - (1 - QUERY_SHARE) * strength / 50


def _scale(columns: Tensor, share: float) -> Tensor:
    """What gives the columns, shape (M, C), the mean squared norm `share`; 1 for a dead layer."""
    power = columns.square().sum(1).mean()
    return torch.where(power > 0, share / power, torch.ones_like(power)).sqrt()


def _placed(columns: Tensor, like: Tensor) -> Tensor:
    """Columns of shape (N, C) as a feature map of the shape (1, C, h, w) of another."""
    return columns.mT.reshape(like.shape).contiguous()


def _inner(grid: tuple[int, int], rings: int) -> Tensor:
    """0 at so many outermost rings of places, 1 inside, shape (1, 1, *grid); all 1 where nothing would be left."""
    inner = torch.ones(1, 1, *grid)
    if min(grid) > 4 * rings > 0:
        inner.zero_()[..., rings:-rings, rings:-rings] = 1
    return inner


def _chosen(grid: tuple[int, int], rings: int, mask: Tensor | None) -> Tensor:
    """Which places of a style image may be matched, shape `grid`: inside of it and of its mask, one at least."""
    inside = _inner(grid, rings)[0, 0] > 0
    if mask is None:
        return inside
    shares = to_grid(mask, grid)[0, 0].cpu()
    within = inside & (shares >= 0.5)
    return within if within.any() else shares >= shares.amax()


def _place_weights(inner: Tensor, grid: tuple[int, int], mask: Tensor | None, visible: Tensor | None) -> Tensor:
    """Weights of the places, shape (1, *grid), which add up to 1; or all 0 if nothing counts."""
    weights = inner
    for part in (mask, visible):
        weights = weights if part is None else weights * to_grid(part, grid)
    return (weights / weights.sum().clamp(min=1e-8))[0]
