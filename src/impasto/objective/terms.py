"""The terms of the objective: content, style and total variation.

A term receives some layers, one after the other, and sums up distances. All distances are relative: 0 if equal, about 1
for a black picture. A new term needs a class and its constant in `OBJECTIVE_SCALE`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from impasto.encoders.base import Encoder, is_finite
from impasto.errors import EncoderError
from impasto.losses import STYLE_LOSSES, content_loss, projected_squared_norm, total_variation
from impasto.objective.masks import Style, style_shares, to_grid
from impasto.objective.shared_targets import shared
from impasto.objective.weighting import BLENDED_SLOPE, knee_factor, soft_thresholded, style_knee
from impasto.recipe import Recipe


class Term(ABC):
    """One term of the objective, with its targets.

    Attributes:
        name: In recipes, tables and events; a key of `OBJECTIVE_SCALE`.
        layers: Layers that it needs, with their shares, which add up to 1; empty for a term of the pixels alone.
    """

    name: str
    layers: Mapping[str, float]

    @abstractmethod
    def begin(self, image: Tensor) -> list[Any]:
        """Distances of a picture before any layer is added: one scalar, one for each style, or sums of its own.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1].
        """

    def add(self, distances: list[Any], layer: str, features: Tensor) -> None:  # noqa: B027 (some look at no layer)
        """Adds a layer's contribution to the distances.

        Args:
            distances: From `begin`; changed in place.
            layer: One of `layers`.
            features: Of the picture at this layer, shape (1, C, H', W').
        """

    def value(self, distances: Sequence[Any]) -> Tensor:
        """The term's value in the objective before its factor, a scalar."""
        value: Tensor = distances[0]
        return value

    def mean(self, distances: Sequence[Any]) -> float:
        """The distance as it is reported."""
        return float(distances[0].item())


class ContentTerm(Term):
    """Relative squared distance of features; see `impasto.losses.content_loss`.

    Args:
        encoder: Gives the projections of its layers.
        image: The content image, shape (1, 3, H, W), RGB in [0, 1].
        layers: Layers with their shares.
        asked: The layers of all terms; the deepest decides how far a small picture is padded.
        looker: The encoder that computes the targets.
        visible: Which part of the content image counts, shape (1, 1, H, W) in [0, 1]; None for all.
    """

    name = "content"

    def __init__(
        self,
        encoder: Encoder,
        image: Tensor,
        layers: Mapping[str, float],
        asked: Collection[str],
        looker: Encoder,
        visible: Tensor | None = None,
    ) -> None:
        self.layers = layers
        self.projections = {layer: encoder.projection(layer) for layer in layers}
        self.targets = self._targets_from(image, encoder, looker, asked)
        self.weights = {
            layer: None if visible is None else to_grid(visible, (target.shape[-2], target.shape[-1]))
            for layer, target in self.targets.items()
        }
        self.squared_norms = {
            layer: projected_squared_norm(target, self.projections[layer], self.weights[layer])
            for layer, target in self.targets.items()
        }

    def _targets_from(
        self, image: Tensor, encoder: Encoder, looker: Encoder, asked: Collection[str]
    ) -> Mapping[str, Tensor]:
        def compute() -> Mapping[str, Tensor]:
            return {
                layer: checked_finite(features, layer, encoder)
                for layer, features in (looker.iter_content_features(image, asked) if self.layers else ())
                if layer in self.layers
            }

        # Another looker may record what it is asked, so it is asked every time.
        return shared(compute, "content", encoder, *self.layers, *asked, image) if looker is encoder else compute()

    def begin(self, image: Tensor) -> list[Tensor]:
        """See `Term.begin`."""
        return [image.new_zeros(())]

    def add(self, distances: list[Tensor], layer: str, features: Tensor) -> None:
        """See `Term.add`."""
        distance = content_loss(
            features, self.targets[layer], self.projections[layer], self.squared_norms[layer], self.weights[layer]
        )
        distances[0] = distances[0] + self.layers[layer] * distance


class StyleTerm(Term):
    """Distance of each style's statistics, by the recipe's style loss; small distances count less (`soft_thresholded`).

    Args:
        encoder: Gives the projections of its layers.
        styles: Style images with their weights and masks.
        layers: Layers with their shares.
        recipe: With the style loss, weights and strength.
        looker: The encoder that computes the targets.
        visible: Which part of the picture counts, shape (1, 1, H, W) in [0, 1]; None for all.
    """

    name = "style"

    def __init__(
        self,
        encoder: Encoder,
        styles: Sequence[Style],
        layers: Mapping[str, float],
        recipe: Recipe,
        looker: Encoder,
        visible: Tensor | None = None,
    ) -> None:
        self.layers, self.styles, self.shares = layers, styles, style_shares(styles)
        self.loss = STYLE_LOSSES[recipe.style_loss]
        self.knee = style_knee(recipe, encoder.style_underestimate)
        self.blended_slope = BLENDED_SLOPE ** knee_factor(recipe.strength)
        everywhere = [
            share for style, share in zip(styles, self.shares, strict=True) if style.content_mask is None and share
        ]
        self.is_blend = len(everywhere) > 1
        self.visible = visible
        self.projections = {layer: encoder.projection(layer) for layer in layers}
        self.targets = [self._target(style, encoder, looker) for style in styles]

    def begin(self, image: Tensor) -> list[Tensor]:
        """See `Term.begin`."""
        return [image.new_zeros(())] * len(self.styles)

    def add(self, distances: list[Tensor], layer: str, features: Tensor) -> None:
        """See `Term.add`."""
        for index, distance in enumerate(self._distances(layer, features)):
            distances[index] = distances[index] + self.layers[layer] * distance

    def value(self, distances: Sequence[Tensor]) -> Tensor:
        """See `Term.value`."""
        value = distances[0].new_zeros(())
        for style, distance, share in zip(self.styles, distances, self.shares, strict=True):
            scaled = self.loss.scale * distance
            is_blended = self.is_blend and style.content_mask is None
            value = value + share * (self.blended_slope * scaled if is_blended else soft_thresholded(scaled, self.knee))
        return value

    def mean(self, distances: Sequence[Tensor]) -> float:
        """The mean over the styles, weighted by their shares."""
        return sum(distance.item() * share for distance, share in zip(distances, self.shares, strict=True))

    def _distances(self, layer: str, features: Tensor) -> Iterator[Tensor]:
        whole = None  # the statistics of the whole picture serve every style that goes everywhere
        for style, targets in zip(self.styles, self.targets, strict=True):
            if style.content_mask is not None:
                mask = style.content_mask if self.visible is None else style.content_mask * self.visible
                statistics = self._statistics(layer, features, mask)
            else:
                statistics = whole = self._statistics(layer, features, self.visible) if whole is None else whole
            yield self.loss.distance(statistics, targets[layer])

    def _target(self, style: Style, encoder: Encoder, looker: Encoder) -> Mapping[str, Any]:
        def compute() -> Mapping[str, Any]:
            targets = {}
            for layer, features in looker.iter_style_features(style.image, self.layers) if self.layers else ():
                checked_finite(features, layer, encoder)
                statistics = self._statistics(layer, features, style.style_mask)
                targets[layer] = self.loss.target(statistics, self.projections[layer])
            return targets

        if looker is not encoder:
            return compute()
        return shared(compute, "style", encoder, self.loss, *self.layers, style.image, style.style_mask)

    def _statistics(self, layer: str, features: Tensor, mask: Tensor | None) -> Any:
        weights = None if mask is None else to_grid(mask, (features.shape[-2], features.shape[-1]))
        return self.loss.statistics(features, weights, self.projections[layer])


class TotalVariationTerm(Term):
    """Differences between neighboring pixels; see `impasto.losses.total_variation`.

    Args:
        wraps: Whether opposite edges are neighbors, as in a tileable picture.
    """

    name = "tv"

    def __init__(self, *, wraps: bool) -> None:
        self.layers, self.wraps = {}, wraps

    def begin(self, image: Tensor) -> list[Tensor]:
        """See `Term.begin`."""
        return [total_variation(image, self.wraps)]


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
