"""What only a GPU can show: the checks of `benchmarks.gpu`, one test each."""

import os

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
    pytest.mark.skipif(not os.environ.get("IMPASTO_WEIGHTS_DIR"), reason="IMPASTO_WEIGHTS_DIR is not set"),
]

CHECKS = ("check_gradients", "check_precisions", "check_cuda_graph", "check_repeats")


@pytest.mark.parametrize("name", CHECKS)
def test_gpu_check_passes(name: str) -> None:
    from benchmarks import gpu

    assert getattr(gpu, name)()


def test_every_check_is_a_test() -> None:
    from benchmarks import gpu

    assert tuple(check.__name__ for check in gpu.CHECKS) == CHECKS
