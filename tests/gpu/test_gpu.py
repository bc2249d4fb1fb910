"""What only a GPU can show: the checks of `benchmarks.gpu`."""

import os

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
    pytest.mark.skipif(not os.environ.get("IMPASTO_WEIGHTS_DIR"), reason="IMPASTO_WEIGHTS_DIR is not set"),
]


def test_every_check_of_the_benchmark_passes() -> None:
    from benchmarks import gpu

    assert all(check() for check in gpu.CHECKS)
