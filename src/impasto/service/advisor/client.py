"""Asks the advisor, from the event loop."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError
from impasto.recipe import Recipe
from impasto.service.child_process import ChildProcess

MODELS_SECONDS = 5.0
"""How long what is said of models is taken to hold."""

DESCRIPTIONS: Mapping[str, str] = {
    "vgg19": "The network of the literature; the finest pictures, 80 MB to download.",
    "vgg16": "Its smaller brother, for comparisons; 59 MB to download.",
    "compact": "Ships with Impasto and needs no download; several times faster.",
}

_NEEDED_VARIABLES = ("IMPASTO_WEIGHTS_", "IMPASTO_CACHE_", "XDG_", "OMP_", "https_proxy", "HTTPS_PROXY", "SSL_")


@dataclass
class DownloadState:
    """How far a download is."""

    num_bytes: int = 0
    total_bytes: int | None = None
    error: str | None = None


class Advisor:
    """Knows what only torch can tell."""

    def __init__(self) -> None:
        weights = {name: value for name, value in os.environ.items() if name.startswith(_NEEDED_VARIABLES)}
        self._process = ChildProcess("impasto.service.advisor.process", environment=weights)
        self._models: tuple[float, list[dict[str, Any]]] = (0.0, [])
        self.downloads: dict[str, DownloadState] = {}

    async def plan(
        self,
        recipe: Recipe,
        content_size: Sequence[int],
        style_sizes: Sequence[Sequence[int]],
        max_memory: int | None = None,
    ) -> dict[str, Any]:
        """As `impasto.service.advisor.tasks.plan`.

        Raises:
            UserError: If recipe and encoder do not suit each other.
            OutOfMemoryError: If the job does not fit.
        """
        values = recipe.model_dump(mode="json", include=set(recipe.model_fields_set))
        found: dict[str, Any] = await self._process.ask(
            "plan", recipe=values, content_size=list(content_size), style_sizes=[list(size) for size in style_sizes],
            max_memory=max_memory,
        )  # fmt: skip
        return found

    async def regions(self, source: Path, folder: Path, num: int) -> list[Path]:
        """As `impasto.service.advisor.tasks.regions`."""
        return [
            Path(file) for file in await self._process.ask("regions", source=str(source), folder=str(folder), num=num)
        ]

    async def models(self) -> list[dict[str, Any]]:
        """The encoders, as the API says them."""
        now = time.monotonic()
        if self._models[0] < now:
            self._models = now + MODELS_SECONDS, await self._process.ask("models")
        infos = []
        for info in self._models[1]:
            state = None if info["is_ready"] else self.downloads.get(info["name"])
            infos.append(info | {"description": DESCRIPTIONS.get(info["name"], ""), "download": state})
        return infos

    async def download(self, name: str) -> None:
        """Fetches weights, unless that goes on already; `models` says how far it is."""
        state = self.downloads.get(name)
        if state is not None and state.error is None:
            return
        self.downloads[name] = state = DownloadState()

        def follow(news: Any) -> None:
            state.num_bytes, state.total_bytes = news

        try:
            await self._process.ask("download", on_news=follow, name=name)
            del self.downloads[name]
        except ImpastoError as error:
            state.error = str(error)
        self._models = (0.0, [])

    async def close(self) -> None:
        """Ends the advisor's process."""
        await self._process.close()
