"""The objective: what a picture is asked for, as one scalar with its parts.

Each term is divided by its own scale (so it says "how far, relative to black"), multiplied by one published constant
(so that equal-sounding weights are balanced), and by its share of the weights.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import EncoderError
from impasto.losses import content_loss, gram_loss, moments, total_variation
from impasto.recipe import Recipe

logger = logging.getLogger(__name__)

OBJECTIVE_SCALE: Mapping[str, float] = {"content": 0.01, "style": 1.0, "tv": 0.1}
"""Constant of each term, at which the default weights give the balanced picture (`docs/explanation/objective.md`)."""

TERMS = tuple(OBJECTIVE_SCALE)
"""Order of the terms wherever they stand in a row."""


@dataclass(frozen=True)
class Evaluation:
    """The objective at one picture.

    Attributes:
        total: The objective, a float32 scalar on the device.
        gradient: Its gradient with respect to the picture, shape (1, 3, H, W).
        parts: The weighted terms in the order of `TERMS`, shape (3,); they sum up to the total.
    """

    total: Tensor
    gradient: Tensor
    parts: Tensor


def term_factors(recipe: Recipe) -> dict[str, float]:
    """What each normalised term is multiplied by: its scale times its weight over the largest weight.

    Dividing by a weight (and not by their sum) keeps the factors bit-identical when all weights are multiplied by one
    power of two, and finite for weights up to the largest float.
    """
    weights = {"content": recipe.content_weight, "style": recipe.style_weight, "tv": recipe.tv_weight}
    largest = max(weights.values())
    return {term: OBJECTIVE_SCALE[term] * (weight / largest if largest else 0.0) for term, weight in weights.items()}


class Objective:
    """Targets of one content image and some style images at one size, and the distance of a picture from them.

    Args:
        encoder: A frozen encoder on the pictures' device.
        content_image: Shape (1, 3, H, W), RGB in [0, 1].
        style_images: Shapes (1, 3, h, w), RGB in [0, 1]; each counts the same.
        recipe: Weights and layers.

    Raises:
        LayerError: If the recipe names a layer that the encoder does not have.
        EncoderError: If a target holds NaN or infinity.
    """

    def __init__(self, encoder: Encoder, content_image: Tensor, style_images: Sequence[Tensor], recipe: Recipe) -> None:
        self.encoder = encoder
        self.factors = term_factors(recipe)
        self.content_layers = dict(recipe.content_layers or encoder.content_layers)
        self.style_layers = dict(recipe.style_layers or encoder.style_layers)
        wanted = (*self.content_layers, *self.style_layers)
        encoder.check_layers(wanted)
        self.heads = {layer: encoder.head(layer) for layer in wanted}
        with torch.no_grad():
            self.content_targets = {
                layer: _finite(features, layer, encoder)
                for layer, features in self._features(content_image, self._active_content()).items()
            }
            self.style_targets = [
                {
                    layer: _finite(self._gram(layer, features), layer, encoder)
                    for layer, features in self._features(image, self._active_style()).items()
                }
                for image in style_images
            ]

    def evaluate(self, image: Tensor) -> Evaluation:
        """The objective and its gradient; one forward and one backward pass, no host synchronization.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
        """
        image = image.detach().requires_grad_()
        parts = self.parts(image)
        total = parts.sum()
        if not total.requires_grad:  # every term switched off
            return Evaluation(total.detach(), torch.zeros_like(image), parts.detach())
        (gradient,) = torch.autograd.grad(total, image)
        return Evaluation(total.detach(), gradient, parts.detach())

    def parts(self, image: Tensor) -> Tensor:
        """The weighted terms in the order of `TERMS`, shape (3,), differentiable."""
        features = self._features(image, {**self._active_content(), **self._active_style()})
        zero = image.new_zeros(())
        terms = {
            "content": _weighted(
                {
                    layer: content_loss(features[layer], target, self.heads[layer])
                    for layer, target in self.content_targets.items()
                },
                self.content_layers,
                zero,
            ),
            "style": self._style_term(features, zero),
            "tv": total_variation(image) if self.factors["tv"] else zero,
        }
        return torch.stack([self.factors[term] * terms[term] for term in TERMS])

    def _style_term(self, features: Mapping[str, Tensor], zero: Tensor) -> Tensor:
        if not self.style_targets or not self._active_style():
            return zero
        grams = {layer: self._gram(layer, features[layer]) for layer in self._active_style()}
        by_style = [
            _weighted({layer: gram_loss(grams[layer], target[layer]) for layer in grams}, self.style_layers, zero)
            for target in self.style_targets
        ]
        return torch.stack(by_style).mean()

    def _features(self, image: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
        return self.encoder(image, layers.keys()) if layers else {}

    def _gram(self, layer: str, features: Tensor) -> Tensor:
        return moments(features).gram(self.heads[layer])

    def _active_content(self) -> dict[str, float]:
        return {layer: weight for layer, weight in self.content_layers.items() if weight and self.factors["content"]}

    def _active_style(self) -> dict[str, float]:
        return {layer: weight for layer, weight in self.style_layers.items() if weight and self.factors["style"]}


def _weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float], zero: Tensor) -> Tensor:
    """Weighted mean over layers; the weights are ratios, as those of the terms are."""
    total = sum(weights.values())
    return sum((losses[layer] * (weights[layer] / total) for layer in losses), start=zero)


def _finite(target: Tensor, layer: str, encoder: Encoder) -> Tensor:
    if not target.isfinite().all():
        raise EncoderError(
            f"Encoder {encoder.name} returns NaN or infinity at layer '{layer}'. Check its weights"
            " (impasto models verify), or use --precision float32."
        )
    return target
