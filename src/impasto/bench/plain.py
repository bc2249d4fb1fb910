"""The plain method, to compare with: what the scripts of the field do, on our objective.

One scale, tensors in the order that torch has by default, `torch.optim.LBFGS` with a strong Wolfe line search on the
pixels, which may leave [0, 1] on the way.
"""

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.objective.objective import Objective

__all__ = ["PlainRun", "run_plain"]


@dataclass
class PlainRun:
    """What the plain method came to.

    Attributes:
        image: The picture with the lowest objective, shape (1, 3, H, W); not clamped.
        losses: The objective at each evaluation.
        stamps: When each was done, by `time.perf_counter`.
    """

    image: Tensor
    losses: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)


def run_plain(objective: Objective, start: Tensor, iterations: int) -> PlainRun:
    """Minimizes an objective by the plain method.

    Args:
        objective: Its encoder is brought to torch's default order of memory, so it should not be anybody else's.
        start: Shape (1, 3, H, W), RGB in [0, 1].
        iterations: Evaluations of the objective at most; the method may stop before.
    """
    objective.encoder.memory_format = torch.contiguous_format
    objective.encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    pixels = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([pixels], max_iter=iterations, max_eval=iterations, line_search_fn="strong_wolfe")
    outcome = PlainRun(start)
    best = math.inf

    def closure() -> Tensor:
        nonlocal best
        optimizer.zero_grad()
        loss = objective.parts(pixels).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        outcome.losses.append(loss.item())
        outcome.stamps.append(time.perf_counter())
        if outcome.losses[-1] < best:
            best, outcome.image = outcome.losses[-1], pixels.detach().clone()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return outcome
