"""The plain method: what the scripts of the field do, as the baseline of every comparison.

One scale, NCHW tensors, `torch.optim.LBFGS` with strong Wolfe line search on the pixels, here on our objective, so that
an iteration does the same work.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.objective import Objective

__all__ = ["run_plain"]


def run_plain(
    objective: Objective, image: Tensor, iterations: int, on_iteration: Callable[[float, Tensor], None]
) -> None:
    """Minimizes an objective as the plain method does.

    Args:
        objective: Its encoder is brought to the NCHW layout.
        image: The start, shape (1, 3, H, W), in [0, 1].
        iterations: Evaluations of the objective at most; the line search may end before.
        on_iteration: Receives the objective of each evaluation, and the pixels there, which are not clipped.
    """
    objective.encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    pixels = image.clone().contiguous().requires_grad_()
    optimizer = torch.optim.LBFGS([pixels], max_iter=iterations, max_eval=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = objective.parts(pixels).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        on_iteration(loss.item(), pixels.detach())
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
