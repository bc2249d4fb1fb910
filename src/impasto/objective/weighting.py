"""The factor of each term, from the weights and the strength."""

from collections.abc import Mapping

from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.losses.neighbors import GRID_STRIDE
from impasto.recipe import Recipe

OBJECTIVE_SCALE: Mapping[str, float] = {"content": 0.01, "style": 3.0, "tv": 0.1}
"""Constant of each term, at which the default weights give the balanced picture (`docs/explanation/objective.md`)."""

STYLE_KNEE = 0.06
"""Style distance, times the loss's `scale`, below which the style term fades; see `soft_thresholded`."""

BALANCED_RATIO = Recipe.model_fields["content_weight"].default / Recipe.model_fields["style_weight"].default
"""Ratio of content weight to style weight at the defaults."""

FARTHEST = 1e9
"""Ratio of the weights above which a larger one changes nothing."""

BLENDED_SLOPE = 0.2
"""Linear slope of the style term for blended styles, which cannot all be matched; `soft_thresholded` has this slope at
the balanced picture. Above 50 on the dial it rises to 1, as that of `soft_thresholded` does."""

ROUGHEST = 0.1
"""Factor of the total variation at strength 100."""

LOWER_POWER, UPPER_POWER = 2.5, 0.4
"""Exponents of the style's factor below strength 50 and of the content's above it, chosen so that each step shows."""

TERMS = tuple(OBJECTIVE_SCALE)
"""The terms, in the order in which vectors and tables list them."""


def term_factors(recipe: Recipe) -> dict[str, float]:
    """The factor of each normalized term: its scale, times its weight over the largest weight, times the strength's.

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
    """The factor of each term from the strength.

    Below 50 the style falls to 0, and with it the total variation, which is only needed against the style's noise.
    Above 50 the content falls to 0, and the total variation to `ROUGHEST`.

    Args:
        strength: From 0 (the content image) to 100 (texture alone); all factors are 1 at 50.
    """
    share = strength / 100
    content, style = min(1.0, 2 * (1 - share)) ** UPPER_POWER, min(1.0, 2 * share) ** LOWER_POWER
    return {"content": content, "style": style, "tv": style * (ROUGHEST + (1 - ROUGHEST) * content)}


def style_knee(recipe: Recipe, style_underestimate: float = 1.0) -> float:
    """The distance below which the style fades: `STYLE_KNEE` at the default weights, in proportion to their ratio.

    A picture converges at a distance in proportion to the cube root of (content over style weight) times the square of
    this knee; a knee in proportion to the ratio makes weights act in full. Above 50 the strength lowers the knee to 0,
    and with it the correction for an encoder that underestimates distances.

    Args:
        recipe: With weights and strength.
        style_underestimate: Of the encoder; see `Encoder`.
    """
    ratio = min(recipe.content_weight / recipe.style_weight, FARTHEST) if recipe.style_weight else 0.0
    nearness = knee_factor(recipe.strength)
    return float(STYLE_KNEE * nearness / (1 + (style_underestimate - 1) * nearness) * ratio / BALANCED_RATIO)


def knee_factor(strength: float) -> float:
    """The factor of `style_knee` from the strength: 1 up to 50, then falling to 0.

    Args:
        strength: From 0 to 100.
    """
    return min(1.0, 2 * (1 - strength / 100))


def soft_thresholded(distance: Tensor, near: float = STYLE_KNEE) -> Tensor:
    """A style distance, soft-thresholded: unchanged where it is large, nearly 0 once it is smaller than `near`.

    d³ / (d² + near²). With the bare distance, a picture would converge at a distance in proportion to how strongly its
    content opposes the style, which differs fivefold between pairs. A slope that falls near the target makes all
    pictures converge at about the same distance. An increasing function of a term keeps the Pareto-optimal pictures
    what they are; it only changes which of them a weight selects.

    Args:
        distance: At least 0, a scalar.
        near: At least 0; at 0 the distance is unchanged.
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


def texture_layers_of(recipe: Recipe, encoder: Encoder) -> Mapping[str, float]:
    """An encoder's own style layers that are fine, with weights; their Gram matrices act beside nearest neighbors."""
    if recipe.style_loss != "neighbors" or not recipe.texture:
        return {}
    layers = style_layers_of(recipe.replace(style_loss="gram"), encoder)
    return {layer: weight for layer, weight in layers.items() if encoder.layers[layer].stride <= GRID_STRIDE}


def layer_shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights of layers as shares that add up to 1, without weights of 0; only their ratios matter."""
    largest = max(weights.values())
    relative = {layer: weight / largest if largest else 0.0 for layer, weight in weights.items()}
    total = sum(relative.values()) or 1.0
    return {layer: weight / total for layer, weight in relative.items() if weight}
