"""The style losses by name."""

from collections.abc import Mapping

from impasto.losses.base import StyleLoss
from impasto.losses.gram import Gram
from impasto.losses.histogram import Histogram
from impasto.losses.sliced import Sliced
from impasto.losses.wasserstein import GaussianMoments

STYLE_LOSSES: Mapping[str, StyleLoss] = {
    "gram": Gram(),
    "moments": GaussianMoments(),
    "histogram": Histogram(),
    "sliced": Sliced(),
}
"""By the name that the recipe uses."""
