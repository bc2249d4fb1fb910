"""Why jobs fail, in words that failures are counted by; callers are told more, in a sentence."""

import errno
from collections.abc import Sequence

from impasto.errors import (
    CheckpointError,
    EncoderError,
    ImageError,
    ImpastoError,
    OutOfMemoryError,
    RecipeError,
    UserError,
    WeightsError,
)
from impasto.service.artifacts import ArtifactError

__all__ = ["CAUSES", "DEFECT", "LOST", "cause_of"]

LOST, DISK, DEFECT = "worker lost", "disk", "defect"

_BY_CLASS: Sequence[tuple[type[BaseException], str]] = (
    (OutOfMemoryError, "memory"),
    (MemoryError, "memory"),
    (ArtifactError, "store"),
    (WeightsError, "weights"),
    (EncoderError, "model"),
    (ImageError, "picture"),
    (CheckpointError, "checkpoint"),
    (RecipeError, "recipe"),
    (UserError, "recipe"),
    (OSError, DISK),
)
"""The first that fits counts."""

CAUSES = (*dict.fromkeys(word for _, word in _BY_CLASS), LOST, DEFECT)
"""Every word there is."""


def cause_of(error: BaseException | None) -> str:
    """The word for an error; what nobody expected is a defect."""
    if (
        isinstance(error, RuntimeError)
        and not isinstance(error, ImpastoError)
        and "out of memory" in str(error).lower()
    ):
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK
    return next((word for kind, word in _BY_CLASS if isinstance(error, kind)), DEFECT)
