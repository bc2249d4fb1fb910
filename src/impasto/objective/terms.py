"""The terms of the objective: content, style and total variation.

A term receives some layers of one tile after the other and makes sums of them, which add up over tiles; its value is a
function of the sums. All distances are relative: 0 if equal, about 1 for a black picture. A new term needs a class and
its constant in `OBJECTIVE_SCALE`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from impasto.encoders.base import Encoder, is_finite
from impasto.errors import EncoderError
from impasto.losses import STYLE_LOSSES, content_loss, projected_squared_norm, total_variation
from impasto.losses.base import Statistics
from impasto.objective.masks import Style, style_shares, to_grid
from impasto.objective.shared_targets import shared
from impasto.objective.tiles import Canvas, Tile
from impasto.objective.view import View
from impasto.objective.weighting import BLENDED_SLOPE, knee_factor, soft_thresholded, style_knee
from impasto.recipe import Recipe

Sums = dict[Hashable, Any]
"""What a term has summed up, by keys of its own: statistics, or scalars."""


class Term(ABC):
    """One term of the objective, with its targets.

    Attributes:
        name: In recipes, tables and events; a key of `OBJECTIVE_SCALE`.
        layers: Layers that it needs, with their shares, which add up to 1; empty for a term of the pixels alone.
        share: What its value is multiplied by beside other terms of its name, of which the first is reported.
        is_additive: Whether its value is the sum of the values of all tiles: it then needs no sums beforehand.
    """

    name: str
    layers: Mapping[str, float]
    share: float = 1.0
    is_additive: bool = True

    def begin(self, window: Tensor, tile: Tile) -> Sums:
        """Sums of a tile before any layer is added.

        Args:
            window: Of the picture, shape (1, 3, h, w), RGB in [0, 1].
            tile: The tile that it belongs to.
        """
        return {}

    def add(self, sums: Sums, layer: str, features: Tensor, tile: Tile) -> None:  # noqa: B027 (some look at no layer)
        """Adds a layer's contribution to a tile's sums.

        Args:
            sums: From `begin`; changed in place.
            layer: One of `layers`.
            features: Of the window at this layer, shape (1, C, h', w').
            tile: The tile.
        """

    def end(self, sums: Sums, tile: Tile) -> Sums:
        """The tile's sums once all layers have come; values that add up over tiles."""
        return sums

    @abstractmethod
    def value(self, sums: Sums) -> Tensor:
        """The term's value in the objective before its factor, a scalar."""

    def mean(self, sums: Sums) -> float:
        """The distance as it is reported."""
        return float(self.value(sums).item())


def added(one: Sums, other: Sums) -> Sums:
    """Sums of two parts of a picture, as those of both."""
    return {key: one[key] + other[key] for key in one}


def tensors_of(sums: Sums) -> list[Tensor]:
    """All sums as tensors."""
    return [
        tensor for value in sums.values() for tensor in (value.tensors() if isinstance(value, Statistics) else [value])
    ]


def with_tensors(sums: Sums, tensors: Sequence[Tensor]) -> Sums:
    """Sums of the same kind with other tensors, in the order of `tensors_of`."""
    left, values = list(tensors), {}
    for key, value in sums.items():
        count = len(value.tensors()) if isinstance(value, Statistics) else 1
        values[key] = value.of(left[:count]) if isinstance(value, Statistics) else left[0]
        left = left[count:]
    return values


class Weights:
    """Weights of the positions of layers, from a mask; the same at every evaluation.

    Args:
        mask: Shape (1, 1, H, W) in [0, 1], of the canvas; None counts each position once.
        encoder: Says how large its layers are.
    """

    def __init__(self, mask: Tensor | None, encoder: Encoder) -> None:
        self._mask, self._encoder = mask, encoder
        self._grids: dict[str, Tensor] = {}

    def at(self, layer: str, features: Tensor, tile: Tile) -> Tensor | None:
        """Of a tile's own positions of a layer.

        Args:
            layer: The layer's name.
            features: Of the tile's window there.
            tile: The tile.
        """
        if self._mask is None:
            return None
        if layer not in self._grids:
            height, width = self._mask.shape[-2:]
            is_whole = tile.is_whole
            size = (features.shape[-2], features.shape[-1]) if is_whole else self._encoder.grid(layer, (height, width))
            self._grids[layer] = to_grid(self._mask, size)
        return tile.positions(self._grids[layer], self._encoder.layers[layer].stride)


class ContentTerm(Term):
    """Relative squared distance of features; see `impasto.losses.content_loss`.

    Args:
        view: How pictures of this size are looked at.
        image: The content image, shape (1, 3, H, W), RGB in [0, 1].
        layers: Layers with their shares.
        keeps: How targets are kept from one evaluation to the next, as `Recipe.kept_targets`.
        visible: Which part of the content image counts, shape (1, 1, H, W) in [0, 1], of the canvas; None for all.
    """

    name = "content"

    def __init__(
        self, view: View, image: Tensor, layers: Mapping[str, float], keeps: str, visible: Tensor | None = None
    ) -> None:
        self.layers = layers
        self._view, self._image, self._keeps = view, image, keeps if not view.is_whole else "float32"
        self.projections = {layer: view.encoder.projection(layer) for layer in layers}
        self.weights = Weights(visible, view.encoder)
        self._targets: dict[Tile, Mapping[str, Tensor]] = {}
        norms: Sums = {}
        for tile in view.tiles if layers else ():
            targets = self._targets_from(tile)
            own: Sums = {layer: self._squared_norm(layer, target, tile) for layer, target in targets.items()}
            norms = added(norms, own) if norms else own
            if self._keeps != "none":
                self._targets[tile] = self._packed(targets)
        view.add(tensors_of(norms))
        self.squared_norms: Mapping[Hashable, Tensor] = norms

    def begin(self, window: Tensor, tile: Tile) -> Sums:
        """See `Term.begin`."""
        return {"distance": window.new_zeros(())}

    def add(self, sums: Sums, layer: str, features: Tensor, tile: Tile) -> None:
        """See `Term.add`."""
        weights = self.weights.at(layer, features, tile)
        features = self._view.inner(features, layer, tile)
        distance = content_loss(
            features, self._target(layer, tile, features), self.projections[layer], self.squared_norms[layer], weights
        )
        sums["distance"] = sums["distance"] + self.layers[layer] * distance

    def value(self, sums: Sums) -> Tensor:
        """See `Term.value`."""
        value: Tensor = sums["distance"]
        return value

    def _target(self, layer: str, tile: Tile, like: Tensor) -> Tensor:
        if self._keeps == "none":
            with torch.no_grad():
                return self._targets_from(tile, upto=[layer])[layer]
        return self._targets[tile][layer].to(like.dtype)

    def _packed(self, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self._keeps == "float16":
            return {layer: target.to(torch.float16) for layer, target in targets.items()}
        return targets if self._view.is_whole else {layer: target.clone() for layer, target in targets.items()}

    def _squared_norm(self, layer: str, target: Tensor, tile: Tile) -> Tensor:
        weights = self.weights.at(layer, target, tile)
        return projected_squared_norm(target, self.projections[layer], weights)

    def _targets_from(self, tile: Tile, upto: Sequence[str] = ()) -> Mapping[str, Tensor]:
        """The content's features in a tile."""
        view = self._view

        def compute() -> Mapping[str, Tensor]:
            targets: dict[str, Tensor] = {}
            wanted = set(upto or self.layers)
            for layer, features in view.looker.iter_content_features(view.cut(self._image, tile), view.asked):
                if layer in wanted:
                    targets[layer] = view.inner(checked_finite(features, layer, view.encoder), layer, tile)
                if targets.keys() == wanted:
                    break
            return targets

        # Another looker may record what it is asked, so it is asked every time.
        if view.looker is not view.encoder or not view.is_whole:
            return compute()
        return shared(compute, "content", view.encoder, *self.layers, *view.asked, view.cut(self._image, tile))


class StyleTerm(Term):
    """Distance of each style's statistics, by the recipe's style loss; small distances count less (`soft_thresholded`).

    Args:
        view: How pictures of this size are looked at.
        styles: Style images with their weights and masks; content masks are of the canvas.
        layers: Layers with their shares.
        recipe: With the style loss, weights and strength.
        visible: Which part of the picture counts, shape (1, 1, H, W) in [0, 1], of the canvas; None for all.
        share: See `Term`.
    """

    name = "style"
    is_additive = False

    def __init__(
        self,
        view: View,
        styles: Sequence[Style],
        layers: Mapping[str, float],
        recipe: Recipe,
        visible: Tensor | None = None,
        share: float = 1.0,
    ) -> None:
        self.layers, self.shares, self.share = layers, style_shares(styles), share
        self._is_everywhere = [style.content_mask is None for style in styles]
        self._view = view
        self.loss = STYLE_LOSSES[recipe.style_loss]
        self.knee = style_knee(recipe, view.encoder.style_underestimate)
        self.blended_slope = BLENDED_SLOPE ** knee_factor(recipe.strength)
        everywhere = [
            share for style, share in zip(styles, self.shares, strict=True) if style.content_mask is None and share
        ]
        self.is_blend = len(everywhere) > 1
        self.projections = {layer: view.encoder.projection(layer) for layer in layers}
        self.targets = [self._target(style) for style in styles]
        # The statistics of the whole picture serve every style that goes everywhere.
        self._regions: list[Weights] = []
        self._region_of: list[int] = []
        whole: int | None = None
        for style in styles:
            if style.content_mask is None and whole is not None:
                self._region_of.append(whole)
                continue
            mask = style.content_mask
            if visible is not None:
                mask = visible if mask is None else mask * visible
            whole = len(self._regions) if style.content_mask is None else whole
            self._region_of.append(len(self._regions))
            self._regions.append(Weights(mask, view.encoder))

    def add(self, sums: Sums, layer: str, features: Tensor, tile: Tile) -> None:
        """See `Term.add`."""
        own = self._view.inner(features, layer, tile)
        for region, weights in enumerate(self._regions):
            sums[layer, region] = self.loss.statistics(own, weights.at(layer, features, tile), self.projections[layer])

    def value(self, sums: Sums) -> Tensor:
        """See `Term.value`."""
        values = []
        distances = self._distances(sums)
        for is_everywhere, distance, share in zip(self._is_everywhere, distances, self.shares, strict=True):
            scaled = self.loss.scale * distance
            is_blended = self.is_blend and is_everywhere
            values.append(share * (self.blended_slope * scaled if is_blended else soft_thresholded(scaled, self.knee)))
        return torch.stack(values).sum()

    def mean(self, sums: Sums) -> float:
        """The mean over the styles, weighted by their shares."""
        return sum(distance.item() * share for distance, share in zip(self._distances(sums), self.shares, strict=True))

    def _distances(self, sums: Sums) -> Iterator[Tensor]:
        for region, targets in zip(self._region_of, self.targets, strict=True):
            distances = [
                share * self.loss.distance(sums[layer, region], targets[layer]) for layer, share in self.layers.items()
            ]
            yield torch.stack(distances).sum()

    def _target(self, style: Style) -> Mapping[str, Any]:
        view = self._view

        def compute() -> Mapping[str, Any]:
            of_style = view.of_style(style, self.layers)
            weights = Weights(
                None if style.style_mask is None else of_style.canvas.whole(style.style_mask), view.encoder
            )
            sums: Sums = {}
            for tile in of_style.tiles if self.layers else ():
                own: Sums = {}
                window = of_style.cut(style.image, tile)
                for layer, features in of_style.looker.iter_style_features(window, self.layers):
                    checked_finite(features, layer, view.encoder)
                    inner = of_style.inner(features, layer, tile)
                    own[layer] = self.loss.statistics(inner, weights.at(layer, features, tile), self.projections[layer])
                sums = added(sums, own) if sums else own
            of_style.add(tensors_of(sums))
            return {str(layer): self.loss.target(own, self.projections[str(layer)]) for layer, own in sums.items()}

        if view.looker is not view.encoder:
            return compute()
        return shared(
            compute, "style", view.encoder, self.loss, view.edge, view.margin, *self.layers, style.image,
            style.style_mask,
        )  # fmt: skip


class TotalVariationTerm(Term):
    """Differences between neighboring pixels; see `impasto.losses.total_variation`.

    Args:
        canvas: Of the picture.
        wraps: Whether opposite edges are neighbors, as in a tileable picture.
    """

    name = "tv"

    def __init__(self, canvas: Canvas, *, wraps: bool) -> None:
        self.layers, self._canvas, self.wraps = {}, canvas, wraps

    def begin(self, window: Tensor, tile: Tile) -> Sums:
        """See `Term.begin`."""
        if tile.is_whole:
            return {"variation": total_variation(window, self.wraps)}
        extra = []
        for axis, span in ((-2, tile.rows), (-1, tile.columns)):
            own = window.narrow(axis, span.before, span.stop - span.start)
            after = window.narrow(axis, span.before + span.stop - span.start, 1) if span.after else None
            if after is None and self.wraps:  # the tile has the whole length, and its end meets its beginning
                after = own.narrow(axis, 0, 1)
            window = own if after is None else torch.cat([own, after], axis)
            extra.append(0 if after is None else 1)
        count = window.shape[1] * math.prod(self._canvas.size)
        return {"variation": total_variation(window, extra=(extra[0], extra[1]), count=count)}

    def value(self, sums: Sums) -> Tensor:
        """See `Term.value`."""
        value: Tensor = sums["variation"]
        return value


def checked_finite(features: Tensor, layer: str, encoder: Encoder) -> Tensor:
    """Returns the features unchanged.

    Raises:
        EncoderError: If they hold NaN or infinity.
    """
    if not is_finite(features):
        raise EncoderError(
            f"Encoder {encoder.name} returns NaN or infinity at layer '{layer}'. Check its weights"
            " (impasto models verify), or use --precision float32."
        )
    return features
