"""A short form of ``python -m benchmarks.fuzz_recipes``: whatever is asked for is taken, or refused in a sentence."""

import pytest
import torch
from benchmarks.fuzz_recipes import failure, furnish


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    furnish(folder)
    before = torch.get_num_threads()
    yield folder
    torch.set_num_threads(before)


@pytest.mark.parametrize("seed", range(1_000_000, 1_000_200))
def test_recipes_and_options_of_any_kind_are_taken_or_refused_in_a_sentence(seed, folder):
    _kind, _outcome, wrong = failure(seed, folder)
    assert wrong == ""
