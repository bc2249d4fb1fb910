"""How far a network in training is from its teacher: in features, in Gram matrices, in gradients of the pixels.

All three are relative squared errors: 0 is agreement, 1 is what a network that returns nothing would get. Those of
single pictures count by log(1 + error), so that one flat picture, with next to nothing to divide by, cannot rule.

The narrow network's projection H is never put to its feature maps: with S their second moments (a constant 1 among the
channels), X those with the teacher's features and T the teacher's own,

    ‖H f − F‖² = tr(HᵀH S) − 2 tr(H X) + tr(T)    and    ‖H S Hᵀ − T‖² = tr(HᵀH S HᵀH S) − 2 tr(HᵀT H S) + ‖T‖²,

which takes a fraction of the time, because the narrow network has a fraction of the channels.

Legend: B pictures, C channels of the narrow network and K of the teacher, N positions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.encoders.vgg import CONTENT_LAYERS, STYLE_LAYERS

Features = Mapping[str, Tensor]

OBJECTIVE_LAYERS = (*STYLE_LAYERS["vgg19"], *CONTENT_LAYERS["vgg19"])
CONTENT_SHARE = 0.05
"""Of the content term beside the style term, in the default recipe."""


def gram(features: Tensor) -> Tensor:
    """Second moments over positions of (B, C, H, W), float32 of shape (B, C, C)."""
    return _products(features, features)


@dataclass(frozen=True)
class Moments:
    """Of a layer of both networks, by picture, over positions.

    Attributes:
        own: Of the narrow features and a constant 1, shape (B, C + 1, C + 1).
        cross: Of those with the teacher's, shape (B, C + 1, K).
        energy: The teacher's mean square, summed over channels, shape (B,).
    """

    own: Tensor
    cross: Tensor
    energy: Tensor


def moments(narrow: Tensor, wide: Tensor) -> Moments:
    """Of feature maps of shape (B, C, H, W) and (B, K, H, W); differentiable with respect to the first."""
    mean = wide.float().mean((2, 3))[:, None, :]
    energy = wide.float().square().mean((2, 3)).sum(1)
    return Moments(own_moments(narrow), torch.cat([_products(narrow, wide), mean], 1), energy)


def own_moments(narrow: Tensor) -> Tensor:
    """Second moments of features and a constant 1, shape (B, C + 1, C + 1)."""
    mean = narrow.float().mean((2, 3))[:, :, None]
    corner = torch.cat([mean, mean.new_ones(len(mean), 1, 1)], 1)
    return torch.cat([torch.cat([gram(narrow), mean.mT], 1), corner], 2)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Means over positions of the products of all channels of a with all of b, float32."""
    rows, columns = (x.permute(0, 2, 3, 1).flatten(1, 2) for x in (a, b))
    return (rows.mT @ columns.to(rows.dtype)).float() / rows.shape[1]


def feature_disagreement(
    by_layer: Mapping[str, Moments], projections: Features, layer_weights: Mapping[str, float]
) -> Tensor:
    """Weighted sum over layers of ‖H f − F‖² / ‖F‖²."""
    terms = []
    for layer, of_layer in by_layer.items():
        projection, energy = projections[layer], of_layer.energy.sum()
        own = ((projection.T @ projection) * of_layer.own.sum(0)).sum()
        cross = (projection.T * of_layer.cross.sum(0)).sum()
        terms.append(layer_weights[layer] * (own - 2 * cross + energy) / energy)
    return torch.stack(terms).sum()


def gram_disagreement(
    by_layer: Mapping[str, Moments], wide: Features, projections: Features, layer_weights: Mapping[str, float]
) -> Tensor:
    """Weighted sum over some layers of the mean over pictures of log(1 + ‖H S Hᵀ − T‖² / ‖T‖²)."""
    terms = []
    for layer, weight in layer_weights.items():
        projection, own, target = projections[layer], by_layer[layer].own, gram(wide[layer])
        energy = target.square().sum((1, 2))
        cross = ((projection.T @ target @ projection).float() * own).sum((1, 2))
        error = (_squared_norm(projection.T @ projection, own) - 2 * cross + energy) / energy
        terms.append(weight * error.clamp_min(0).log1p().mean())
    return torch.stack(terms).sum()


def _squared_norm(metric: Tensor, matrices: Tensor) -> Tensor:
    """‖H S Hᵀ‖² of each symmetric matrix S of (B, C, C), with HᵀH the metric."""
    products = (metric @ matrices).float()
    return (products * products.mT).sum((1, 2))


def objective(pictures: Features, targets: Features, layer_weights: Mapping[str, float]) -> Tensor:
    """Style and content loss of pictures with targets of their own, summed over the pictures, of the teacher.

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
        content = targets[layer].chunk(2)[1]
        distance = (pictures[layer] - content).float().square().sum((1, 2, 3)) / content.float().square().sum((1, 2, 3))
        terms.append(CONTENT_SHARE * layer_weights[layer] * distance.sum())
    return torch.stack(terms).sum()


def narrow_objective(
    pictures: Features, targets: Features, projections: Features, layer_weights: Mapping[str, float]
) -> Tensor:
    """The same of the narrow network with its projections."""
    terms = []
    for layer in STYLE_LAYERS["vgg19"]:
        metric = projections[layer].T @ projections[layer]
        target = own_moments(targets[layer].chunk(2)[0])
        distance = _squared_norm(metric, own_moments(pictures[layer]) - target) / _squared_norm(metric, target)
        terms.append(layer_weights[layer] * distance.sum())
    for layer in CONTENT_LAYERS["vgg19"]:
        metric = projections[layer].T @ projections[layer]
        content = targets[layer].chunk(2)[1]
        distance = (metric[:-1, :-1] * gram(pictures[layer] - content)).sum((1, 2))
        energy = (metric * own_moments(content)).sum((1, 2))
        terms.append(CONTENT_SHARE * layer_weights[layer] * (distance / energy).sum())
    return torch.stack(terms).sum()


def gradient_disagreement(narrow: Tensor, wide: Tensor) -> Tensor:
    """Mean over pictures of log(1 + ‖g − G‖² / ‖G‖²) of two gradients of shape (B, 3, H, W)."""
    error = (narrow - wide).square().sum((1, 2, 3)) / wide.square().sum((1, 2, 3)).clamp_min(1e-20)
    return error.log1p().mean()
