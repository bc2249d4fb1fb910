"""Loss functions: pure functions of tensors, independent of any encoder.

Rooms: `base` (relative distances, the contract of a style loss), `statistics` (additive sums over positions), a file
for each loss, `registry` (the style losses by name).
"""

from impasto.losses.base import StyleLoss, relative, relative_square, squared_norm
from impasto.losses.content import content_loss, projected_squared_norm
from impasto.losses.gram import gram_loss, gram_matrix
from impasto.losses.registry import STYLE_LOSSES
from impasto.losses.statistics import Moments, moments
from impasto.losses.total_variation import total_variation

__all__ = [
    "STYLE_LOSSES",
    "Moments",
    "StyleLoss",
    "content_loss",
    "gram_loss",
    "gram_matrix",
    "moments",
    "projected_squared_norm",
    "relative",
    "relative_square",
    "squared_norm",
    "total_variation",
]
