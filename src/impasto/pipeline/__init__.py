"""Pictures in, a picture out: ``stylize`` and what it wires together. No files here."""

from impasto.pipeline.api import Result, stylize

__all__ = ["Result", "stylize"]
