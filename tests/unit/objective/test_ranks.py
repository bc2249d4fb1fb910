"""Processes that share tiles: what happens when one of them fails. How they compute is in tests/integration."""

import pytest
import torch

from impasto.objective.ranks import Ranks, RanksError


def test_a_process_that_failed_while_others_waited_never_goes_on() -> None:
    ranks = Ranks(torch.device("cpu"))
    with ranks.together():
        pass
    assert ranks.is_in_step
    with pytest.raises(MemoryError), ranks.together():
        raise MemoryError
    assert not ranks.is_in_step
    with pytest.raises(RanksError, match="this one has failed while others waited"), ranks.together():
        pass
