"""Checkpoints: a run's whole state in one file, from which it continues bit for bit.

A checkpoint is a safetensors file: tensors, and JSON in its metadata. Nothing in it is ever executed. A checksum over
all of it is stored in its last tensor, so that a damaged file is refused and never painted from.
"""

import itertools
import json
import logging
import mmap
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from impasto.engine import Engine
from impasto.errors import CheckpointError, OutputError
from impasto.formats.files import replace_file, utf8_path
from impasto.optimizers.scratch import release
from impasto.recipe import Recipe

__all__ = ["Checkpoint", "Checkpointer", "Checkpoints"]

logger = logging.getLogger(__name__)

MAX_SHARE = 0.05
"""Share of a run's time that checkpoints may take; if writing takes longer, they become rarer."""

_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}
_CHECKSUM = "checksum"
_FORMAT = "5"
_DAMAGED = "The checkpoint '{}' is damaged or of another version; start anew without --resume."


@dataclass(frozen=True)
class Checkpoint:
    """A run between two iterations.

    Attributes:
        provenance: What determines its pixels: recipe, inputs and weights; see `impasto.pipeline.provenance`.
        state: From `impasto.engine.loop.Engine.state`.
        surroundings: What may change the last bits: versions, device, threads.
    """

    provenance: Mapping[str, Any]
    state: Mapping[str, Any]
    surroundings: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Writes the checkpoint atomically: at any moment the file holds the earlier one or this one.

        Raises:
            OutputError: If it cannot be written; the earlier one then stays.
        """
        tensors: list[Tensor] = []
        values = {
            "provenance": self.provenance,
            "surroundings": self.surroundings,
            "state": _without(self.state, tensors),
        }
        replace_file(path, _file_parts(tensors, json.dumps(values)))

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "Checkpoint":
        """Reads what `save` wrote.

        Args:
            path: The file.
            device: Where the tensors go.

        Raises:
            CheckpointError: If it is missing or damaged.
        """
        try:
            _verify(path)
            with utf8_path(path) as readable, safe_open(readable, framework="pt") as file:
                values = json.loads((file.metadata() or {})["impasto"])
                # One after the other: two copies of a large run's state might not fit.
                tensors = (file.get_tensor(str(index)) for index in range(len(values["state"]["strides"])))
                return cls(values["provenance"], _with(values["state"], tensors, device), values["surroundings"])
        except OSError as error:
            raise CheckpointError(f"Cannot read the checkpoint '{path}': {error.strerror or error}.") from None
        except (SafetensorError, ValueError, KeyError, TypeError, IndexError):
            raise CheckpointError(_DAMAGED.format(path)) from None

    @staticmethod
    def recipe_in(path: Path) -> Mapping[str, Any]:
        """The recipe in a checkpoint, by name, without its tensors; errors as those of `load`."""
        try:
            with utf8_path(path) as readable, safe_open(readable, framework="pt") as file:
                recipe: Mapping[str, Any] = json.loads((file.metadata() or {})["impasto"])["provenance"]["recipe"]
                return dict(recipe)
        except OSError as error:
            raise CheckpointError(f"Cannot read the checkpoint '{path}': {error.strerror or error}.") from None
        except (SafetensorError, ValueError, KeyError, TypeError):
            raise CheckpointError(_DAMAGED.format(path)) from None


@dataclass(frozen=True)
class Checkpoints:
    """Where a run keeps its checkpoint, and how often.

    Attributes:
        path: The file; replaced each time.
        every_seconds: Time between two checkpoints; 0 writes none.
        resume: Whether the run continues from the existing one.
        at_end: Whether one is written at the end of the run, so that it can be continued with a larger budget.
        on_written: Called with the file after each.
    """

    path: Path
    every_seconds: float
    resume: bool = False
    at_end: bool = True
    on_written: Callable[[Path], None] | None = None


class Checkpointer:
    """Keeps a run's checkpoint up to date; if asked to resume, first restores the run from the existing one.

    A checkpoint that cannot be written causes a warning and is tried again after the next interval; the run continues.

    Args:
        place: Where and how often; None for a run without checkpoints.
        engine: Of the run, before its first iteration.
        provenance: As in `Checkpoint`.
        surroundings: As in `Checkpoint`.
        device: Where the run computes.

    Raises:
        CheckpointError: If the run is to resume from a checkpoint that is missing, damaged, or of another run.
    """

    def __init__(
        self,
        place: Checkpoints | None,
        engine: Engine,
        provenance: Mapping[str, Any],
        surroundings: Mapping[str, Any],
        device: torch.device,
    ) -> None:
        self._place, self._engine = place, engine
        self._provenance, self._surroundings = provenance, surroundings
        self._interval = place.every_seconds if place else 0.0
        self._last = time.monotonic()
        if place is not None and place.resume:
            self._resume(Checkpoint.load(place.path, device), place.path)

    def after_iteration(self) -> None:
        """Writes a checkpoint if one is due."""
        if self._interval and time.monotonic() - self._last >= self._interval:
            self.write()

    def close(self) -> None:
        """Writes a last checkpoint if the settings ask for one or the run was stopped on request."""
        if self._place is not None and (self._place.at_end or self._engine.control.is_stopped):
            self.write()

    def write(self) -> None:
        """Writes a checkpoint now, unless they are switched off."""
        if self._place is None or not self._interval:
            return
        start = time.monotonic()
        try:
            Checkpoint(self._provenance, self._engine.state(), self._surroundings).save(self._place.path)
        except OutputError as error:
            logger.warning("%s No checkpoint is kept for now; the run continues.", error)
        else:
            if self._place.on_written is not None:
                self._place.on_written(self._place.path)
        self._last = time.monotonic()
        self._interval = max(self._place.every_seconds, (self._last - start) / MAX_SHARE)

    def _resume(self, checkpoint: Checkpoint, path: Path) -> None:
        difference = first_difference(checkpoint.provenance, self._provenance)
        if difference:
            raise CheckpointError(
                f"The checkpoint '{path}' belongs to another run: {difference}. Repeat the inputs and options of that "
                "run, or start anew without --resume."
            )
        for name, before in checkpoint.surroundings.items():
            now = self._surroundings.get(name)
            if now != before:
                logger.warning(
                    "The run began with %s %s and continues with %s; the last bits may differ.", name, before, now
                )
        try:
            self._engine.load_state(checkpoint.state)
        except ValueError:
            planned = sum(iterations for _, _, iterations, *_ in checkpoint.state["levels"])
            raise CheckpointError(
                f"The checkpoint '{path}' belongs to a run of {planned} iterations, and "
                f"{self._engine.total_iterations} were asked for; give --total-iterations {planned} or more."
            ) from None
        except (KeyError, TypeError):
            raise CheckpointError(
                f"The checkpoint '{path}' was written by another version; start anew without --resume."
            ) from None


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first difference between two runs in recipe, inputs or weights, in words; empty if there is none.

    The budget may differ. An option that the checkpoint's version did not know has its default.
    """
    for name in {**now["recipe"], **before["recipe"]}:
        default = Recipe.model_fields[name].default if name in Recipe.model_fields else None
        old, new = (provenance["recipe"].get(name, default) for provenance in (before, now))
        if old != new and name != "total_iterations":
            return f"{name} was {old} and is {new} now"
    for name in (name for name in {**now, **before} if name not in ("recipe", *_WEIGHTS)):
        old_pictures, pictures = (_listed(provenance.get(name)) for provenance in (before, now))
        if len(old_pictures) != len(pictures):
            return f"the number of {name} was {len(old_pictures)} and is {len(pictures)} now"
        for number, (old, new) in enumerate(zip(old_pictures, pictures, strict=True), start=1):
            if old["sha256"] != new["sha256"]:
                which = f"number {number} of {name}" if len(pictures) > 1 else name
                return f"{which} is not the '{old['name']}' of that run"
    for name, option in _WEIGHTS.items():
        if before.get(name) != now.get(name):
            return f"the weights of {now['recipe'][option]} have changed"
    return ""


_WEIGHTS = {"weights_sha256": "model", "finish_weights_sha256": "finish"}
"""Keys of weights in a provenance, with the parameters that name their encoders."""


def _listed(pictures: Any) -> list[dict[str, str]]:
    """The pictures of one kind that a provenance names: one, some, or none."""
    return pictures if isinstance(pictures, list) else [pictures] if pictures else []


def _without(state: Mapping[str, Any], tensors: list[Tensor]) -> dict[str, Any]:
    """The state with each tensor replaced by a number; a tensor that occurs twice is stored once."""
    numbers: dict[int, int] = {}

    def replace(value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) not in numbers:
                numbers[id(value)] = len(tensors)
                tensors.append(value)
            return {"tensor": numbers[id(value)]}
        return value

    values = _mapped(state, replace)
    # The last bits of sums depend on the order in memory, so each tensor is restored with its strides.
    return {"values": values, "strides": [list(tensor.stride()) for tensor in tensors]}


def _with(state: Mapping[str, Any], tensors: Iterable[Tensor], device: torch.device | str) -> dict[str, Any]:
    """Restores what `_without` was given, in memory that torch allocates and aligns."""
    restored = [
        torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device=device).copy_(tensor)
        for tensor, strides in zip(tensors, state["strides"], strict=True)
    ]

    def replace(value: Any) -> Any:
        return restored[value["tensor"]] if isinstance(value, dict) and value.keys() == {"tensor"} else value

    values: dict[str, Any] = _mapped(state["values"], replace)
    return values


def _mapped(value: Any, replace: Callable[[Any], Any]) -> Any:
    value = replace(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, replace) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, replace) for item in value]
    return value


def _file_parts(tensors: Sequence[Tensor], text: str) -> Iterator[bytes | memoryview]:
    """A safetensors file, part by part, so that memory never holds a second copy of it."""
    header: dict[str, Any] = {"__metadata__": {"format": _FORMAT, "impasto": text}}
    end = 0
    for index, tensor in enumerate(tensors):
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[str(index)] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    header[_CHECKSUM] = {"dtype": "U8", "shape": [4], "data_offsets": [end, end + 4]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # data begin at a multiple of eight
    head: list[bytes | memoryview] = [len(encoded).to_bytes(8, "little"), encoded]
    checksum = 0
    for part in itertools.chain(head, _parts_of(tensors)):
        checksum = zlib.crc32(part, checksum)
        yield part
    yield checksum.to_bytes(4, "little")


def _parts_of(tensors: Sequence[Tensor]) -> Iterator[memoryview]:
    for tensor in tensors:
        yield _bytes(tensor)
        release(tensor)


def _bytes(tensor: Tensor) -> memoryview:
    """The tensor's memory in the order of its indices; no copy if it is contiguous on the CPU."""
    array: Any = tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy()
    return memoryview(array)


def _verify(path: Path) -> None:
    """Raises ValueError if the checksum does not match the file."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        if zlib.crc32(view[:-4]) != int.from_bytes(view[-4:], "little"):
            raise ValueError("the checksum does not match")
