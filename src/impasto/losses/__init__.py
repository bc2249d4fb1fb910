"""Loss functions: pure functions of tensors, which know no encoder.

Rooms: `moments` (additive statistics), `distances` (content loss, total variation), `style` (the style losses).
"""

from impasto.losses.distances import content_loss, energy, relative, relative_square, squared_norm, total_variation
from impasto.losses.moments import Moments, moments
from impasto.losses.style import STYLE_LOSSES, StyleLoss, gram_loss, gram_matrix

__all__ = [
    "STYLE_LOSSES",
    "Moments",
    "StyleLoss",
    "content_loss",
    "energy",
    "gram_loss",
    "gram_matrix",
    "moments",
    "relative",
    "relative_square",
    "squared_norm",
    "total_variation",
]
