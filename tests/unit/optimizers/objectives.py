"""Objectives whose minimum is known, and the loop that follows them."""

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.objective.objective import Evaluation
from impasto.optimizers import PixelOptimizer

Function = Callable[[Tensor], Tensor]

START = torch.full((1, 3, 6, 8), 0.5)


def evaluate(function: Function, image: Tensor) -> Evaluation:
    image = image.detach().requires_grad_()
    total = function(image)
    (gradient,) = torch.autograd.grad(total, image)
    return Evaluation(total.detach(), gradient, total.detach().expand(3) / 3)


def minimize(optimizer: PixelOptimizer, function: Function, iterations: int) -> list[float]:
    losses = []
    for _ in range(iterations):
        assert optimizer.candidate.min() >= 0
        assert optimizer.candidate.max() <= 1
        losses.append(optimizer.update(evaluate(function, optimizer.candidate))[0])
        if optimizer.stop_reason:
            break
    return losses


def target(seed: int = 0) -> Tensor:
    return torch.rand(START.shape, generator=torch.Generator().manual_seed(seed))


def ill_conditioned(image: Tensor) -> Tensor:
    """A quadratic whose curvatures span four orders of magnitude, mean over pixels."""
    curvature = torch.logspace(0, 4, START.numel()).view(START.shape)
    return (curvature * (image - target()).square()).mean()
