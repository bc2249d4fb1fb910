"""The exceptions that Impasto raises on purpose.

::

    ImpastoError                    a failure, exit code 1
    ├── UserError                   the request cannot be carried out as put, exit code 2
    │   ├── RecipeError             an unknown option, a value out of range, options that exclude each other
    │   ├── LayerError              a layer that the encoder does not have
    │   ├── ImageError              a picture that is missing, unreadable, damaged, or too large
    │   ├── CheckpointError         a checkpoint that is missing, damaged, or of another run
    │   └── OutputError             a place that cannot be written to, or a result that would be replaced
    ├── WeightsError                weights not found, damaged, of another network, or not available offline
    ├── EncoderError                an encoder that fails, or whose features no loss can use
    └── OutOfMemoryError            the run does not fit, with all memory savings on

Every message says in one or two sentences what was wrong, what was given, what is allowed, and what to do.
"""

import difflib
from collections.abc import Iterable


class ImpastoError(Exception):
    """Base of every error that Impasto raises on purpose."""

    exit_code = 1


class UserError(ImpastoError):
    """The request itself cannot be carried out; the command line exits with 2."""

    exit_code = 2


class RecipeError(UserError):
    """An unknown option, a value out of its range, or options that exclude each other."""


class LayerError(UserError):
    """A layer name that the encoder does not have."""


class ImageError(UserError):
    """A picture that is missing, unreadable, damaged, or too large."""


class OutputError(UserError):
    """A place that cannot be written to, or an earlier result that would be replaced."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or of another run than the one asked for."""


class WeightsError(ImpastoError):
    """Weights that are not found, damaged, of another network, or not available offline."""


class EncoderError(ImpastoError):
    """An encoder that fails, or whose features no loss can use."""


class OutOfMemoryError(ImpastoError):
    """A run that does not fit into memory with all memory savings on."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for the end of an error: the closest known word, or the list of them.

    Args:
        word: What was given.
        known: What is allowed.

    Returns:
        ``"Did you mean 'relu4_4'?"`` if one is close, else ``"Known: a, b, c."``.
    """
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(known)}."
