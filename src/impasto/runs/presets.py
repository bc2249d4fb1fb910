"""The experiments of the description that this system answers, as sweeps: "Style Transfer with Deep Learning", AGH
Kraków 2024.

They are painted with the look and the single scale that are described there, ``--look classic --levels 1``; options
that are given go before that. Neither torch nor numpy is loaded here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from impasto.errors import UserError, did_you_mean
from impasto.recipe import Recipe
from impasto.runs.sweep_plan import Variant, as_typed

__all__ = ["ALL", "PRESETS", "Preset", "find_presets"]

ALL = "all"
"""Stands for every preset."""

BASE: Mapping[str, Any] = {"look": "classic", "levels": 1, "total_iterations": 200}
"""What the experiments share."""

FACTORS_OF_CONTENT = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
FACTORS_OF_TV = (0, 0.01, 0.1, 0.2, 0.5, 1, 5, 25)
BUDGETS = (10, 20, 40, 80, 120, 200, 300)
BUDGETS_BY_OPTIMIZER: Mapping[str, Sequence[int]] = {
    "lbfgs": (100, 300, 600),
    "adam": (100, 300, 500, 600, 1000, 2000),
}
BUDGETS_BY_START = (50, 100, 200, 400, 800)


@dataclass(frozen=True)
class Preset:
    """One experiment.

    Attributes:
        name: On the command line, and of its page.
        title: Of its page.
        question: What it asks, in a sentence.
        figures: Theirs, that it answers.
        finding: What they found.
        variants: What is painted, from the base.
        changes: Of the base, where it differs from the other experiments'.
        plots: What its figure shows: the objective over iterations, over seconds, or facts over what varies.
        columns: Of the table on its page.
        has_plain: Whether the plain method takes part, too.
    """

    name: str
    title: str
    question: str
    figures: str
    finding: str
    variants: Callable[[Recipe], list[Variant]]
    changes: Mapping[str, Any]
    plots: Sequence[Literal["iterations", "seconds", "values"]]
    columns: Sequence[str]
    has_plain: bool = False

    def base(self, given: Mapping[str, Any]) -> Recipe:
        """The experiment's base under the values that were given.

        Raises:
            RecipeError: If one is unknown or out of its range.
        """
        return Recipe(**{**BASE, **self.changes, **given})


def find_presets(name: str) -> list[Preset]:
    """The preset of a name, or all of them.

    Raises:
        UserError: If there is none.
    """
    if name == ALL:
        return list(PRESETS.values())
    if name not in PRESETS:
        raise UserError(f"Unknown preset '{name}'. {did_you_mean(name, [*PRESETS, ALL])}")
    return [PRESETS[name]]


def _of_budgets(_: Recipe) -> list[Variant]:
    return [_variant(total_iterations=count) for count in BUDGETS]


def _of_optimizers(_: Recipe) -> list[Variant]:
    return [
        _variant(optimizer=optimizer, total_iterations=count)
        for optimizer, counts in BUDGETS_BY_OPTIMIZER.items()
        for count in counts
    ]


def _of_content_weights(base: Recipe) -> list[Variant]:
    return [_variant(content_weight=factor * base.content_weight) for factor in FACTORS_OF_CONTENT]


def _of_tv_weights(base: Recipe) -> list[Variant]:
    return [_variant(tv_weight=factor * base.tv_weight) for factor in FACTORS_OF_TV]


def _of_starts(_: Recipe) -> list[Variant]:
    return [
        _variant(init_method=start, total_iterations=count)
        for start in ("random", "style")
        for count in BUDGETS_BY_START
    ]


def _of_scales(_: Recipe) -> list[Variant]:
    return [
        Variant({"method": "Impasto, one scale"}, {"levels": 1}),
        Variant({"method": "Impasto, coarse to fine"}, {"levels": "auto"}),
    ]


def _variant(**changes: Any) -> Variant:
    return Variant({name: as_typed(value) for name, value in changes.items()}, changes)


_PACE = ("iterations", "seconds", "loss_total", "distance_content", "distance_style", "ssim", "judge_style")

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "iterations", "How many iterations?", "What does a picture gain from more iterations?", "8–15",
            "After about 120 iterations further ones change little.",
            _of_budgets, {}, ["iterations", "values"], _PACE,
        ),
        Preset(
            "optimizers", "Which optimizer?", "Which optimizer comes further, in as many iterations and in as many seconds?",
            "16–21", "L-BFGS gives better pictures than Adam, in fewer iterations.",
            _of_optimizers, {}, ["iterations", "seconds"], _PACE,
        ),
        Preset(
            "weights", "Which weights?", "How do pictures change with the weight of the content?", "22–27",
            "The ratio of the weights decides between photograph and painting.",
            _of_content_weights, {}, ["values"],
            ("distance_content", "distance_style", "influence_content", "influence_style", "ssim", "judge_style"),
        ),
        Preset(
            "tv", "How much total variation?", "What does the total variation do, and how much of it is right?", "28–33",
            "There is a sweet spot: too little leaves noise, too much blurs.",
            _of_tv_weights, {}, ["values"],
            ("distance_tv", "influence_tv", "distance_content", "distance_style", "ssim", "edge_agreement"),
        ),
        Preset(
            "init", "Which start?", "What do random and style starts lead to, with much weight on the content?", "34–45",
            "The style start converges faster than the random one.",
            _of_starts, {"content_weight": 50.0, "style_weight": 1.0}, ["iterations", "values"], _PACE,
        ),
        Preset(
            "performance", "How fast?", "How long does the same objective take, against the plain method?", "46–47",
            "Their program is faster than an older one.",
            _of_scales, {}, ["iterations", "seconds"],
            ("iterations", "seconds", "loss_total", "memory_bytes", "ssim", "judge_style"), has_plain=True,
        ),
    )
}  # fmt: skip
"""By name."""
