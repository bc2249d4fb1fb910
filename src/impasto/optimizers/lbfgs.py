"""Limited-memory BFGS inside the box [0, 1], guarded, with its own step length in each band of frequency."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from impasto.optimizers.band_preconditioner import Bands, bands_of, inverse_curvatures
from impasto.optimizers.base import GRAY_LEVEL, PixelOptimizer
from impasto.optimizers.scratch import Scratch, release
from impasto.recipe import StopReason

LEAST_HISTORY = 3
"""Fewest curvature pairs with which L-BFGS still works well."""

FIRST_STEP = 4 * GRAY_LEVEL
"""Root mean square of a step along the gradient while no curvature is known."""

CAUTIOUS_STEP = GRAY_LEVEL
"""Largest root mean square of the first step after a change of the encoder: the known curvature is the other encoder's,
whose objective may be flat where the new one is steep."""

SMALLEST_STEP = 1e-4 * GRAY_LEVEL
"""Shorter steps change less than a 16-bit picture can show."""

SUFFICIENT_DECREASE = 1e-4
"""Armijo's constant: the share of the predicted decrease that a step must reach."""

ROUNDING = 2e-7
"""Relative rounding noise of the objective in float32; a rise below it counts as none."""

PIECE = 2**24
"""Values of pictures that are compared at a time: the difference of two large ones would take as much as they do."""

MAX_REJECTED = 4
"""Rejected steps in a row after which L-BFGS drops its curvature."""

MAX_FRUITLESS = 50
"""Iterations in a row without a lower objective after which L-BFGS stops."""


class LBFGS(PixelOptimizer):
    """Limited-memory BFGS inside the box [0, 1], guarded.

    Args:
        image: The start, shape (1, 3, H, W), values in [0, 1].
        history_size: Curvature pairs kept.
        scratch: Where they, the gradient and the direction are kept between two updates; None for memory.

    Reference: Nocedal & Wright (2006), Numerical Optimization, algorithm 7.4; Bertsekas (1982), SIAM J. Control Optim.
    20 for the projection with an active set. Differs: the initial inverse Hessian is diagonal over bands of color and
    frequency, measured from the pairs (`impasto.optimizers.band_preconditioner`), and not a multiple of the identity;
    the first step has a length in gray levels (`torch.optim.LBFGS` starts with 1/‖g‖₁, a step too short to change a
    float32 objective on large pictures); no tolerance ends a run silently; every evaluation adds its curvature, that of
    a rejected step too.
    """

    not_in_state = PixelOptimizer.not_in_state | {"scratch"}

    def __init__(self, image: Tensor, history_size: int, scratch: Scratch | None = None) -> None:
        super().__init__(image)
        self.scratch = scratch
        self.history_size = history_size
        self._image = self.candidate  # where the last accepted step led
        self._loss = math.inf
        self._gradient: Tensor | None = None
        self._steps: list[Tensor] = []
        self._changes: list[Tensor] = []  # of the gradient, one for each step
        self._curvatures: list[float] = []  # their inner products
        self._step_norms: list[Tensor] = []  # by band, over the step's
        self._change_norms: list[Tensor] = []
        self._last_curvature = 1.0  # along the last step, a unit of it
        self._direction: Tensor | None = None
        self._step_length = 1.0
        self._is_cautious = False  # whether the curvature is of another encoder's objective
        self._bare_step = FIRST_STEP
        self._num_rejected = 0
        self._num_fruitless = 0
        self._lowest = math.inf  # objective of all evaluations, in units

    def _extra_scalars(self, gradient: Tensor) -> list[Tensor]:
        if self._gradient is None:
            return []
        products = []
        pictures = (self.candidate, self._image, gradient, self._gradient)
        pieces = [torch.split(picture.flatten(), PIECE) for picture in pictures]
        for candidate, image, after, before in zip(*pieces, strict=True):
            step, change = candidate - image, after - before
            pairs = ((before, step), (step, change), (change, change), (step, step))
            products.append([torch.dot(a, b) for a, b in pairs])
        release(self._gradient)
        return [sum(of_pieces[1:], start=of_pieces[0]) for of_pieces in zip(*products, strict=True)]

    def _move(self, loss: float, gradient: Tensor, answers: list[float]) -> None:
        if self.scratch is not None:
            self.scratch.move(gradient)  # not copied: those who have handed it over hold it still
        if self._gradient is None:
            self._accept(loss, gradient)
            self._propose()
            return
        slope, curvature, squared_change, squared_step = answers
        self._num_fruitless = 0 if loss < self._lowest else self._num_fruitless + 1
        self._lowest = min(loss, self._lowest)
        if self._num_fruitless > MAX_FRUITLESS:
            self.stop_reason = StopReason.NO_PROGRESS
            return
        is_lower = loss <= self._loss + SUFFICIENT_DECREASE * min(slope, 0.0) + ROUNDING * abs(self._loss)
        is_dead_end = self._is_tiny(squared_step) and bool(self._steps)
        is_accepted = is_lower and not is_dead_end
        if is_accepted:
            self._direction = None
        pair = None
        if self._is_telling(curvature, squared_change, squared_step):
            pair = self._kept(self.candidate, self._image), self._kept(gradient, self._gradient)
            release(gradient)
        if is_accepted:  # before the pair is looked at, so that what it was made of is no longer in memory
            self._accept(loss, gradient)
        if pair is not None:
            self._remember(*pair, curvature, squared_step)
        if is_dead_end:
            self._forget_curvature()
            self._propose()
        elif is_accepted:
            self._propose()
        else:
            self._reject(loss, slope)

    def _accept(self, loss: float, gradient: Tensor) -> None:
        self._image, self._loss, self._gradient = self.candidate, loss, gradient
        self._num_rejected, self._step_length, self._direction = 0, 1.0, None

    def _is_telling(self, curvature: float, squared_change: float, squared_step: float) -> bool:
        """Whether a pair is more than rounding noise, and its curvature is positive."""
        if self._is_tiny(squared_step) or curvature <= 1e-8 * math.sqrt(squared_change * squared_step):
            return False
        return squared_change > torch.finfo(torch.float32).tiny  # else squares of float32 have vanished

    def _kept(self, picture: Tensor, less: Tensor | None = None) -> Tensor:
        """The picture, or its difference from another one, where the history is kept."""
        if self.scratch is not None:
            return self.scratch.keep(picture, less)
        return picture if less is None else picture - less

    def _remember(self, step: Tensor, change: Tensor, curvature: float, squared_step: float) -> None:
        """Adds a curvature pair."""
        self._steps.append(step)
        self._changes.append(change)
        self._curvatures.append(curvature)
        self._last_curvature = curvature / squared_step
        for picture, norms in ((step, self._step_norms), (change, self._change_norms)):
            norms.append(self._bands.squared_norms(picture) / squared_step)
            release(picture)
        if len(self._steps) > self.history_size:
            for pairs in self._history:
                del pairs[0]

    def _is_tiny(self, squared_step: float) -> bool:
        return math.sqrt(squared_step / self._image.numel()) < SMALLEST_STEP

    def _reject(self, loss: float, slope: float) -> None:
        """Undoes the step and tries a shorter one: the minimum of the parabola through the known values."""
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

    def _backtrack(self) -> None:
        self._forget_curvature()
        self._bare_step *= 0.1
        self._propose()

    @property
    def _bands(self) -> Bands:
        height, width = self._image.shape[-2:]
        return bands_of((height, width), self._image.device)

    @property
    def _history(self) -> tuple[list[Tensor] | list[float], ...]:
        return self._steps, self._changes, self._curvatures, self._step_norms, self._change_norms

    def _forget_curvature(self) -> None:
        for pairs in self._history:
            pairs.clear()
        self._direction = None
        self._step_length, self._num_rejected = 1.0, 0

    def _propose(self) -> None:
        """Sets the next candidate: along the quasi-Newton direction, or along the gradient if no curvature is known."""
        if self._gradient is None:  # nothing finite was ever seen: back to the middle of the box
            self._image = self.candidate = self._image.lerp(torch.full_like(self._image, 0.5), 0.5)
            return
        if not self._steps and self._bare_step < SMALLEST_STEP:
            self.stop_reason = StopReason.NO_DESCENT
            return
        if self._direction is None:
            self._direction = self._quasi_newton_direction() if self._steps else self._gradient_direction()
            if self._is_cautious:
                size = float(self._direction.square().mean().sqrt())
                self._step_length = min(1.0, CAUTIOUS_STEP / max(size, SMALLEST_STEP))
                self._is_cautious = False
            self._direction = self._kept(self._direction)
        self.candidate = self._image  # where a rejected one was, there is room for the next
        self.candidate = (self._step_length * self._direction).add_(self._image).clamp_(0, 1)
        release(self._direction)
        release(self._gradient)

    def _free(self) -> Tensor:
        """0 at pixels that the gradient would push out of the box, 1 elsewhere."""
        assert self._gradient is not None  # noqa: S101  for the type checker
        return (self._image - self._gradient).clamp_(0, 1).sub_(self._image).sign_().abs_()  # faster than booleans are

    def _free_gradient(self) -> Tensor:
        assert self._gradient is not None  # noqa: S101  for the type checker
        return self._free().mul_(self._gradient)

    def _gradient_direction(self) -> Tensor:
        gradient = self._free_gradient()
        size = gradient.square().mean().sqrt()
        return gradient.mul_(-self._bare_step / size.clamp(min=torch.finfo(size.dtype).tiny))

    def _quasi_newton_direction(self) -> Tensor:
        assert self._gradient is not None  # noqa: S101  for the type checker
        direction = self._free_gradient().neg_()
        release(self._gradient)
        coefficients: list[Tensor] = []
        for step, change, curvature in zip(
            reversed(self._steps), reversed(self._changes), reversed(self._curvatures), strict=True
        ):
            coefficient = _inner_product(step, direction) / curvature
            direction.addcmul_(change, coefficient, value=-1)
            coefficients.append(coefficient)
            release(step)
            release(change)
        direction = self._bands.scaled(direction, self._first_estimate())
        for step, change, curvature in zip(self._steps, self._changes, self._curvatures, strict=True):
            coefficient = coefficients.pop() - _inner_product(change, direction) / curvature
            direction.addcmul_(step, coefficient)
            release(step)
            release(change)
        return direction.mul_(self._free())

    def _first_estimate(self) -> Tensor:
        """The initial inverse Hessian by band; the last pair sets its scale."""
        gains = inverse_curvatures(self._step_norms, self._change_norms)
        return gains * (self._last_curvature / (gains * self._change_norms[-1]).sum())

    def reset_curvature(self) -> None:
        """Drops curvature and best; continues from the last accepted picture."""
        self.candidate = self._image
        super().reset_curvature()
        self._forget_curvature()
        self._forget_position()

    def save_memory(self) -> str:
        """Shortens the history to `LEAST_HISTORY` pairs."""
        if self.history_size <= LEAST_HISTORY:
            return ""
        before, self.history_size = self.history_size, LEAST_HISTORY
        self.reset_curvature()
        return f"history_size is {LEAST_HISTORY} instead of {before} from here on, so a rerun will differ"

    def load_state(self, state: dict[str, Any]) -> None:
        """See `PixelOptimizer.load_state`."""
        super().load_state(state)
        self._steps, self._changes = ([self._kept(t) for t in kept] for kept in (self._steps, self._changes))
        self._gradient, self._direction = (
            None if picture is None else self._kept(picture) for picture in (self._gradient, self._direction)
        )

    def _forget_position(self) -> None:
        self._image, self._loss, self._gradient = self.candidate, math.inf, None
        self._bare_step, self._step_length, self._num_rejected = FIRST_STEP, 1.0, 0
        self._lowest, self._num_fruitless = math.inf, 0
        self._direction = None

    def resize(self, image: Tensor, resample: Callable[[Tensor, tuple[int, int]], Tensor]) -> None:
        """Carries the curvature pairs over to another size; or, at the same size, to another encoder's objective."""
        before, size = self.best_image.shape, (image.shape[-2], image.shape[-1])
        super().resize(image, resample)
        pairs = list(zip(self._steps, self._changes, strict=True))
        self._forget_curvature()
        self._forget_position()
        for before_step, before_change in pairs:
            step, change = self._kept(resample(before_step, size)), self._kept(resample(before_change, size))
            release(before_step)
            release(before_change)
            dots = [float(_inner_product(a, b)) for a, b in ((step, change), (change, change), (step, step))]
            if self._is_telling(*dots):
                self._remember(step, change, dots[0], dots[2])
        self._is_cautious = self.best_image.shape == before


def _inner_product(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of two pictures, without a temporary picture for the products."""
    return torch.dot(a.flatten(), b.flatten())
