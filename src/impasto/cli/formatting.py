"""Events and reports in words."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from impasto.recipe import Recipe

if TYPE_CHECKING:
    from impasto.engine import Progress
    from impasto.runs.run import RunReport


def report_in_words(report: "RunReport") -> str:
    """Where the picture is, how large, and why the run stopped."""
    result = report.result
    height, width = result.image.shape[-2:]
    where = f"Saved {report.final} ({width}×{height})" if report.final else "Nothing was saved"
    why = result.stop_reason.sentence
    line = f"{where} after {result.iterations} iterations in {duration(result.seconds)}: {why}."
    return f"{line} {gradient_share_in_words(result.gradient_share)}".rstrip()


def gradient_share_in_words(gradient_share: Mapping[str, float]) -> str:
    """``"Share of the gradient: content 44 %, style 52 %, tv 4 %."``; nothing if it was not measured."""
    if not gradient_share:
        return ""
    return (
        "Share of the gradient: "
        + ", ".join(f"{term} {share:.0%}" for term, share in gradient_share.items()).replace("%", " %")
        + "."
    )


def encoders_in_words(recipe: Recipe) -> str:
    """``"compact, finished by vgg19"``, or the one encoder of a run."""
    return recipe.model if recipe.finishing is None else f"{recipe.model}, finished by {recipe.finishing.model}"


def iterations_in_words(recipe: Recipe) -> str:
    """``"4 iterations"``, or at most so many where a plateau may end the run before."""
    return f"{'at most ' if recipe.plateau_fraction else ''}{recipe.num_iterations} iterations"


def level_in_words(event: "Progress") -> str:
    """``"level 2/3 (600×400)"``, width first as people say it."""
    height, width = event.size
    return f"level {event.level}/{event.num_levels} ({width}×{height})"


def facts_in_words(event: "Progress") -> list[str]:
    """Loss, speed and time left; nothing at the start."""
    if not event.losses or event.seconds <= 0:
        return []
    rate = event.iteration / event.seconds
    speed = f"{rate:.1f} iterations/s" if rate >= 1 else f"{1 / rate:.1f} s/iteration"
    return [f"loss {event.losses['total']:.4g}", speed, f"{duration(event.eta_seconds)} left"]


def duration(seconds: float) -> str:
    """``"42 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``; ``"unknown time"`` if it is not finite."""
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
