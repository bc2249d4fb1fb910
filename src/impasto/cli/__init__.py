"""The command line, a thin mirror of the library: commands load when they are called, torch when they work."""

from impasto.cli.app import main

__all__ = ["main"]
