"""The engine: the loop over levels and iterations, its events, and the reins that it takes."""

from impasto.engine.events import Control, Progress
from impasto.engine.loop import STOPPED, Engine

__all__ = ["STOPPED", "Control", "Engine", "Progress"]
