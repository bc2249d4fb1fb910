"""Pictures in, a picture out: ``stylize`` and what it wires together. No files here."""

from impasto.pipeline.api import Execution, Masks, Result, stylize

__all__ = ["Execution", "Masks", "Result", "stylize"]
