"""The compose file as its tests read it: variables filled in by their defaults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


@dataclass(frozen=True)
class Deployment:
    """The compose file.

    Attributes:
        services: By name, as written.
        volumes: Names of the volumes.
    """

    services: Mapping[str, Mapping[str, Any]]
    volumes: frozenset[str]

    @classmethod
    def read(cls) -> "Deployment":
        """From the file, as with an empty environment."""
        text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
        found = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
        return cls(found["services"], frozenset(found["volumes"]))

    def command(self, name: str) -> list[str]:
        """The command line of a service."""
        return [str(word) for word in self.services[name]["command"]]

    def environment(self, name: str) -> dict[str, str]:
        """What the compose file sets for a service."""
        return {key: str(value) for key, value in self.services[name].get("environment", {}).items()}
