"""Adam with steps in gray levels, projected onto the box [0, 1]."""

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.optimizers.base import GRAY_LEVEL, PixelOptimizer


class Adam(PixelOptimizer):
    """Adam with steps in gray levels, projected onto [0, 1].

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].
        learning_rate: Step length in gray levels of 1/255.

    Reference: Kingma & Ba (2014), arXiv:1412.6980, algorithm 1. Differs: β₂ = 0.99, because a run has only a few
    hundred steps; ε is relative to the gradient's size, because the gradient of a mean shrinks with the picture's area.
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-3

    def __init__(self, image: Tensor, learning_rate: float) -> None:
        super().__init__(image)
        self._rate = learning_rate * GRAY_LEVEL
        self._first = torch.zeros_like(self.candidate)
        self._second = torch.zeros_like(self.candidate)
        self._num_moves = 0
        self._image = self.candidate  # the last picture with a finite objective

    def _move(self, loss: float, gradient: Tensor, answers: list[float]) -> None:
        self._image = self.candidate
        self._num_moves += 1
        self._first = torch.lerp(self._first, gradient, 1 - self.BETA_1)
        self._second = torch.lerp(self._second, gradient.square(), 1 - self.BETA_2)
        first = self._first / (1 - self.BETA_1**self._num_moves)
        size = (self._second / (1 - self.BETA_2**self._num_moves)).sqrt_()
        self.candidate = (self._image - self._rate * first / (size + self.EPSILON * size.mean())).clamp_(0, 1)

    def _backtrack(self) -> None:
        self._rate *= 0.5
        self._forget_moments()
        if self._unit:
            self.candidate = self._image
        else:  # nothing finite was ever seen: back to the middle of the box
            self._image = self.candidate = self._image.lerp(torch.full_like(self._image, 0.5), 0.5)

    def _forget_moments(self) -> None:
        self._first, self._second = torch.zeros_like(self._image), torch.zeros_like(self._image)
        self._num_moves = 0

    def reset_curvature(self) -> None:
        """Drops moments and best; continues from the current picture."""
        super().reset_curvature()
        self._forget_moments()

    def resize(self, image: Tensor, resample: Callable[[Tensor, tuple[int, int]], Tensor]) -> None:
        """Carries the moments over to another size."""
        super().resize(image, resample)
        self._image = self.candidate
        size = (image.shape[-2], image.shape[-1])
        self._first, self._second = resample(self._first, size), resample(self._second, size).clamp_(min=0)
