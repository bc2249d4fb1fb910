"""What the weights and the dial multiply each term by."""

from collections.abc import Mapping

from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.recipe import Recipe

OBJECTIVE_SCALE: Mapping[str, float] = {"content": 0.01, "style": 3.0, "tv": 0.1}
"""Constant of each term, at which the default weights give the balanced picture (`docs/explanation/objective.md`)."""

STYLE_KNEE = 0.06
"""Style distance, times the loss's `scale`, below which the style lets go; see `soft_thresholded`."""

BALANCED_RATIO = Recipe.model_fields["content_weight"].default / Recipe.model_fields["style_weight"].default
"""Of content to style weight."""

FARTHEST = 1e9
"""Ratio of the weights above which it makes no difference any more."""

BLENDED_SLOPE = 0.2
"""Linear slope of the style term for blended styles, which cannot all be matched; `soft_thresholded` has this slope at
the balanced picture. Above 50 on the dial it rises to 1, as that of `soft_thresholded` does."""

ROUGHEST = 0.1
"""What is left of the total variation at the upper end of the dial."""

LOWER_POWER, UPPER_POWER = 2.5, 0.4
"""Below 50 the dial turns the style down by a power of the way left, above 50 the content, so that each step shows."""

TERMS = tuple(OBJECTIVE_SCALE)
"""Order of the terms wherever they stand in a row."""


def term_factors(recipe: Recipe) -> dict[str, float]:
    """What each normalized term is multiplied by: its scale, its weight over the largest weight, the dial's factor.

    Dividing by a weight (and not by their sum) keeps the factors bit-identical when all weights are multiplied by one
    power of two, and finite for weights up to the largest float.
    """
    weights = {"content": recipe.content_weight, "style": recipe.style_weight, "tv": recipe.tv_weight}
    largest = max(weights.values())
    dial = strength_factors(recipe.strength)
    return {
        term: OBJECTIVE_SCALE[term] * dial[term] * (weight / largest if largest else 0.0)
        for term, weight in weights.items()
    }


def strength_factors(strength: float) -> dict[str, float]:
    """What the dial multiplies each term by.

    Below 50 it turns the style down to nothing, and with it the total variation, which is there against the noise that
    the style brings; above 50 it turns the content down to nothing, and the total variation to `ROUGHEST`.

    Args:
        strength: From 0 (the content back) to 100 (nothing but texture); all factors are 1 at 50.
    """
    share = strength / 100
    content, style = min(1.0, 2 * (1 - share)) ** UPPER_POWER, min(1.0, 2 * share) ** LOWER_POWER
    return {"content": content, "style": style, "tv": style * (ROUGHEST + (1 - ROUGHEST) * content)}


def style_knee(recipe: Recipe, style_underestimate: float = 1.0) -> float:
    """Where the style lets go: `STYLE_KNEE` at the default weights, and in proportion to content over style weight.

    A picture comes to rest in proportion to the third root of that ratio times the square of this distance, so weights
    act in full. Above 50 the dial brings it down to nothing, and with it what an optimistic encoder takes off it: there
    a picture is as near to the style as that encoder can bring it.

    Args:
        recipe: With weights and strength.
        style_underestimate: Of the encoder; see `Encoder`.
    """
    ratio = min(recipe.content_weight / recipe.style_weight, FARTHEST) if recipe.style_weight else 0.0
    nearness = knee_factor(recipe.strength)
    return float(STYLE_KNEE * nearness / (1 + (style_underestimate - 1) * nearness) * ratio / BALANCED_RATIO)


def knee_factor(strength: float) -> float:
    """What the dial multiplies `style_knee` by: 1 up to 50, and from there down to 0.

    Args:
        strength: From 0 to 100.
    """
    return min(1.0, 2 * (1 - strength / 100))


def soft_thresholded(distance: Tensor, near: float = STYLE_KNEE) -> Tensor:
    """What a style distance counts: itself where it is large, next to nothing once it is smaller than `near`.

    d³ / (d² + near²). Were it the distance itself, a picture would come to rest at a distance in proportion to what its
    content holds against the style, which differs fivefold between pairs. A slope that falls as the style comes near
    brings all pictures to rest at about the same distance. An increasing function of a term leaves the best trade-offs
    between the terms what they are, and only decides which of them a weight stands for.

    Args:
        distance: At least 0, a scalar.
        near: At least 0; at 0 a distance counts as itself.
    """
    square = (distance / max(near, 1e-9)).clamp(max=1e6).square()
    return distance * (square / (1 + square))


def style_layers_of(recipe: Recipe, encoder: Encoder) -> Mapping[str, float]:
    """The style layers of an encoder where the recipe names none, with weights as the recipe lets them fall."""
    if recipe.style_loss == "neighbors":
        return encoder.hypercolumn_layers
    layers = encoder.style_layers
    return {
        name: weight * recipe.layer_falloff ** (len(layers) - 1 - depth)
        for depth, (name, weight) in enumerate(layers.items())
    }


def layer_shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights of layers as shares that add up to 1, without those of 0; they are ratios, as those of the terms are."""
    largest = max(weights.values())
    relative = {layer: weight / largest if largest else 0.0 for layer, weight in weights.items()}
    total = sum(relative.values()) or 1.0
    return {layer: weight / total for layer, weight in relative.items() if weight}
