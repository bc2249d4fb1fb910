"""The advisor where torch is not installed: what can be reckoned is, and the rest is left to the workers."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from impasto.errors import OutOfMemoryError, UserError
from impasto.recipe import Recipe, choices, size_in_words
from impasto.service.advisor.client import DESCRIPTIONS, Advisor

__all__ = ["AdvisorWithoutTorch", "has_torch"]

PROCESS_BYTES = 470_000_000
"""Of a worker with its encoder, before any picture."""

BYTES_A_PIXEL: Mapping[str, int] = {"compact": 1050, "vgg16": 2150, "vgg19": 2200}
"""Of the output, by model: `impasto.pipeline.memory.peak_bytes` at 0.24 to 3.84 megapixels, a straight line;
a test holds both together."""

NEIGHBORS = 2.65
"""So many times that, where nearest neighbors are searched."""

MORE_STYLES = 0.3
"""So much more for each further style."""

SAVING = 0.4
"""Share of it that remains with all memory savings on, at best."""


def has_torch() -> bool:
    """Whether it is installed; it is not loaded."""
    return importlib.util.find_spec("torch") is not None


class AdvisorWithoutTorch(Advisor):
    """Says what it can; starts no process."""

    async def plan(
        self,
        recipe: Recipe,
        content_size: Sequence[int],
        style_sizes: Sequence[Sequence[int]],
        max_memory: int | None = None,
    ) -> dict[str, Any]:
        """As `Advisor.plan`, with a rough peak and no seconds; the worker that takes the job plans it exactly.

        Raises:
            OutOfMemoryError: If the job cannot fit by far.
        """
        height, width = content_size[0], content_size[1]
        shrink = recipe.size / max(height, width) if recipe.size is not None else recipe.height / height
        size = [max(1, round(height * shrink)), max(1, round(width * shrink))]
        peak = PROCESS_BYTES + round(_bytes_a_pixel(recipe, len(style_sizes)) * size[0] * size[1])
        if max_memory is not None and SAVING * peak > max_memory:
            raise OutOfMemoryError(
                f"The job needs about {size_in_words(peak)} of memory, and the largest worker has "
                f"{size_in_words(max_memory)}. Lower height or size, or take the model compact."
            )
        return {
            "recipe": recipe.model_dump(mode="json"), "peak_bytes": min(peak, max_memory or peak), "seconds": None,
            "size": size, "lowered": [],
        }  # fmt: skip

    async def regions(self, source: Path, folder: Path, num: int) -> list[Path]:
        """Cannot be had; raises `UserError`."""
        raise UserError(
            "Regions of a picture are found by torch, which this service's API does not have. Give masks of your own."
        )

    async def models(self) -> list[dict[str, Any]]:
        """The encoders; each worker fetches the weights that it needs by itself."""
        return [
            {"name": name, "is_ready": True, "size_bytes": None, "description": DESCRIPTIONS.get(name, ""),
             "download": None}
            for name in choices("model")
        ]  # fmt: skip


def _bytes_a_pixel(recipe: Recipe, num_styles: int) -> float:
    models = [recipe.model] if recipe.finishing is None else [recipe.model, recipe.finishing.model]
    each = max(BYTES_A_PIXEL.get(model, max(BYTES_A_PIXEL.values())) for model in models)
    return each * (NEIGHBORS if recipe.style_loss == "neighbors" else 1.0) * (1 + MORE_STYLES * (num_styles - 1))
