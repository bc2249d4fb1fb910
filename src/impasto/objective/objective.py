"""The objective: one scalar with its parts, to be minimized over the pixels.

Each term is divided by its own scale (1 is the distance of a black picture), multiplied by one published constant
(so that the default weights are balanced), and multiplied by its share of the weights.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from impasto.devices import trim_freed_pages
from impasto.encoders.base import Encoder
from impasto.losses.neighbors import Matching
from impasto.objective.cuda_graph import CapturedFunction
from impasto.objective.masks import Style
from impasto.objective.neighbor_term import MARGIN, NeighborTerm
from impasto.objective.terms import (
    ContentTerm,
    StyleTerm,
    Sums,
    Term,
    TotalVariationTerm,
    added,
    tensors_of,
    with_tensors,
)
from impasto.objective.tiles import Tile
from impasto.objective.view import View
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
        height, width = content_image.shape[-2:]
        margin = MARGIN if recipe.style_loss == "neighbors" else 0
        view = View.of(
            (height, width), encoder, target_encoder or encoder, self.layers, recipe.tile_edge, margin,
            wraps=recipe.tileable, interpolates=recipe.style_loss == "neighbors",
        )  # fmt: skip
        self._view = view
        canvas = view.canvas
        inside = None if visible is None else canvas.whole(visible)
        given = [style if isinstance(style, Style) else Style(style) for style in styles]
        whole_styles = [
            style if style.content_mask is None else replace(style, content_mask=canvas.whole(style.content_mask))
            for style in given
        ]
        with torch.no_grad():
            style_terms: list[Term]
            if recipe.style_loss == "neighbors":
                begin = content_image if begin is None else begin
                neighbors = (view, content_image, begin, whole_styles, style, recipe, matching, inside)
                style_terms = [NeighborTerm(*neighbors)] if style else []  # without a layer, nothing can be matched
                if style_terms and texture:
                    gram = recipe.replace(style_loss="gram")
                    style_terms.append(StyleTerm(view, whole_styles, texture, gram, inside, recipe.texture))
            else:
                style_terms = [StyleTerm(view, whole_styles, style, recipe, inside)]
            terms: list[Term] = [
                ContentTerm(view, content_image, content, recipe.kept_targets, inside),
                *style_terms,
                TotalVariationTerm(canvas, wraps=recipe.tileable),
            ]
        self.terms = [term for term in terms if self.factors[term.name]]

    @property
    def num_tiles(self) -> int:
        """In how many tiles the picture is evaluated."""
        return len(self._view.rows) * len(self._view.columns)

    def evaluate(self, image: Tensor) -> Evaluation:
        """The objective and its gradient, without host synchronization.

        One tile takes one forward and one backward pass. With several, a first pass makes the sums that the value of a
        term is a function of; a second one carries the derivative with respect to the sums back, tile by tile. Where
        processes share the tiles, all of them call this, and the leader's picture counts.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
        """
        ranks = self._view.ranks
        if ranks is not None and ranks.is_leader:
            with ranks.together():
                ranks.tell(("evaluate", tuple(image.shape)))
                ranks.hand_out(image)
                return Evaluation(*self._evaluate(image))
        if image.is_cuda and self.num_tiles == 1:
            self._captured = self._captured or CapturedFunction(self._evaluate)
            return Evaluation(*self._captured(image))
        return Evaluation(*self._evaluate(image))

    def _evaluate(self, image: Tensor, names: Collection[str] = TERMS) -> tuple[Tensor, Tensor, Tensor]:
        """Total, gradient and parts; of some terms, if not of all."""
        terms = [term for term in self.terms if term.name in names]
        scale = _gradient_scale(image) if self.encoder.precision == "float16" else 1.0
        image, tiles, ranks = image.detach(), self._view.tiles, self._view.ranks
        gradient = torch.zeros_like(image)
        known: Mapping[Term, Sums] = {}
        curved = [term for term in terms if not term.is_additive]
        if self.num_tiles > 1 and curved:
            with torch.no_grad():
                known = self._sums(image, curved)
        values: dict[Term, Tensor] = {}
        for tile in tiles:
            leaf = (image if tile.is_whole else self._view.cut(image, tile)).detach().requires_grad_()
            window = self._view.cut(leaf, tile) if tile.is_whole else leaf
            own = self._sums_of_tile(self._unlocked(window, tile), terms, tile)
            outputs: list[Tensor] = []
            derivatives: list[Tensor | None] = []
            for term in terms:
                leaves = [tensor.detach().requires_grad_() for tensor in tensors_of(known.get(term, own[term]))]
                value = self.factors[term.name] * term.share * term.value(with_tensors(own[term], leaves))
                outputs += tensors_of(own[term])
                derivatives += torch.autograd.grad(value, leaves, allow_unused=True)
                values[term] = value.detach() if term in known or term not in values else values[term] + value.detach()
            carried = [
                (output, derivative * scale)
                for output, derivative in zip(outputs, derivatives, strict=True)
                if output.requires_grad and derivative is not None
            ]
            if carried:
                (part,) = torch.autograd.grad([output for output, _ in carried], leaf, [d for _, d in carried])
                part = part if scale == 1 else part / scale
                if tile.is_whole:
                    gradient = part
                else:
                    self._view.canvas.add(gradient, part, tile)
        self._end_pass()
        if ranks is not None:
            ranks.add_at_leader(gradient)
            ranks.add([value for term, value in values.items() if term not in known])
        parts = self._stacked(values, image)
        return parts.sum(), gradient, parts

    def _stacked(self, values: Mapping[Term, Tensor], image: Tensor) -> Tensor:
        """Weighted values of terms by name, in the order of `TERMS`."""
        zero = image.new_zeros(())
        return torch.stack(
            [sum((value for term, value in values.items() if term.name == name), start=zero) for name in TERMS]
        )

    def _unlocked(self, window: Tensor, tile: Tile) -> Tensor:
        """A window, with the content in it where that is kept."""
        if self.lock_mask is None:
            return window
        return window.lerp(self._view.cut(self.content_image, tile), self._view.cut(self.lock_mask, tile))

    def _sums(self, image: Tensor, terms: Sequence[Term]) -> Mapping[Term, Sums]:
        """The sums of some terms, over all tiles."""
        sums: dict[Term, Sums] = {}
        for tile in self._view.tiles:
            own = self._sums_of_tile(self._unlocked(self._view.cut(image, tile), tile), terms, tile)
            sums = {term: added(sums[term], own[term]) for term in terms} if sums else own
        self._end_pass()
        self._view.add([tensor for term in terms for tensor in tensors_of(sums[term])])
        return sums

    def _end_pass(self) -> None:
        """Hands back what tiles have left in the heap, before the optimizer needs as much for its own pictures."""
        if self.num_tiles > 1:
            trim_freed_pages()

    def _sums_of_tile(self, window: Tensor, terms: Sequence[Term], tile: Tile) -> dict[Term, Sums]:
        """The sums of some terms in a tile.

        A layer's losses are taken when it is there, before the next one. On the way back they then come after it: no
        gradient of a feature map waits for the others. All terms' layers are asked for, also for one term alone: the
        deepest decides how far a small picture is continued, and targets have to fit.
        """
        sums = {term: term.begin(window, tile) for term in terms}
        missing = {layer for term in terms for layer in term.layers}
        for layer, features in self.encoder.iter_features(window, self.layers) if missing else ():
            missing.discard(layer)
            for term in terms:
                if layer in term.layers:
                    term.add(sums[term], layer, features, tile)
            if not missing:
                break
        return {term: term.end(sums[term], tile) for term in terms}

    def parts(self, image: Tensor, names: Collection[str] = TERMS) -> Tensor:
        """The weighted terms in the order of `TERMS`, shape (3,), differentiable; 0 for those not asked for."""
        terms = [term for term in self.terms if term.name in names]
        sums = self._sums(image, terms)
        values = {term: self.factors[term.name] * term.share * term.value(sums[term]) for term in terms}
        return self._stacked(values, image)

    @torch.no_grad()
    def distances(self, image: Tensor) -> dict[str, float]:
        """How far a picture is from content and style, relative to black, and how rough it is; before any weight.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.

        Returns:
            By the name of the term; 0 for a term that is switched off. Of several styles, the mean by their shares.
        """
        sums = self._sums(image, self.terms)
        means = {term.name: term.mean(sums[term]) for term in reversed(self.terms)}  # the first of a name counts
        return dict.fromkeys(TERMS, 0.0) | means

    def gradient_share(self, image: Tensor, gradient: Tensor) -> dict[str, float]:
        """Each term's share of the gradient: its norm over the sum of the norms of all terms.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1], of the content image's size.
            gradient: Of the whole objective there, of the same shape; what is not the other terms' is the style's.
        """
        norms, left = dict.fromkeys(TERMS, 0.0), gradient
        for name in TERMS:
            if self.factors[name] and name != "style":
                _, own, _ = self._evaluate(image, [name])
                norms[name] = own.norm().item()
                left = left - own
        if self.factors["style"]:
            norms["style"] = left.norm().item()
        total = sum(norms.values()) or 1.0
        return {name: norm / total for name, norm in norms.items()}


def _gradient_scale(image: Tensor) -> float:
    """A power of two near the number of pixels: gradients of a mean over pixels are then far from float16's smallest.

    Reference: Micikevicius et al. (2018), arXiv:1710.03740, section 3.2, on loss scaling.
    """
    return float(2 ** round(math.log2(image.shape[-2] * image.shape[-1])))
