"""What goes wrong with one picture among many, as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.devices import is_out_of_memory
from impasto.errors import ImpastoError, OutOfMemoryError

__all__ = ["told_in_a_sentence"]


@contextmanager
def told_in_a_sentence(content: Path) -> Iterator[None]:
    """Turns what a full disk or a full memory raises into an `ImpastoError`; a defect of ours stays what it is.

    Raises:
        ImpastoError: In their place.
    """
    try:
        yield
    except OSError as error:
        raise ImpastoError(f"'{content}' cannot be painted: {error.strerror or error}.") from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"Memory ran out at '{content}'. Lower --height, or take smaller pictures."
        ) from None
