"""Prints what the service's API needs: the package's requirements and those of its extras, but for torch."""

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("service", "heic", "otel")


def main() -> None:
    """Reads pyproject.toml, which the command line names."""
    project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    print("\n".join(line for line in named if not re.match(r"torch\b", line)))  # noqa: T201


if __name__ == "__main__":
    main()
