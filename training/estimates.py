"""Better guesses at VGG19's features of style images, the last step of `training.distill`.

A style image is looked at once, a picture once an iteration. For the style image a narrow network can therefore afford
what no iteration could: from all layers of a block and of the one before it, a linear map that comes closer to VGG19
than the layer's own projection does. Found by least squares, layer by layer, on paintings and photographs as they are;
what the optimizer paints is left to the projections.

Reference: Hoerl & Kennard (1970), Technometrics 12, for the shrinkage; Wang et al. (2020), arXiv:2003.08436, for linear
maps between a narrow encoder's features and a wide one's.
"""

import torch
from torch import Tensor
from training.networks import LAYERS, augment, load_teacher
from training.pictures import Crops

from impasto.encoders.compact import Compact
from impasto.encoders.vgg import STYLE_LAYERS, VGG

ESTIMATED = tuple(STYLE_LAYERS["vgg19"])[:-1]
"""The style layers but the deepest: no later layer helps there, and at its few positions a target that the narrow
network cannot reach leads the optimizer astray."""

CROP_SIZE = 192
SEED = 1
SHRINKAGE = 0.01
"""Toward the layer's own features, relative to each input's mean square."""

PAINTINGS, PHOTOGRAPHS = 0.6, 0.3
"""Shares of the crops; the rest are augmented mixtures and procedural pictures."""


@torch.no_grad()
def fit_estimates(encoder: Compact, teacher: VGG, crops: Crops, count: int) -> dict[str, Tensor]:
    """The maps of the layers that are estimated, under the file's names.

    Args:
        encoder: With its projections.
        teacher: VGG19 in float32.
        crops: Where the pictures come from.
        count: How many to look at.

    Returns:
        ``<layer>.estimate`` of shape (C, inputs + 1), as `Compact.iter_style_features` takes it.
    """
    moments: dict[str, Tensor] = {}
    cross: dict[str, Tensor] = {}
    for _ in range(count):
        image = _draw(crops)[None]
        wide, narrow = teacher(image, ESTIMATED), encoder(image, LAYERS)
        for layer in ESTIMATED:
            inputs = [encoder.as_input(name, narrow[name], layer) for name in encoder.estimated_from(layer)]
            rows, target = augment(torch.cat(inputs, 1)).double(), wide[layer].flatten(2)[0].T.double()
            weight = 1 / target.square().sum().clamp_min(1e-6)  # each picture counts alike, as in a relative distance
            moments[layer] = moments.get(layer, 0) + weight * (rows.T @ rows)
            cross[layer] = cross.get(layer, 0) + weight * (rows.T @ target)
    return {
        f"{layer}.estimate": solve(moments[layer], cross[layer], encoder.full_projection(layer).double()).float()
        for layer in ESTIMATED
    }


def _draw(crops: Crops) -> Tensor:
    kind = crops.rng.random()
    if kind < PAINTINGS:
        return crops.painting()
    return crops.photograph() if kind < PAINTINGS + PHOTOGRAPHS else crops.draw()


def solve(moments: Tensor, cross: Tensor, projection: Tensor, shrinkage: float = SHRINKAGE) -> Tensor:
    """The map to the narrow channels that its projection then leads closest to the teacher's, shrunk to the identity.

    Args:
        moments: Of the inputs [own channels; others; 1], float64.
        cross: Of inputs and the teacher's channels.
        projection: The layer's, shape (K, C + 1).
        shrinkage: See `SHRINKAGE`.

    Returns:
        Shape (C, inputs + 1).
    """
    channels = projection.shape[1] - 1
    start = torch.zeros(len(projection), len(moments), dtype=projection.dtype)
    start[:, :channels], start[:, -1] = projection[:, :-1], projection[:, -1]
    penalty = torch.diag(shrinkage * moments.diagonal() + 1e-12)
    wide = torch.linalg.solve(moments + penalty, cross + penalty @ start.T).T
    wide[:, -1] -= projection[:, -1]
    return torch.linalg.pinv(projection[:, :-1]) @ wide


def add_estimates(state: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """A compact encoder's weights, with the estimates fitted to them."""
    return state | fit_estimates(Compact(state), load_teacher(), Crops(CROP_SIZE, SEED), count)
