"""The engine: the loop over levels and iterations, its events, and its control."""

from impasto.engine.events import Control, Progress
from impasto.engine.loop import Engine
from impasto.engine.problem import PlainProblem, Problem

__all__ = ["Control", "Engine", "PlainProblem", "Problem", "Progress"]
