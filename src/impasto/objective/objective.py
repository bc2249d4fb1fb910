"""The objective: one scalar with its parts, to be minimized over the pixels.

Each term is divided by its own scale (1 is the distance of a black picture), multiplied by one published constant
(so that the default weights are balanced), and multiplied by its share of the weights.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.losses.neighbors import Matching
from impasto.objective.cuda_graph import CapturedFunction
from impasto.objective.masks import Style
from impasto.objective.neighbor_term import MARGIN, NeighborTerm
from impasto.objective.terms import ContentTerm, StyleTerm, SumTerm, Term, TotalVariationTerm
from impasto.objective.weighting import TERMS, layer_shares, style_layers_of, term_factors, texture_layers_of
from impasto.recipe import Recipe


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
    """The weighted distance of a picture from the targets of one content image and some style images, at one size.

    Args:
        encoder: A frozen encoder on the pictures' device.
        content_image: Shape (1, 3, H, W), RGB in [0, 1].
        styles: Style images with their weights and masks; a bare tensor of shape (1, 3, h, w) counts everywhere.
        recipe: Weights, layers and the style loss.
        lock_mask: Where the content image is kept, shape (1, 1, H, W); None for nowhere.
        visible: Which part of the picture counts, shape (1, 1, H, W) in [0, 1]; None for all.
        target_encoder: Computes the targets, in the encoder's feature space; None for the encoder itself.
        begin: The picture that is painted on, of the content image's shape; the content image if None. Only the style
            loss `neighbors` looks at it.
        matching: How that loss finds its matches.

    Attributes:
        terms: Those that are switched on, in the order of `TERMS`.
        factors: What each term is multiplied by, by name; 0 for one that is switched off.
        layers: Of all terms.

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
        visible: Tensor | None = None,
        target_encoder: Encoder | None = None,
        begin: Tensor | None = None,
        matching: Matching = Matching.JOINT,
    ) -> None:
        self.encoder, self.content_image, self.lock_mask = encoder, content_image, lock_mask
        self._captured: CapturedFunction | None = None
        self.factors = term_factors(recipe)
        content_layers = recipe.content_layers or encoder.content_layers
        style_layers = recipe.style_layers or style_layers_of(recipe, encoder)
        encoder.check_layers([*content_layers, *style_layers])
        content = layer_shares(content_layers) if self.factors["content"] else {}
        style = layer_shares(style_layers) if self.factors["style"] else {}
        texture_layers = texture_layers_of(recipe, encoder) if style else {}
        texture = layer_shares(texture_layers) if texture_layers else {}
        self.layers = {*content, *style, *texture}
        self._margin = MARGIN if recipe.style_loss == "neighbors" and not recipe.tileable else 0
        content_image, inside = self._widened(content_image), None if visible is None else self._widened(visible)
        looker = target_encoder or encoder
        whole_styles = [self._in_margin(style if isinstance(style, Style) else Style(style)) for style in styles]
        with torch.no_grad():
            style_terms: list[Term]
            if recipe.style_loss == "neighbors":
                begin = content_image if begin is None else self._widened(begin)
                neighbors = (encoder, content_image, begin, whole_styles, style, recipe, matching, inside)
                style_terms = [NeighborTerm(*neighbors)] if style else []  # without a layer, nothing can be matched
                if style_terms and texture:
                    gram = StyleTerm(encoder, whole_styles, texture, recipe.replace(style_loss="gram"), looker, inside)
                    style_terms = [SumTerm(style_terms[0], gram, recipe.texture)]
            else:
                style_terms = [StyleTerm(encoder, whole_styles, style, recipe, looker, inside)]
            terms: list[Term] = [
                ContentTerm(encoder, content_image, content, self.layers, looker, inside),
                *style_terms,
                TotalVariationTerm(wraps=recipe.tileable),
            ]
        self.terms = [term for term in terms if self.factors[term.name]]

    def evaluate(self, image: Tensor) -> Evaluation:
        """The objective and its gradient; one forward and one backward pass, no host synchronization.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
        """
        if image.is_cuda:
            self._captured = self._captured or CapturedFunction(self._evaluate)
            return Evaluation(*self._captured(image))
        return Evaluation(*self._evaluate(image))

    def _evaluate(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        image = image.detach().requires_grad_()
        parts = self.parts(image)
        total = parts.sum()
        if not total.requires_grad:  # every term switched off
            return total.detach(), torch.zeros_like(image), parts.detach()
        scale = _gradient_scale(image) if self.encoder.precision == "float16" else 1.0
        (gradient,) = torch.autograd.grad(total * scale, image)
        return total.detach(), gradient / scale, parts.detach()

    def parts(self, image: Tensor, names: Collection[str] = TERMS) -> Tensor:
        """The weighted terms in the order of `TERMS`, shape (3,), differentiable; 0 for those not asked for."""
        if self.lock_mask is not None:
            image = image.lerp(self.content_image, self.lock_mask)
        terms = [term for term in self.terms if term.name in names]
        distances = self._distances(image, terms)
        parts = {term.name: self.factors[term.name] * term.value(distances[term.name]) for term in terms}
        zero = image.new_zeros(())
        return torch.stack([parts.get(name, zero) for name in TERMS])

    @torch.no_grad()
    def distances(self, image: Tensor) -> dict[str, float]:
        """How far a picture is from content and style, relative to black, and how rough it is; before any weight.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.

        Returns:
            By the name of the term; 0 for a term that is switched off. Of several styles, the mean by their shares.
        """
        distances = self._distances(image, self.terms)
        return dict.fromkeys(TERMS, 0.0) | {term.name: term.mean(distances[term.name]) for term in self.terms}

    def gradient_share(self, image: Tensor, gradient: Tensor) -> dict[str, float]:
        """Each term's share of the gradient: its norm over the sum of the norms of all terms.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
            gradient: Of the whole objective there, of the same shape; what is not the other terms' is the style's.
        """
        image = image.detach().requires_grad_()
        gradients = {name: torch.zeros_like(gradient) for name in TERMS}
        for name in TERMS:
            part = self.parts(image, [name]).sum() if name != "style" else image.new_zeros(())
            if part.requires_grad:
                (gradients[name],) = torch.autograd.grad(part, image)
        if self.factors["style"]:
            gradients["style"] = gradient - sum(gradients.values(), start=torch.zeros_like(gradient))
        norms = {name: gradients[name].norm().item() for name in TERMS}
        total = sum(norms.values()) or 1.0
        return {name: norm / total for name, norm in norms.items()}

    def _widened(self, image: Tensor) -> Tensor:
        """A picture or mask, mirrored past its border by the margin, if there is one."""
        if not self._margin:
            return image
        is_large = min(image.shape[-2:]) > self._margin
        return F.pad(image, [self._margin] * 4, mode="reflect" if is_large else "replicate")

    def _in_margin(self, style: Style) -> Style:
        masks = (style.content_mask, style.style_mask)
        content_mask, style_mask = (None if mask is None else self._widened(mask) for mask in masks)
        return Style(self._widened(style.image), style.weight, content_mask, style_mask)

    def _distances(self, image: Tensor, terms: Sequence[Term]) -> Mapping[str, list[Any]]:
        """The distances of some terms, by name.

        A layer's losses are taken when it is there, before the next one. On the way back they then come after it: no
        gradient of a feature map waits for the others. All terms' layers are asked for, also for one term alone: the
        deepest decides how far a small picture is continued, and targets have to fit.
        """
        image = self._widened(image)
        distances = {term.name: term.begin(image) for term in terms}
        missing = {layer for term in terms for layer in term.layers}
        for layer, features in self.encoder.iter_features(image, self.layers) if missing else ():
            missing.discard(layer)
            for term in terms:
                if layer in term.layers:
                    term.add(distances[term.name], layer, features)
            if not missing:
                break
        return distances


def _gradient_scale(image: Tensor) -> float:
    """A power of two near the number of pixels: gradients of a mean over pixels are then far from float16's smallest.

    Reference: Micikevicius et al. (2018), arXiv:1710.03740, section 3.2, on loss scaling.
    """
    return float(2 ** round(math.log2(image.shape[-2] * image.shape[-1])))
