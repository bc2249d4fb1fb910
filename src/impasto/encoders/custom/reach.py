"""How far the layers of a custom network look, found by experiment, so that it can be evaluated in tiles.

One row of a picture is made NaN, and the positions of a layer that turn NaN are those that depend on it: nearly every
operation hands NaN on. Where one does not, a second experiment shows it: what a layer says of a part of a picture is
compared with what it says of the whole. Nothing has to be declared.
"""

import math
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

PROBE = (128, 1024)
"""Edges of the pictures that are looked at, the short one and the long one; a reach past a quarter of the long one is
not found."""

PART = (256, 768)
"""Where the part that is compared begins and ends; multiples of all usual strides."""

LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Between features of the part and of the whole, over the mean absolute feature: rounding, by the features' type."""

FeaturesOf = Callable[[Tensor, Collection[str]], Mapping[str, Tensor]]
"""Features of a picture of shape (1, 3, H, W), RGB in [0, 1], by layer."""


@torch.no_grad()
def find_reach(features_of: FeaturesOf, strides: Mapping[str, int], picture: Tensor) -> dict[str, int | None]:
    """How far layers look past what their positions stand for, in pixels; None where that is not found.

    Args:
        features_of: The network.
        strides: Of the layers that are asked for.
        picture: Something to look at, shape (1, 3, *PROBE), RGB in [0, 1].
    """
    along = [_reach_along(features_of, strides, each, axis) for each, axis in ((picture, -1), (picture.mT, -2))]
    return {
        layer: None if any(found[layer] is None for found in along) else max(found[layer] or 0 for found in along)
        for layer in strides
    }


def _reach_along(
    features_of: FeaturesOf, strides: Mapping[str, int], picture: Tensor, axis: int
) -> dict[str, int | None]:
    """The same along one axis, which is the picture's long one."""
    poisoned = picture.clone()
    middle = PROBE[1] // 2
    poisoned.select(axis, middle).fill_(torch.nan)
    # An odd number of pixels, so that a layer that rests on an even one is found out.
    whole = picture.narrow(axis, 0, PROBE[1] - 1)
    of_poisoned, of_whole = features_of(poisoned, strides), features_of(whole, strides)
    of_part = features_of(picture.narrow(axis, PART[0], PART[1] - PART[0]), strides)
    found: dict[str, int | None] = {}
    for layer, stride in strides.items():
        across = -1 if axis == -2 else -2
        touched = of_poisoned[layer].isnan().any(1, keepdim=True).any(across).flatten().nonzero().flatten().tolist()
        count = of_poisoned[layer].shape[axis]
        if not touched or touched[0] == 0 or touched[-1] >= count - 1 or PART[0] % stride:
            found[layer] = None
            continue
        reach = max(middle - touched[0] * stride, touched[-1] * stride - middle + stride - 1, 0)
        first, last = math.ceil((PART[0] + reach) / stride), (PART[1] - reach) // stride - 1
        offset = PART[0] // stride
        if first > last or last >= of_whole[layer].shape[axis] or last - offset >= of_part[layer].shape[axis]:
            found[layer] = None
            continue
        seen = of_whole[layer].narrow(axis, first, last - first + 1).float()
        again = of_part[layer].narrow(axis, first - offset, last - first + 1).float()
        most = LARGEST_DIFFERENCE[of_whole[layer].dtype] * seen.abs().mean()
        found[layer] = reach if bool((seen - again).abs().max() <= most) else None
    return found
