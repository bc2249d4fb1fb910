"""``--dry-run``: what would be done, and what it would take."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from impasto.cli.formatting import duration
from impasto.recipe import Recipe, RunOptions, size_in_words
from impasto.recipe.messages import printable


def show_plan(
    content: Path, styles: Sequence[Path], recipe: Recipe, options: RunOptions, show: Callable[[str], None]
) -> None:
    """Prints the resolved recipe, the levels, and the time and memory to be expected; writes no file.

    What a run would refuse is refused here too. `show` takes the text.

    Raises:
        UserError: If a picture cannot be read, or the output not be written.
    """
    import torch

    from impasto.pipeline.estimate import estimate
    from impasto.runs.plan import plan_run

    planned = plan_run(content, styles, recipe, options)
    outputs = planned.outputs
    content_size, style_sizes = planned.inputs.content.size, [style.size for style in planned.inputs.styles]
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    plan = estimate(
        recipe, content_size, style_sizes, options.device, trust=options.trust, max_memory=options.max_memory,
        has_scratch=options.scratch is not None,
    )  # fmt: skip
    if options.json_events:
        levels = [{"size": [height, width], "iterations": count} for height, width, count in plan.levels]
        event = {
            "event": "plan", "path": str(outputs.final), "recipe": plan.recipe.model_dump(mode="json"),
            "levels": levels, "seconds": round(plan.seconds, 1), "peak_bytes": plan.memory.peak_bytes,
            "lowered": plan.memory.lowered, "is_busy": plan.is_busy,
        }  # fmt: skip
        show(json.dumps(event) + "\n")
        return
    most = "at most " if plan.recipe.plateau_fraction else ""
    levels_in_words = [
        f"# level {number}: {width}×{height}, {most}{count} iterations"
        for number, (height, width, count) in enumerate(plan.levels, start=1)
    ]
    lines = [
        printable(f"# {content} in the style of {', '.join(map(str, styles))}, to {outputs.final}"),
        *levels_in_words,
        f"# about {duration(plan.seconds)} and {size_in_words(plan.memory.peak_bytes)} of memory",
        *(["# Other programs are at work on this machine; it takes longer while they are."] if plan.is_busy else []),
        *(f"# {sentence}" for sentence in plan.memory.lowered),
        plan.recipe.to_toml(),
    ]
    show("\n".join(lines))
