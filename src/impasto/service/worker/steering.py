"""Live changes of a job: asked for by callers, taken by the engine."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from impasto.engine import Control

__all__ = ["Steering"]


class Steering(Control):
    """A run's control that remembers at which iteration the engine took which changes."""

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        super().__init__()
        self.iteration = 0
        self.changes = changes
        self._asked: deque[int] = deque()
        self.taken: list[int] = []

    def ask(self, number: int, values: Mapping[str, float]) -> None:
        """Asks for a change, once for each number."""
        if number not in self._asked and number not in self.taken:
            self._asked.append(number)
            self.change(**values)

    def take_changes(self) -> dict[str, float]:
        """As the engine calls it."""
        asked = list(self._asked)
        values = super().take_changes()
        if values:
            self._asked.clear()
            self.taken = [*self.taken, *asked]
            self.changes = [*self.changes, {"iteration": self.iteration, "values": values, "ids": asked}]
        return values
