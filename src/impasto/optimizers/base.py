"""The interface and the guards that all optimizers of pixels share.

An optimizer offers a `candidate` picture and receives the objective there (`update`), once an iteration: an iteration
is one evaluation of the objective for every optimizer. Between two evaluations the state is plain tensors and numbers.
Pixels always stay in [0, 1], the picture with the lowest finite objective is kept, steps to values that are not finite
are undone, and every stop has a reason. An iteration needs one host synchronization.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor

from impasto.objective.objective import Evaluation
from impasto.recipe import StopReason

GRAY_LEVEL = 1 / 255
"""One step of an 8-bit picture, in pixel units."""

MAX_NOT_FINITE = 60
"""Evaluations in a row that may be not finite, each followed by a shorter step, before a run gives up."""


class PixelOptimizer(ABC):
    """Moves a picture downhill, one evaluation at a time.

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].

    Attributes:
        candidate: The picture to evaluate next, same shape and range.
        best_image: The picture with the lowest finite objective so far; the start until there is one.
        best_loss: Its objective, infinity until there is one.
        stop_reason: Why the optimizer cannot go on; None while it can.
    """

    not_in_state = frozenset({"_best_gradient"})
    """Attributes that a checkpoint does not hold: they are found again, or belong to the process."""

    def __init__(self, image: Tensor) -> None:
        self.candidate = image.detach().clamp(0, 1).contiguous()
        self.best_image = self.candidate
        self.best_loss = math.inf
        self.stop_reason: StopReason | None = None
        self._best_gradient: Tensor | None = None
        self._num_not_finite = 0
        self._unit = 0.0  # objective and gradient are divided by it, so that no square underflows or overflows

    def update(self, evaluation: Evaluation) -> tuple[float, list[float]]:
        """Takes in the objective at the candidate and moves on to the next candidate.

        Args:
            evaluation: The objective at `candidate`; its gradient is taken over, and changed.

        Returns:
            The objective and its parts at the candidate, as numbers; they may be infinite or NaN.
        """
        gradient = evaluation.gradient.div_(self._unit) if self._unit else evaluation.gradient
        size = torch.linalg.vector_norm(gradient, 1) / gradient.numel()
        on_device = [evaluation.total, size, *evaluation.parts, *self._extra_scalars(gradient)]
        loss, magnitude, *rest = torch.stack([value.float() for value in on_device]).tolist()
        num_parts = len(evaluation.parts)
        parts, answers = rest[:num_parts], rest[num_parts:]
        if math.isfinite(loss) and math.isfinite(magnitude):
            self._num_not_finite = 0
            if loss < self.best_loss:
                self.best_loss, self.best_image, self._best_gradient = loss, self.candidate, gradient
            if magnitude == 0:
                self.stop_reason = StopReason.CONVERGED
                return loss, parts
            if not self._unit:
                self._unit = magnitude
                gradient.div_(magnitude)
            self._move(loss / self._unit, gradient, answers)
        else:
            self._num_not_finite += 1
            if self._num_not_finite > MAX_NOT_FINITE:
                self.stop_reason = StopReason.NOT_FINITE
            else:
                self._backtrack()
        return loss, parts

    @property
    def best_gradient(self) -> Tensor | None:
        """The objective's gradient at the best picture, shape (1, 3, H, W); None if that is from before a change."""
        return None if self._best_gradient is None else self._best_gradient * self._unit

    def _extra_scalars(self, gradient: Tensor) -> list[Tensor]:
        """Further scalars on the device that `_move` needs, fetched in the same synchronization."""
        return []

    @abstractmethod
    def _move(self, loss: float, gradient: Tensor, answers: list[float]) -> None:
        """Chooses the next candidate after a finite evaluation."""

    @abstractmethod
    def _backtrack(self) -> None:
        """Chooses a more careful candidate after an evaluation that was not finite."""

    def reset_curvature(self) -> None:
        """Drops curvature and best before the objective changes; the picture stays."""
        self._unit = 0.0
        self.best_image, self._best_gradient = self.candidate, None
        self.best_loss, self.stop_reason = math.inf, None

    def save_memory(self) -> str:
        """Uses less memory from now on and says how, in words; empty if nothing can be saved.

        Curvature is dropped too, since an update that ran out of memory may be left half done.
        """
        return ""

    def resize(self, image: Tensor, resample: Callable[[Tensor, tuple[int, int]], Tensor]) -> None:
        """Carries the state over to another level of the pyramid.

        Args:
            image: The picture that the level begins with, shape (1, 3, H, W), in [0, 1].
            resample: Resizes a (1, 3, H, W) tensor of any range to a height and width.
        """
        before = self.best_image.numel()
        self.candidate = self.best_image = image
        self._unit *= before / self.best_image.numel()  # a mean's gradient is spread over the pixels
        self.best_loss, self._best_gradient, self.stop_reason = math.inf, None, None

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on: tensors, numbers, strings and lists of them."""
        return {
            name.lstrip("_"): copy(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name not in self.not_in_state
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continues from a `state`."""
        for name in vars(self).keys() - self.not_in_state:
            value = state[name.lstrip("_")]
            setattr(self, name, copy(value) if isinstance(value, list) else value)
