"""Several processes that evaluate one picture: each looks at some of its tiles, and what they sum up is added.

One process, the leader, has the optimizer and everything else; the others assist it. In an evaluation the leader hands
out the picture, the sums of all tiles are added, and the gradients of all tiles are added up at the leader's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from impasto.errors import ImpastoError

__all__ = ["Ranks", "RanksError", "current_ranks", "sharing_tiles"]

LEADER = 0


class RanksError(ImpastoError):
    """Another process of the run is lost."""


class Ranks:
    """The processes of a run, which `torch.distributed` has connected.

    Args:
        device: Of this process.

    Attributes:
        device: Of this process.
        is_in_step: Whether no process waits for another one; once one has failed amid an evaluation, none goes on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.is_in_step = True

    @property
    def count(self) -> int:
        """How many processes there are."""
        return dist.get_world_size()

    @property
    def is_leader(self) -> bool:
        """Whether this is the process that has the optimizer."""
        return dist.get_rank() == LEADER

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all processes do at once; if this one fails in it, the others are left waiting.

        Raises:
            RanksError: If this one has failed before.
        """
        if not self.is_in_step:
            raise RanksError("The processes of this run cannot go on: this one has failed while others waited for it.")
        self.is_in_step = False
        yield
        self.is_in_step = True

    def own(self, items: Sequence[Any]) -> Sequence[Any]:
        """This process's part of something that all of them have."""
        return items[dist.get_rank() :: self.count]

    def tell(self, message: Any) -> Any:
        """The leader's message, which all others call this for with None."""
        box = [message]
        with _told():
            dist.broadcast_object_list(box, LEADER)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """What each process gave, at all of them."""
        values: list[Any] = [None] * self.count
        with _told():
            dist.all_gather_object(values, value)
        return values

    def hand_out(self, picture: Tensor) -> Tensor:
        """The leader's picture, at all processes; others give one of its shape that is written to."""
        picture = picture.contiguous()
        with _told():
            dist.broadcast(picture, LEADER)
        return picture

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Adds tensors of all processes, in place, at all of them."""
        with _told():
            for tensor in tensors:
                dist.all_reduce(tensor)

    def add_at_leader(self, tensor: Tensor) -> None:
        """Adds a large tensor of all processes, in place, at the leader's; what others then have is of no use."""
        with _told():
            dist.reduce(tensor, LEADER)


_RANKS: ContextVar[Ranks | None] = ContextVar("ranks", default=None)


def current_ranks() -> Ranks | None:
    """The processes that share the tiles of pictures; None for this one alone."""
    return _RANKS.get()


@contextmanager
def sharing_tiles(ranks: Ranks | None) -> Iterator[None]:
    """Objectives that are made within are evaluated by all processes together."""
    token = _RANKS.set(ranks)
    try:
        yield
    finally:
        _RANKS.reset(token)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # as of a connection that was closed
        raise RanksError("Another process of this run was lost.") from error
