"""Optimizers of pixels: guarded L-BFGS and Adam behind one interface.

An optimizer is asked for a `candidate` picture and told the objective there (`update`), once an iteration, so that an
iteration is one evaluation of the objective whatever the optimizer does with it. Between two evaluations its whole
state is plain tensors and numbers. Pixels stay in [0, 1] all the time, the picture with the lowest finite objective is
kept, a value that is not finite is taken back, and the reason for stopping is said. One host synchronization an
iteration.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor

from impasto.memory import LEAST_HISTORY
from impasto.objective import Evaluation
from impasto.recipe import Recipe

GREY_LEVEL = 1 / 255
"""One step of an 8-bit picture, in pixel units."""

FIRST_STEP = 4 * GREY_LEVEL
"""Root mean square of a step along the bare gradient, when nothing is known of the curvature."""

SMALLEST_STEP = 1e-4 * GREY_LEVEL
"""Steps below this change nothing that a 16-bit picture could show."""

SUFFICIENT_DECREASE = 1e-4
"""Armijo's constant: the share of the predicted decrease that a step has to bring."""

ROUNDING = 2e-7
"""Relative noise of the objective in float32, which must not count as an increase."""

MAX_REJECTED = 4
"""Steps taken back in a row after which L-BFGS forgets its curvature."""

MAX_FRUITLESS = 50
"""Iterations of L-BFGS in a row without a lower objective, after which it says that nothing is left to gain."""

MAX_NOT_FINITE = 60
"""Evaluations in a row that are not finite, each followed by a shorter step, after which a run gives up."""


class PixelOptimizer(ABC):
    """Moves a picture downhill, one evaluation at a time.

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].

    Attributes:
        candidate: The picture at which the objective is to be evaluated next, same shape and range.
        best_image: The picture with the lowest finite objective so far; the start until there is one.
        best_loss: Its objective, infinity until there is one.
        stop_reason: Why nothing more can be gained, in words; empty while there is something to do.
    """

    def __init__(self, image: Tensor) -> None:
        self.candidate = image.detach().clamp(0, 1).contiguous()
        self.best_image = self.candidate
        self.best_loss = math.inf
        self.stop_reason = ""
        self._num_not_finite = 0
        self._unit = 0.0  # objective and gradient are divided by it, so that no square underflows or overflows

    def update(self, evaluation: Evaluation) -> tuple[float, list[float]]:
        """Takes in the objective at the candidate and moves on to the next candidate.

        Args:
            evaluation: The objective at `candidate`.

        Returns:
            The objective and its parts at the candidate, as numbers; they may be infinite or NaN.
        """
        gradient = evaluation.gradient / self._unit if self._unit else evaluation.gradient
        on_device = [evaluation.total, gradient.abs().mean(), *evaluation.parts, *self._inquiries(gradient)]
        loss, magnitude, *rest = torch.stack([value.double() for value in on_device]).tolist()
        num_parts = len(evaluation.parts)
        parts, answers = rest[:num_parts], rest[num_parts:]
        if math.isfinite(loss) and math.isfinite(magnitude):
            self._num_not_finite = 0
            if loss < self.best_loss:
                self.best_loss, self.best_image = loss, self.candidate
            if magnitude == 0:
                self.stop_reason = "the gradient is zero: nothing is left to improve"
                return loss, parts
            if not self._unit:
                self._unit, gradient = magnitude, gradient / magnitude
            self._move(loss / self._unit, gradient, answers)
        else:
            self._num_not_finite += 1
            if self._num_not_finite > MAX_NOT_FINITE:
                self.stop_reason = "the objective is not finite, however short the step"
            else:
                self._take_back()
        return loss, parts

    def _inquiries(self, gradient: Tensor) -> list[Tensor]:
        """Further scalars on the device that `_move` wants to know, fetched in the one synchronization."""
        return []

    @abstractmethod
    def _move(self, loss: float, gradient: Tensor, answers: list[float]) -> None:
        """Chooses the next candidate after a finite evaluation."""

    @abstractmethod
    def _take_back(self) -> None:
        """Chooses a more careful candidate after an evaluation that was not finite."""

    def forget(self) -> None:
        """Drops curvature and best, because the objective is going to be another one; the picture stays."""
        self._unit = 0.0
        self.best_image = self.candidate
        self.best_loss, self.stop_reason = math.inf, ""

    def save_memory(self) -> str:
        """Holds less from now on and says how, in words; empty if there is nothing to give up.

        An update that memory did not suffice for may have been left half done, so curvature is dropped with it.
        """
        return ""

    def resize(self, resize: Callable[[Tensor], Tensor]) -> None:
        """Carries the best picture and what is known of the objective over to another level of the pyramid.

        Args:
            resize: Resamples a (1, 3, H, W) tensor of any range to the level's size.
        """
        before = self.best_image.numel()
        self.candidate = self.best_image = resize(self.best_image).clamp_(0, 1)
        self._unit *= before / self.best_image.numel()  # a mean's gradient is spread over the pixels
        self.best_loss, self.stop_reason = math.inf, ""

    def state(self) -> dict[str, Any]:
        """Everything that decides the rest of the run: tensors, numbers, strings and lists of them."""
        return {
            name.lstrip("_"): copy(value) if isinstance(value, list) else value for name, value in vars(self).items()
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        for name in vars(self):
            value = state[name.lstrip("_")]
            setattr(self, name, copy(value) if isinstance(value, list) else value)


class LBFGS(PixelOptimizer):
    """Limited-memory BFGS inside the box [0, 1], guarded.

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].
        history_size: Curvature pairs kept.

    Reference: Nocedal & Wright (2006), Numerical Optimization, algorithm 7.4; Bertsekas (1982), SIAM J. Control Optim.
    20 for the projection with an active set. Differs: the first step has a length in grey levels and not in units of
    the gradient (`torch.optim.LBFGS` starts with 1/‖g‖₁, at which float32 sees a flat line on large pictures); no
    tolerance ends a run silently; every evaluation, also one of a step that is taken back, adds its curvature.
    """

    def __init__(self, image: Tensor, history_size: int) -> None:
        super().__init__(image)
        self.history_size = history_size
        self._image = self.candidate  # where the last accepted step led
        self._loss = math.inf
        self._gradient: Tensor | None = None
        self._steps: list[Tensor] = []
        self._changes: list[Tensor] = []  # of the gradient, one for each step
        self._curvatures: list[float] = []  # their inner products
        self._scale = 1.0  # of the inverse Hessian before any pair is applied
        self._direction: Tensor | None = None
        self._step_length = 1.0
        self._bare_step = FIRST_STEP
        self._num_rejected = 0
        self._num_fruitless = 0
        self._lowest = math.inf  # objective of all evaluations, in units

    def _inquiries(self, gradient: Tensor) -> list[Tensor]:
        if self._gradient is None:
            return []
        step, change = self.candidate - self._image, gradient - self._gradient
        return [
            (self._gradient * step).sum(),
            (step * change).sum(),
            change.square().sum(),
            step.square().sum(),
        ]

    def _move(self, loss: float, gradient: Tensor, answers: list[float]) -> None:
        if self._gradient is None:
            self._accept(loss, gradient)
            return
        slope, curvature, squared_change, squared_step = answers
        self._num_fruitless = 0 if loss < self._lowest else self._num_fruitless + 1
        self._lowest = min(loss, self._lowest)
        if self._num_fruitless > MAX_FRUITLESS:
            self.stop_reason = f"{MAX_FRUITLESS} iterations in a row did not lower the objective"
            return
        self._remember(self.candidate - self._image, gradient - self._gradient, curvature, squared_change, squared_step)
        if self._is_tiny(squared_step) and self._steps:
            self._forget_curvature()
            self._propose()
        elif loss <= self._loss + SUFFICIENT_DECREASE * min(slope, 0.0) + ROUNDING * abs(self._loss):
            self._accept(loss, gradient)
        else:
            self._reject(loss, slope)

    def _remember(
        self, step: Tensor, change: Tensor, curvature: float, squared_change: float, squared_step: float
    ) -> None:
        """Adds a curvature pair, if it is no rounding noise and curves upward as a Hessian must."""
        if self._is_tiny(squared_step) or curvature <= 1e-8 * math.sqrt(squared_change * squared_step):
            return
        self._steps.append(step)
        self._changes.append(change)
        self._curvatures.append(curvature)
        self._scale = curvature / squared_change
        if len(self._steps) > self.history_size:
            for pairs in (self._steps, self._changes, self._curvatures):
                del pairs[0]

    def _is_tiny(self, squared_step: float) -> bool:
        return math.sqrt(squared_step / self._image.numel()) < SMALLEST_STEP

    def _accept(self, loss: float, gradient: Tensor) -> None:
        self._image, self._loss, self._gradient = self.candidate, loss, gradient
        self._num_rejected = 0
        self._step_length = 1.0
        self._direction = None
        self._propose()

    def _reject(self, loss: float, slope: float) -> None:
        """Takes the step back and tries a shorter one: the minimum of the parabola through what is known."""
        self._num_rejected += 1
        if self._num_rejected >= MAX_REJECTED and self._steps:
            self._forget_curvature()
        elif not self._steps:
            self._bare_step *= 0.25
        else:
            excess = loss - self._loss - slope
            shorter = -slope / (2 * excess) if excess > 0 and slope < 0 else 0.5
            self._step_length *= min(max(shorter, 0.1), 0.5)
        self._propose()

    def _take_back(self) -> None:
        self._forget_curvature()
        self._bare_step *= 0.1
        self._propose()

    def _forget_curvature(self) -> None:
        self._steps, self._changes, self._curvatures = [], [], []
        self._direction = None
        self._step_length, self._num_rejected = 1.0, 0

    def _propose(self) -> None:
        """Sets the next candidate: along the quasi-Newton direction, or along the bare gradient."""
        if self._gradient is None:  # nothing finite was ever seen: back to the middle of the box
            self._image = self.candidate = self._image.lerp(torch.full_like(self._image, 0.5), 0.5)
            return
        if not self._steps and self._bare_step < SMALLEST_STEP:
            self.stop_reason = "no step lowers the objective any further"
            return
        if self._direction is None:
            self._direction = self._quasi_newton_direction() if self._steps else self._gradient_direction()
        self.candidate = (self._image + self._step_length * self._direction).clamp_(0, 1)

    def _free_gradient(self) -> Tensor:
        """The gradient, without the pixels at a bound that it pushes outward."""
        assert self._gradient is not None  # noqa: S101  for the type checker
        outward = ((self._image <= 0) & (self._gradient > 0)) | ((self._image >= 1) & (self._gradient < 0))
        return self._gradient.masked_fill(outward, 0)

    def _gradient_direction(self) -> Tensor:
        free = self._free_gradient()
        size = free.square().mean().sqrt()
        return free * (-self._bare_step / size.clamp(min=torch.finfo(size.dtype).tiny))

    def _quasi_newton_direction(self) -> Tensor:
        direction = -self._free_gradient()
        free = direction != 0
        coefficients: list[Tensor] = []
        for step, change, curvature in zip(
            reversed(self._steps), reversed(self._changes), reversed(self._curvatures), strict=True
        ):
            coefficient = (step * direction).sum() / curvature
            direction = torch.addcmul(direction, change, coefficient, value=-1)
            coefficients.append(coefficient)
        direction *= self._scale
        for step, change, curvature in zip(self._steps, self._changes, self._curvatures, strict=True):
            coefficient = coefficients.pop() - (change * direction).sum() / curvature
            direction = torch.addcmul(direction, step, coefficient)
        return direction * free

    def forget(self) -> None:
        """Drops curvature and best; goes on from the last accepted picture."""
        self.candidate = self._image
        super().forget()
        self._forget_curvature()
        self._forget_position()

    def save_memory(self) -> str:
        """Shortens the history to `LEAST_HISTORY` pairs."""
        if self.history_size <= LEAST_HISTORY:
            return ""
        before, self.history_size = self.history_size, LEAST_HISTORY
        self.forget()
        return f"history_size is {LEAST_HISTORY} instead of {before} from here on, so a rerun will differ"

    def _forget_position(self) -> None:
        self._image, self._loss, self._gradient = self.candidate, math.inf, None
        self._bare_step, self._step_length, self._num_rejected = FIRST_STEP, 1.0, 0
        self._lowest, self._num_fruitless = math.inf, 0
        self._direction = None

    def resize(self, resize: Callable[[Tensor], Tensor]) -> None:
        """Carries the best picture and the curvature pairs over."""
        super().resize(resize)
        pairs = [(resize(step), resize(change)) for step, change in zip(self._steps, self._changes, strict=True)]
        self._forget_curvature()
        self._forget_position()
        for step, change in pairs:
            dots = (float((a * b).sum()) for a, b in ((step, change), (change, change), (step, step)))
            self._remember(step, change, *dots)


class Adam(PixelOptimizer):
    """Adam with steps in grey levels, projected onto [0, 1].

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].
        learning_rate: Step length in grey levels of 1/255.

    Reference: Kingma & Ba (2014), arXiv:1412.6980, algorithm 1. Differs: β₂ = 0.99, because a few hundred steps have to
    do; ε is relative to the gradient's own size, because a mean objective's gradient shrinks with the picture's area.
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-3

    def __init__(self, image: Tensor, learning_rate: float) -> None:
        super().__init__(image)
        self._rate = learning_rate * GREY_LEVEL
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

    def _take_back(self) -> None:
        self._rate *= 0.5
        self._forget_moments()
        if self._unit:
            self.candidate = self._image
        else:  # nothing finite was ever seen: back to the middle of the box
            self._image = self.candidate = self._image.lerp(torch.full_like(self._image, 0.5), 0.5)

    def _forget_moments(self) -> None:
        self._first, self._second = torch.zeros_like(self._image), torch.zeros_like(self._image)
        self._num_moves = 0

    def forget(self) -> None:
        """Drops moments and best; goes on from the present picture."""
        super().forget()
        self._forget_moments()

    def resize(self, resize: Callable[[Tensor], Tensor]) -> None:
        """Carries the best picture and the moments over."""
        super().resize(resize)
        self._image = self.candidate
        self._first, self._second = resize(self._first), resize(self._second).clamp_(min=0)


def build_optimizer(image: Tensor, recipe: Recipe) -> PixelOptimizer:
    """The optimizer that a recipe names, at a start of shape (1, 3, H, W)."""
    if recipe.optimizer == "adam":
        return Adam(image, recipe.learning_rate)
    return LBFGS(image, recipe.history_size)
