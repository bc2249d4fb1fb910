"""Targets that several runs share: what the encoder sees in the same content and style images is computed once.

    with sharing_targets():
        for recipe in recipes:
            stylize(content, style, recipe, encoder=encoder)

The runs must use the same encoder object. Their pictures have the same bits as without sharing.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

MAX_BYTES = 48_000_000
"""Of all shared targets together; what was not asked for longest goes first."""

Value = TypeVar("Value")


class TargetStore:
    """Targets by what they were computed from."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._num_bytes = 0

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of a key, computed if it is not there."""
        if key in self._values:
            self._values.move_to_end(key)
            value: Value = self._values[key][0]
            return value
        value = compute()
        size = _num_bytes(value)
        if size <= MAX_BYTES:
            self._values[key] = (value, size)
            self._num_bytes += size
        while self._num_bytes > MAX_BYTES:
            _, (_, removed) = self._values.popitem(last=False)
            self._num_bytes -= removed
        return value


_STORE: ContextVar[TargetStore | None] = ContextVar("shared_targets", default=None)


@contextmanager
def sharing_targets() -> Iterator[None]:
    """Lets the runs within share their targets."""
    token = _STORE.set(TargetStore())
    try:
        yield
    finally:
        _STORE.reset(token)


def shared(compute: Callable[[], Value], *origin: Hashable | Tensor) -> Value:
    """What `compute` returns, or what it returned before for the same origin; outside `sharing_targets` always anew.

    Args:
        compute: Makes targets, which nobody changes in place.
        origin: All that they depend on; tensors by their values.
    """
    store = _STORE.get()
    if store is None:
        return compute()
    return store.get(tuple(_digest(part) if isinstance(part, Tensor) else part for part in origin), compute)


def _digest(tensor: Tensor) -> tuple[Hashable, ...]:
    data: Any = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
    return tuple(tensor.shape), str(tensor.device), hashlib.blake2b(data, digest_size=16).digest()


def _num_bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(map(_num_bytes, value.values()))
    if is_dataclass(value):
        return sum(map(_num_bytes, vars(value).values()))
    return sum(map(_num_bytes, value)) if isinstance(value, list | tuple) else 0
