"""How far a network in training is from its teacher: in features, in Gram matrices, in gradients of the pixels.

All three are relative squared errors: 0 is agreement, 1 is what a network that returns nothing would get. Those of
single pictures count by log(1 + error), so that one flat picture, with next to nothing to divide by, cannot rule.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.encoders.vgg import CONTENT_LAYERS, STYLE_LAYERS

Features = Mapping[str, Tensor]

OBJECTIVE_LAYERS = (*STYLE_LAYERS["vgg19"], *CONTENT_LAYERS["vgg19"])
CONTENT_SHARE = 0.05
"""Of the content term beside the style term, in the default recipe."""


def gram(features: Tensor) -> Tensor:
    """Second moments over positions of (B, C, H, W), shape (B, C, C)."""
    rows = features.flatten(2).float()
    return rows @ rows.mT / rows.shape[2]


def feature_disagreement(narrow: Features, wide: Features, layer_weights: Mapping[str, float]) -> Tensor:
    """Weighted sum over layers of ‖f − F‖² / ‖F‖², both in the teacher's channels."""
    terms = [
        layer_weights[layer]
        * (narrow[layer].float() - wide[layer].float()).square().sum()
        / wide[layer].float().square().sum()
        for layer in wide
    ]
    return torch.stack(terms).sum()


def gram_disagreement(narrow: Features, wide: Features, layer_weights: Mapping[str, float]) -> Tensor:
    """Weighted sum over layers of the mean over pictures of log(1 + ‖g − G‖² / ‖G‖²)."""
    terms = []
    for layer in wide:
        target = gram(wide[layer])
        error = (gram(narrow[layer]) - target).square().sum((1, 2)) / target.square().sum((1, 2))
        terms.append(layer_weights[layer] * error.log1p().mean())
    return torch.stack(terms).sum()


def objective(pictures: Features, targets: Features, layer_weights: Mapping[str, float]) -> Tensor:
    """Style and content loss of pictures with targets of their own, summed over the pictures.

    Args:
        pictures: Features of B pictures.
        targets: Features of their B styles and, after them, their B contents.
        layer_weights: Of the layers.
    """
    terms = []
    for layer in STYLE_LAYERS["vgg19"]:
        target = gram(targets[layer].chunk(2)[0])
        distance = (gram(pictures[layer]) - target).square().sum((1, 2)) / target.square().sum((1, 2))
        terms.append(layer_weights[layer] * distance.sum())
    for layer in CONTENT_LAYERS["vgg19"]:
        content = targets[layer].chunk(2)[1].float()
        distance = (pictures[layer].float() - content).square().sum((1, 2, 3)) / content.square().sum((1, 2, 3))
        terms.append(CONTENT_SHARE * layer_weights[layer] * distance.sum())
    return torch.stack(terms).sum()


def gradient_disagreement(narrow: Tensor, wide: Tensor) -> Tensor:
    """Mean over pictures of log(1 + ‖g − G‖² / ‖G‖²) of two gradients of shape (B, 3, H, W)."""
    error = (narrow - wide).square().sum((1, 2, 3)) / wide.square().sum((1, 2, 3)).clamp_min(1e-20)
    return error.log1p().mean()
