"""One evaluation as a CUDA graph: the hundreds of small kernels of a pass are launched as one.

At sizes that people paint at, a GPU computes a kernel faster than Python launches it. A graph is recorded once a level,
since the shapes stay the same there, and replayed at each iteration.

Reference: "Accelerating PyTorch with CUDA Graphs", https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["CapturedFunction"]

logger = logging.getLogger(__name__)

WARM_UPS = 3
"""Runs before the recording, in which libraries choose their algorithms and get their workspaces."""


class CapturedFunction:
    """A function of one picture, recorded as a CUDA graph when it is first called; plain where that fails.

    Args:
        function: Takes a picture and returns tensors on its device; always the same operations, without a look at any
            value on the host.
    """

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self._is_plain = False
        self._input: Tensor | None = None
        self._outputs: tuple[Tensor, ...] = ()

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """The function's result at a picture of the first one's shape; the caller may keep it."""
        if self._graph is None and not self._is_plain:
            try:
                self._record(image)
            except RuntimeError as error:
                self._is_plain = True
                torch.cuda.synchronize(image.device)
                logger.debug("No CUDA graph: %s", error)
        if self._graph is None or self._input is None:
            return self._function(image)
        self._input.copy_(image)
        self._graph.replay()
        return tuple(output.clone() for output in self._outputs)

    def _record(self, image: Tensor) -> None:
        self._input = image.detach().clone()
        stream = torch.cuda.Stream(image.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(image.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._function(self._input)
        torch.cuda.current_stream(image.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._outputs = self._function(self._input)
        self._graph = graph
