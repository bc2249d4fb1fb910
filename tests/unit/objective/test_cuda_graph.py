"""What a function does where no graph can be recorded."""

import pytest
import torch

from impasto.objective.cuda_graph import CapturedFunction


def test_a_function_that_cannot_be_recorded_is_called_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def fail(*_: object) -> None:
        attempts.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "Stream", fail)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    function = CapturedFunction(lambda image: (image.sum(), 2 * image))
    for value in (1.0, 3.0):
        total, doubled = function(torch.full((1, 3, 2, 2), value))
        assert total == 12 * value
        assert torch.equal(doubled, torch.full((1, 3, 2, 2), 2 * value))
    assert len(attempts) == 1
