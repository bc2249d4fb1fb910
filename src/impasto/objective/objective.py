"""The objective: what a picture is asked for, as one scalar with its parts.

Each term is divided by its own scale (so it says "how far, relative to black"), multiplied by one published constant
(so that equal-sounding weights are balanced), and by its share of the weights.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.encoders.base import Encoder, is_finite
from impasto.errors import EncoderError
from impasto.losses import STYLE_LOSSES, content_loss, projected_squared_norm, total_variation
from impasto.objective.masks import Style, style_shares, to_grid
from impasto.objective.weighting import (
    BLENDED_SLOPE,
    STYLE_LOSS_SCALE,
    TERMS,
    knee_factor,
    layer_shares,
    soft_thresholded,
    style_knee,
    term_factors,
)
from impasto.recipe import Recipe

logger = logging.getLogger(__name__)


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


class Objective:
    """Targets of one content image and some style images at one size, and the distance of a picture from them.

    Args:
        encoder: A frozen encoder on the pictures' device.
        content_image: Shape (1, 3, H, W), RGB in [0, 1].
        styles: Style images with their weights and masks; a bare tensor of shape (1, 3, h, w) counts everywhere.
        recipe: Weights, layers and the style loss.
        lock_mask: Where the picture is to stay the content image, shape (1, 1, H, W); None for nowhere.
        target_encoder: Looks at content and styles, and returns features of the encoder's kind; None for the encoder
            itself.

    Raises:
        LayerError: If the recipe names a layer that the encoder does not have.
        EncoderError: If a target holds NaN or infinity.
    """

    def __init__(
        self,
        encoder: Encoder,
        content_image: Tensor,
        styles: Sequence[Style | Tensor],
        recipe: Recipe,
        lock_mask: Tensor | None = None,
        target_encoder: Encoder | None = None,
    ) -> None:
        self.encoder = encoder
        self.factors = term_factors(recipe)
        self.wraps = recipe.tileable
        self.style_loss = STYLE_LOSSES[recipe.style_loss]
        self.style_scale = STYLE_LOSS_SCALE[recipe.style_loss]
        self.near = style_knee(recipe, encoder.style_underestimate)
        self.blended_slope = BLENDED_SLOPE ** knee_factor(recipe.strength)
        self.styles = [style if isinstance(style, Style) else Style(style) for style in styles]
        self.style_shares = style_shares(self.styles)
        everywhere = [
            share
            for style, share in zip(self.styles, self.style_shares, strict=True)
            if style.content_mask is None and share
        ]
        self.is_blend = len(everywhere) > 1
        self.content_image, self.lock_mask = content_image, lock_mask
        layers = {
            "content": dict(recipe.content_layers or encoder.content_layers),
            "style": dict(recipe.style_layers or encoder.style_layers),
        }
        encoder.check_layers([*layers["content"], *layers["style"]])
        self.content_layers, self.style_layers = (layer_shares(layers[kind]) for kind in ("content", "style"))
        self.projections = {layer: encoder.projection(layer) for layer in (*self.content_layers, *self.style_layers)}
        with torch.no_grad():
            at_work, content = self._at_work(), self._active("content")
            self.content_targets = {
                layer: _finite(features, layer, encoder)
                for layer, features in (
                    (target_encoder or encoder).iter_features(content_image, at_work) if content else ()
                )
                if layer in content
            }
            self.content_squared_norms = {
                layer: projected_squared_norm(target, self.projections[layer])
                for layer, target in self.content_targets.items()
            }
            self.style_targets = [self._style_target(style, target_encoder) for style in self.styles]

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

    def parts(self, image: Tensor, terms: Collection[str] = TERMS) -> Tensor:
        """The weighted terms in the order of `TERMS`, shape (3,), differentiable; 0 for those not asked for."""
        if self.lock_mask is not None:
            image = image.lerp(self.content_image, self.lock_mask)
        wanted = [term for term in terms if self.factors[term]]
        content, styles = self._looked_at(image, wanted)
        values = {
            "content": lambda: content,
            "style": lambda: self._style_term(styles),
            "tv": lambda: total_variation(image, self.wraps),
        }
        zero = image.new_zeros(())
        return torch.stack([self.factors[term] * values[term]() if term in wanted else zero for term in TERMS])

    @torch.no_grad()
    def distances(self, image: Tensor) -> dict[str, float]:
        """How far a picture is from content and style, relative to black, and how rough it is; before any weight.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.

        Returns:
            By the name of the term; 0 for a term that is switched off. Of several styles, the mean by their shares.
        """
        content, styles = self._looked_at(image, ("content", "style"))
        return {
            "content": content.item(),
            "style": sum(distance.item() * share for distance, share in zip(styles, self.style_shares, strict=True)),
            "tv": total_variation(image, self.wraps).item() if self.factors["tv"] else 0.0,
        }

    def gradient_share(self, image: Tensor, gradient: Tensor) -> dict[str, float]:
        """Each term's share of the pull on the pixels: the norm of its gradient over the sum of the norms.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
            gradient: Of the whole objective there, of the same shape; what the other terms do not pull is the style's.
        """
        image = image.detach().requires_grad_()
        gradients = {term: torch.zeros_like(gradient) for term in TERMS}
        for term in ("content", "tv"):
            part = self.parts(image, [term]).sum()
            if part.requires_grad:
                (gradients[term],) = torch.autograd.grad(part, image)
        if self.factors["style"]:
            gradients["style"] = gradient - gradients["content"] - gradients["tv"]
        norms = {term: gradients[term].norm().item() for term in TERMS}
        total = sum(norms.values()) or 1.0
        return {term: norm / total for term, norm in norms.items()}

    def _looked_at(self, image: Tensor, terms: Collection[str]) -> tuple[Tensor, list[Tensor]]:
        """The content's distance and each style's, of the terms asked for; means over the layers by their shares.

        A layer's losses are taken when it is there, before the next one. On the way back they then come after it: no
        gradient of a feature map waits for the others.
        """
        content = image.new_zeros(())
        styles = [content] * len(self.styles)
        missing = {layer for term in ("content", "style") if term in terms for layer in self._active(term)}
        for layer, features in self.encoder.iter_features(image, self._at_work()) if missing else ():
            missing.discard(layer)
            if "content" in terms and layer in self.content_targets:
                target, norm = self.content_targets[layer], self.content_squared_norms[layer]
                distance = content_loss(features, target, self.projections[layer], norm)
                content = content + self.content_layers[layer] * distance
            if "style" in terms and (share := self._active("style").get(layer)):
                for index, distance in enumerate(self._style_distances(layer, features)):
                    styles[index] = styles[index] + share * distance
            if not missing:
                break
        return content, styles

    def _style_term(self, distances: Sequence[Tensor]) -> Tensor:
        term = distances[0].new_zeros(())
        for style, distance, share in zip(self.styles, distances, self.style_shares, strict=True):
            scaled = self.style_scale * distance
            is_blended = self.is_blend and style.content_mask is None
            term = term + share * (self.blended_slope * scaled if is_blended else soft_thresholded(scaled, self.near))
        return term

    def _style_distances(self, layer: str, features: Tensor) -> Iterator[Tensor]:
        """Of a layer, for each style."""
        whole = None  # the summary of the whole picture serves every style that goes everywhere
        for style, targets in zip(self.styles, self.style_targets, strict=True):
            if style.content_mask is not None:
                summary = self._summarize(layer, features, style.content_mask)
            else:
                summary = whole = self._summarize(layer, features, None) if whole is None else whole
            yield self.style_loss.distance(summary, targets[layer])

    def _style_target(self, style: Style, encoder: Encoder | None) -> dict[str, Any]:
        targets = {}
        layers = self._active("style")
        for layer, features in (encoder or self.encoder).iter_style_features(style.image, layers) if layers else ():
            _finite(features, layer, self.encoder)
            targets[layer] = self.style_loss.prepare(self._summarize(layer, features, style.style_mask))
        return targets

    def _summarize(self, layer: str, features: Tensor, mask: Tensor | None) -> Any:
        weights = None if mask is None else to_grid(mask, (features.shape[-2], features.shape[-1]))
        return self.style_loss.summarize(features, weights, self.projections[layer])

    def _at_work(self) -> dict[str, float]:
        """The layers of both terms.

        Also for one term alone all are asked for: the deepest decides how far a small picture is continued, and
        targets have to fit.
        """
        return {**self._active("content"), **self._active("style")}

    def _active(self, term: str) -> dict[str, float]:
        """Layers of a term with their shares; none if the term is switched off."""
        layers = {"content": self.content_layers, "style": self.style_layers}[term]
        return {layer: share for layer, share in layers.items() if share} if self.factors[term] else {}


def _finite(features: Tensor, layer: str, encoder: Encoder) -> Tensor:
    if not is_finite(features):
        raise EncoderError(
            f"Encoder {encoder.name} returns NaN or infinity at layer '{layer}'. Check its weights"
            " (impasto models verify), or use --precision float32."
        )
    return features
