"""A short form of ``python -m benchmarks.fuzz``: whatever the weights, there is a picture and a reason."""

import logging

import pytest
import torch
from benchmarks.fuzz import Case, cases, failures


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", list(cases(100, seed=1, max_pixels=5_000)), ids=lambda case: str(case.number))
def test_any_weights_sizes_and_pictures_give_a_whole_picture_and_a_reason(case: Case, tmp_path, caplog):
    with caplog.at_level(logging.ERROR):
        assert failures(case, tmp_path) == []
