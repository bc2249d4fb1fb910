"""``impasto looks``: the named looks, and when to take which."""

import sys
import textwrap

from impasto.recipe import LOOKS, Recipe


def looks() -> int:
    """Show the looks: when to take each, and the values of the recipe that it stands for."""
    default = Recipe().look
    for name, look in LOOKS.items():
        values = "  ".join(f"{key}={value}" for key, value in look.values.items())
        title = f"{name} (default)" if name == default else name
        lines = [title, *textwrap.wrap(look.summary, 96), values]
        sys.stdout.write("\n    ".join(lines) + "\n")
    return 0
