"""Optimizers of pixels: guarded L-BFGS and Adam behind one interface."""

from torch import Tensor

from impasto.optimizers.adam import Adam
from impasto.optimizers.base import PixelOptimizer
from impasto.optimizers.lbfgs import LBFGS
from impasto.optimizers.scratch import Scratch
from impasto.recipe import Recipe

__all__ = ["LBFGS", "Adam", "PixelOptimizer", "build_optimizer"]


def build_optimizer(image: Tensor, recipe: Recipe, scratch: Scratch | None = None) -> PixelOptimizer:
    """The optimizer that a recipe names, started at an image of shape (1, 3, H, W)."""
    if recipe.optimizer == "adam":
        return Adam(image, recipe.learning_rate)
    return LBFGS(image, recipe.history_size, scratch)
