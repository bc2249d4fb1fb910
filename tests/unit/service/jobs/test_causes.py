"""Words that failures are counted by."""

import errno

import pytest

from impasto.errors import EncoderError, ImageError, LayerError, OutOfMemoryError, WeightsError
from impasto.service.artifacts import ArtifactError
from impasto.service.jobs.causes import CAUSES, cause_of


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OutOfMemoryError("x"), "memory"),
        (MemoryError(), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory"),
        (ArtifactError("x"), "store"),
        (WeightsError("x"), "weights"),
        (EncoderError("x"), "model"),
        (ImageError("x"), "picture"),
        (LayerError("x"), "recipe"),
        (OSError(errno.ENOSPC, "full"), "disk"),
        (ZeroDivisionError(), "defect"),
        (None, "defect"),
    ],
)
def test_an_error_has_a_word(error: BaseException | None, cause: str) -> None:
    assert cause_of(error) == cause
    assert cause in CAUSES


def test_words_fit_their_column() -> None:
    assert max(map(len, CAUSES)) <= 20
