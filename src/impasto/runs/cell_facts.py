"""What is known of a painted cell, as one flat row: losses, distances, influence, time, memory and metrics."""

import csv
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from impasto.encoders import Encoder
from impasto.images import Picture, load_picture, resize
from impasto.objective.objective import Objective
from impasto.pipeline.build import for_encoder
from impasto.pipeline.level_images import style_sizes
from impasto.recipe import Recipe
from impasto.runs.metrics import Judge, measure, pick_judge
from impasto.runs.process_memory import peak_bytes
from impasto.runs.rerun import read_provenance
from impasto.runs.run import RunReport

__all__ = ["CellFacts"]

Facts = dict[str, Any]

_TERMS = ("total", "content", "style", "tv")


class CellFacts:
    """Finds out about painted pictures.

    Args:
        optimized: Names of the encoders that the pictures are painted with, none of which shall judge them.
    """

    def __init__(self, optimized: Collection[str]) -> None:
        self._optimized = optimized

    def of_run(self, report: RunReport, encoder: Encoder) -> Facts:
        """The facts of a run that has just ended.

        Args:
            report: Of the run.
            encoder: That it optimized.

        Returns:
            Losses are weighted, distances not (0 is equal, 1 as far as black), influences are shares of the gradient;
            ``memory_bytes`` is the process's peak during the run.
        """
        result = report.result
        memory = peak_bytes()
        image = (result.image * 255).round() / 255  # what the written file holds
        content, styles = result.inputs.content, result.inputs.styles
        facts: Facts = {
            "iterations": result.iterations, "stop_reason": str(result.stop_reason),
            "seconds": round(result.seconds, 3), "memory_bytes": memory,
        }  # fmt: skip
        facts |= {f"loss_{term}": result.losses.get(term) for term in _TERMS}
        facts |= {f"influence_{term}": result.gradient_share.get(term) for term in _TERMS[1:]}
        return facts | self.of_image(image, content, styles, result.recipe, encoder)

    def of_image(
        self, image: Tensor, content: Picture, styles: Sequence[Picture], recipe: Recipe, encoder: Encoder
    ) -> Facts:
        """Distances in the features that were optimized, and the metrics.

        Args:
            image: The painted picture, shape (1, 3, H, W), in [0, 1].
            content: The content image.
            styles: The style images.
            recipe: That it was painted by.
            encoder: That was optimized.
        """
        return _distances(image, content, styles, recipe, encoder) | self._measure(image.cpu(), content, styles)

    def of_picture(self, picture: Path, losses: Path, content: Path, styles: Sequence[Path]) -> Facts:
        """The facts of a picture whose run's process is gone; influence, memory and distances are unknown.

        Args:
            picture: The painted picture.
            losses: The table of its run.
            content: The content image.
            styles: The style images.
        """
        provenance = read_provenance(picture)
        row = _best_row(losses)
        facts: Facts = {
            "iterations": provenance.iterations, "stop_reason": provenance.stop_reason,
            "seconds": row.get("seconds"), "memory_bytes": None,
        }  # fmt: skip
        facts |= {f"loss_{term}": row.get(term) for term in _TERMS}
        facts |= {f"{kind}_{term}": None for kind in ("influence", "distance") for term in _TERMS[1:]}
        inputs = [load_picture(path) for path in (content, *styles)]
        return facts | self._measure(load_picture(picture).pixels, inputs[0], inputs[1:])

    def _measure(self, image: Tensor, content: Picture, styles: Sequence[Picture]) -> Facts:
        return measure(image, content.pixels, [style.pixels for style in styles], self._judge)

    @cached_property
    def _judge(self) -> Judge | None:
        return pick_judge(self._optimized)


def _distances(image: Tensor, content: Picture, styles: Sequence[Picture], recipe: Recipe, encoder: Encoder) -> Facts:
    """Distance from content and style and roughness, in the features that were optimized, before any weight."""
    size = (image.shape[-2], image.shape[-1])
    sizes = style_sizes([style.size for style in styles], size, recipe)
    device = next(encoder.parameters()).device
    shrunk = [resize(style.pixels, own).to(device) for style, own in zip(styles, sizes, strict=True)]
    # Every term switched on, whatever it weighed: a distance is known before any weight.
    weighed = recipe.replace(content_weight=1.0, style_weight=1.0, tv_weight=1.0, strength=50.0)
    own = for_encoder(weighed.replace(style_loss="gram") if recipe.style_loss == "neighbors" else weighed, encoder)
    objective = Objective(encoder, resize(content.pixels, size).to(device), shrunk, own)
    return {f"distance_{term}": value for term, value in objective.distances(image.to(device)).items()}


def _best_row(losses: Path) -> dict[str, float]:
    """The row of the last level with the lowest objective, and the time of the last one; empty if there is none."""
    try:
        with losses.open(newline="", encoding="ascii") as stream:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]
        level = [row for row in rows if row["level"] == rows[-1]["level"]]
        return min(level, key=lambda row: row["total"]) | {"seconds": level[-1]["seconds"]} if level else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
