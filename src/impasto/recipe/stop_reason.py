"""Why a run ended: a code for programs, and its sentence for people."""

from enum import StrEnum
from typing import Self


class StopReason(StrEnum):
    """Why a run ended, as results, events and painted pictures say it."""

    BUDGET = "budget"
    PLATEAU = "plateau"
    CONVERGED = "converged"
    NO_PROGRESS = "no_progress"
    NO_DESCENT = "no_descent"
    NOT_FINITE = "not_finite"
    OUT_OF_MEMORY = "out_of_memory"
    STOPPED = "stopped"
    CANCELLED = "cancelled"

    @property
    def sentence(self) -> str:
        """The reason in words, without a period."""
        return _SENTENCES[self]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The reason that a painted picture names; pictures of early versions name it by a sentence.

        Returns:
            None if the text is no known reason.
        """
        if text in list(cls):
            return cls(text)
        return next((cls(reason) for start, reason in _EARLY_SENTENCES.items() if text.startswith(start)), None)


_SENTENCES = {
    StopReason.BUDGET: "the iteration budget is used up",
    StopReason.PLATEAU: "the objective hardly falls any more",
    StopReason.CONVERGED: "the gradient is zero, so nothing is left to improve",
    StopReason.NO_PROGRESS: "many iterations in a row did not lower the objective",
    StopReason.NO_DESCENT: "no step lowers the objective any further",
    StopReason.NOT_FINITE: "the objective is not finite, however short the step",
    StopReason.OUT_OF_MEMORY: "memory ran out with all memory savings on; the best picture so far is kept",
    StopReason.STOPPED: "stopped on request; the best picture so far is kept",
    StopReason.CANCELLED: "cancelled",
}

_EARLY_SENTENCES = {
    "the budget of": StopReason.BUDGET,
    "the last ": StopReason.PLATEAU,
    "the gradient is zero": StopReason.CONVERGED,
    "50 iterations in a row": StopReason.NO_PROGRESS,
    "no step lowers": StopReason.NO_DESCENT,
    "the objective is not finite": StopReason.NOT_FINITE,
    "memory ran out": StopReason.OUT_OF_MEMORY,
    "stopped on request": StopReason.STOPPED,
}
"""How sentences began before there were codes."""
