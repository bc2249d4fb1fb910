"""Pictures in a file instead of memory: what an optimizer remembers but seldom looks at.

A file is mapped and unlinked at once, so that nothing stays behind, however a run ends. What was looked at is handed
back to the system at once, too: only then does the process not grow by it.
"""

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from impasto.errors import OutputError

_MAPPINGS: "WeakValueDictionary[int, mmap.mmap]" = WeakValueDictionary()
"""By the address of their tensors."""


class Scratch:
    """A folder for pictures.

    Args:
        folder: Made if it is not there.

    Raises:
        OutputError: If nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.keep(torch.zeros(1))
        except (OSError, MemoryError) as error:
            raise OutputError(
                f"Cannot use the scratch folder '{folder}': {getattr(error, 'strerror', None) or error}. Give a folder "
                "that can be written to, with room for the pictures that L-BFGS remembers."
            ) from None

    def keep(self, picture: Tensor, less: Tensor | None = None) -> Tensor:
        """A copy of a picture in a file of its own; of what it has more than another one, if that is given.

        Raises:
            MemoryError: If the folder is full.
        """
        size = picture.numel() * picture.element_size()
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                if hasattr(os, "posix_fallocate"):  # else a full disk would end the process by a signal
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                mapping = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise MemoryError(f"the scratch folder '{self._folder}': {error.strerror}") from None
        kept = torch.frombuffer(mapping, dtype=picture.dtype).view(picture.shape)
        if less is None:
            kept.copy_(picture)
        else:
            torch.sub(picture, less, out=kept)  # the difference is never in memory besides
        _MAPPINGS[kept.data_ptr()] = mapping
        release(kept)
        return kept

    def move(self, picture: Tensor) -> None:
        """Moves a picture into a file of its own: whoever holds the tensor holds no memory by it.

        Raises:
            MemoryError: If the folder is full.
        """
        picture.data = self.keep(picture)


def release(picture: Tensor) -> None:
    """Gives the memory of a picture in a file back to the system; nothing happens to others."""
    mapping = _MAPPINGS.get(picture.data_ptr())
    if mapping is not None and hasattr(mapping, "madvise"):
        with suppress(OSError):
            mapping.madvise(mmap.MADV_DONTNEED)
