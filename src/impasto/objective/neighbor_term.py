"""The style term of nearest-neighbor features: every place is painted as a place of the style image that fits it.

Reference: Kolkin, Kucera, Paris, Sykora, Shechtman & Shakhnarovich (2022), "Neural Neighbor Style Transfer",
arXiv:2203.13215. Differs: L-BFGS on the pixels and not Adam on a Laplacian pyramid; layers are divided by the root mean
square of the style's features, so that any encoder will do, and weighted by the recipe; fine layers keep the parts of a
place apart instead of their mean; a content term helps to keep forms, and Gram matrices of fine layers their texture;
colors are matched by moments (`impasto.pipeline.color_preservation`).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from impasto.losses.neighbors import GRID_STRIDE, CosineSums, Matching, Part, Search, cells_of, grid_of, on_grid
from impasto.objective.masks import Style, style_shares, to_grid
from impasto.objective.terms import Sums, Term, checked_finite
from impasto.objective.tiles import Tile
from impasto.objective.view import View
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
        view: How pictures of this size are looked at.
        content_image: Shape (1, 3, H, W), RGB in [0, 1].
        begin: The picture that is to be painted on, likewise.
        styles: Style images with their weights and masks; content masks are of the canvas.
        layers: Layers with their shares in the squared norm of a hypercolumn.
        recipe: With the strength, and how targets are kept.
        matching: How matches are found.
        visible: Which part of the picture counts, shape (1, 1, H, W) in [0, 1], of the canvas; None for all.
    """

    name = "style"

    def __init__(
        self,
        view: View,
        content_image: Tensor,
        begin: Tensor,
        styles: Sequence[Style],
        layers: Mapping[str, float],
        recipe: Recipe,
        matching: Matching,
        visible: Tensor | None = None,
    ) -> None:
        self.layers, self.shares = layers, style_shares(styles)
        self._view = view
        self._cells = {layer: cells_of(view.encoder.layers[layer].stride) for layer in layers}
        self._rings = 0 if recipe.tileable else MARGIN // GRID_STRIDE
        self._grid = grid_of(view.canvas.size)
        self._groups = [[layer] for layer in layers] if matching is Matching.BY_LAYER else [list(layers)]
        share = 1.0 if matching is Matching.OF_CONTENT else content_share(recipe.strength)
        candidates = [self._candidates(style, recipe) for style in styles]
        keeps = recipe.kept_targets if not view.is_whole else "float32"
        self._matches = [_Matches(columns, layers, self._groups, keeps) for columns in candidates]

        def queries(tile: Tile) -> Columns:
            windows = [view.cut(image, tile) for image in (begin, content_image)]
            return self._columns(view, windows[0].lerp(windows[1], share), tile)

        _find_matches(self._matches, queries, view)
        inner = _inner(self._grid, self._rings).to(content_image)
        self._weights = [_place_weights(inner, self._grid, style.content_mask, visible) for style in styles]

    def begin(self, window: Tensor, tile: Tile) -> Sums:
        """See `Term.begin`; sums for each group of layers, for each style, and the tile's targets."""
        sums = [[CosineSums() for _ in self._groups] for _ in self._matches]
        return {"sums": sums, "targets": [matches.targets(tile) for matches in self._matches]}

    def add(self, sums: Sums, layer: str, features: Tensor, tile: Tile) -> None:
        """See `Term.add`."""
        features = self._on_grid(self._view, layer, features, tile)
        group = next(index for index, group in enumerate(self._groups) if layer in group)
        for of_style, matches, targets in zip(sums["sums"], self._matches, sums["targets"], strict=True):
            of_style[group].add(features * matches.scales[layer], targets[layer])

    def end(self, sums: Sums, tile: Tile) -> Sums:
        """See `Term.end`: the distance from each style, summed over the tile's places."""
        return {
            index: torch.stack(
                [
                    one.distance(norms, tile.positions(weights, GRID_STRIDE))
                    for one, norms in zip(of_style, matches.norms(tile), strict=True)
                ]
            ).mean()
            for index, (of_style, matches, weights) in enumerate(
                zip(sums["sums"], self._matches, self._weights, strict=True)
            )
        }

    def value(self, sums: Sums) -> Tensor:
        """See `Term.value`."""
        return SCALE * torch.stack([share * sums[index] for index, share in enumerate(self.shares)]).sum()

    def mean(self, sums: Sums) -> float:
        """Of several styles, the mean by their shares."""
        return sum(share * float(sums[index].item()) for index, share in enumerate(self.shares))

    def _on_grid(self, view: View, layer: str, features: Tensor, tile: Tile) -> Tensor:
        """A tile's features at its own places of the grid."""
        grid = grid_of(view.canvas.size)
        if tile.is_whole:
            return on_grid(features, grid, self._cells[layer])
        stride = view.encoder.layers[layer].stride
        totals = view.encoder.grid(layer, view.canvas.size)
        rows, columns = (
            Part(span.positions(GRID_STRIDE, places), span.first(stride), total)
            for span, places, total in zip((tile.rows, tile.columns), grid, totals, strict=True)
        )
        return on_grid(features, grid, self._cells[layer], (rows, columns))

    def _columns(self, view: View, window: Tensor, tile: Tile) -> Columns:
        return {
            layer: self._on_grid(view, layer, checked_finite(features, layer, view.encoder), tile)
            for layer, features in view.encoder.iter_features(window, self.layers)
        }

    def _candidates(self, style: Style, recipe: Recipe) -> Mapping[str, Tensor]:
        """The hypercolumns that may be matched, in parts of shape (M, C), of the style image in all its rotations."""
        parts: dict[str, list[Tensor]] = {layer: [] for layer in self.layers}
        for turns in range(4 if recipe.style_rotations else 1):
            turned = Style(style.image.rot90(turns, (2, 3)))
            view = self._view.of_style(turned, self.layers, is_shared=False)  # any place may match any of its places
            mask = None if style.style_mask is None else view.canvas.whole(style.style_mask.rot90(turns, (2, 3)))
            chosen = _chosen(grid_of(view.canvas.size), max(1, self._rings), mask).to(style.image.device)
            for tile in view.tiles:
                own = tile.positions(chosen, GRID_STRIDE)
                for layer, features in self._columns(view, view.cut(turned.image, tile), tile).items():
                    parts[layer].append(features[0, :, own].mT)
        return {layer: torch.cat(columns) for layer, columns in parts.items()}


class _Matches:
    """The style's features at the places that fit.

    Args:
        candidates: Hypercolumns in parts of shape (M, C), by layer.
        layers: Layers with their shares.
        groups: Layers that are matched together.
        keeps: How targets are kept, as `Recipe.kept_targets`.

    Attributes:
        scales: What the picture's features are multiplied by, by layer.
        groups: Layers that are matched together.
    """

    def __init__(
        self,
        candidates: Mapping[str, Tensor],
        layers: Mapping[str, float],
        groups: Sequence[Sequence[str]],
        keeps: str,
    ) -> None:
        self.scales = {layer: _scale(columns, layers[layer]) for layer, columns in candidates.items()}
        self._candidates: Mapping[str, Tensor] = candidates
        self.groups, self._keeps = groups, keeps
        self._places: dict[Tile, list[Tensor]] = {}
        self._targets: dict[Tile, Columns] = {}
        self._norms: dict[Tile, list[Tensor]] = {}
        self._shapes: dict[Tile, Mapping[str, torch.Size]] = {}

    def keys(self, group: Sequence[str]) -> Tensor:
        """The candidates of a group of layers, scaled, shape (M, C)."""
        return torch.cat([self._candidates[layer] * self.scales[layer] for layer in group], dim=1)

    def asked(self, queries: Columns, group: Sequence[str]) -> Tensor:
        """Queries of a group of layers, scaled, shape (N, C)."""
        return torch.cat([queries[layer][0].flatten(1).mT * self.scales[layer] for layer in group], dim=1)

    def scaled(self, means: Mapping[str, Tensor], group: Sequence[str]) -> Tensor:
        """Means of queries by layer, shapes (C,), scaled as the queries are."""
        return torch.cat([means[layer] * self.scales[layer] for layer in group])

    def keep(self, tile: Tile, places: list[Tensor], queries: Columns) -> None:
        """Keeps what was found for a tile.

        Args:
            tile: The tile.
            places: Indices of candidates at its places, for each group.
            queries: Of the tile, whose shapes the targets have.
        """
        self._places[tile] = [found.int() for found in places]
        shapes = {layer: query.shape for layer, query in queries.items()}
        targets = self._placed(tile, shapes)
        norms = [
            torch.stack([targets[layer].square().sum(1) for layer in group]).sum(0).sqrt() for group in self.groups
        ]
        self._norms[tile] = norms
        self._shapes[tile] = shapes
        if self._keeps != "none":
            self._targets[tile] = {
                layer: target.half() if self._keeps == "float16" else target for layer, target in targets.items()
            }

    def close(self) -> None:
        """Lets go of what is not needed any more once all tiles have their matches."""
        if self._keeps != "none":
            self._candidates, self._places = {}, {}

    def targets(self, tile: Tile) -> Columns:
        """Of a tile's places, scaled, by layer, shapes (1, C, h, w)."""
        if self._keeps == "none":
            return self._placed(tile, self._shapes[tile])
        return {layer: target.to(self.scales[layer].dtype) for layer, target in self._targets[tile].items()}

    def norms(self, tile: Tile) -> Sequence[Tensor]:
        """Of the targets' hypercolumns, for each group of layers, shape (1, h, w)."""
        return self._norms[tile]

    def _placed(self, tile: Tile, shapes: Mapping[str, torch.Size]) -> Columns:
        return {
            layer: (self._candidates[layer][places.long()] * self.scales[layer]).mT.reshape(shapes[layer]).contiguous()
            for group, places in zip(self.groups, self._places[tile], strict=True)
            for layer in group
        }


def _find_matches(matches: Sequence[_Matches], queries: Callable[[Tile], Columns], view: View) -> None:
    """Finds the nearest candidates of all places, tile by tile; queries are centered by their mean over all tiles."""
    tiles = view.tiles
    known = queries(tiles[0]) if len(tiles) == 1 else None
    sums: dict[str, Tensor] = {}
    count = 0
    for tile in tiles:
        columns = queries(tile) if known is None else known
        own = {layer: column[0].flatten(1).sum(1, dtype=torch.float64) for layer, column in columns.items()}
        sums = {layer: sums[layer] + own[layer] for layer in own} if sums else own
        count += next(iter(columns.values()))[0, 0].numel()
    total_count = next(iter(sums.values())).new_tensor(count)
    view.add([*sums.values(), total_count])
    means = {layer: (total / total_count).float() for layer, total in sums.items()}
    searches = [[Search(of_style.keys(group), count) for group in of_style.groups] for of_style in matches]
    for tile in tiles:
        columns = queries(tile) if known is None else known
        for of_style, search in zip(matches, searches, strict=True):
            places = [
                one.nearest(of_style.asked(columns, group), of_style.scaled(means, group))
                for one, group in zip(search, of_style.groups, strict=True)
            ]
            of_style.keep(tile, places, columns)
    for of_style in matches:
        of_style.close()


def content_share(strength: float) -> float:
    """What part of the queries is the content: `QUERY_SHARE` at 50 on the dial, all at 0, half at 100.

    Reference: Kolkin et al. (2022), section 3.3, where it is alpha.
    """
    return 1 - (1 - QUERY_SHARE) * strength / 50


def _scale(columns: Tensor, share: float) -> Tensor:
    """What gives the columns, shape (M, C), the mean squared norm `share`; 1 for a dead layer."""
    power = columns.square().sum(1).mean()
    return torch.where(power > 0, share / power, torch.ones_like(power)).sqrt()


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
