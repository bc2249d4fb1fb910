"""One picture by several processes, as ``torchrun`` starts them: who leads, and how the others assist.

Reference: https://docs.pytorch.org/docs/stable/elastic/run.html for what ``torchrun`` sets.
"""

import datetime
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from impasto.devices import pick_device
from impasto.encoders import Encoder
from impasto.engine.pyramid import Level
from impasto.errors import UserError
from impasto.objective import Objective
from impasto.objective.ranks import Ranks, RanksError, sharing_tiles
from impasto.objective.view import SMALLEST_TILED, is_tiled
from impasto.pipeline.build import StyleTransfer, encoder_of
from impasto.pipeline.memory import view_of
from impasto.pipeline.provenance import Inputs
from impasto.recipe import Recipe

__all__ = ["Leader", "assist", "joined_ranks", "with_tiles_for"]

logger = logging.getLogger(__name__)

PATIENCE = datetime.timedelta(days=7)
"""How long a process waits for the others. One that is lost closes its connections, which is noticed at once."""


@contextmanager
def joined_ranks(device: str, what: Mapping[str, Any]) -> Iterator[Ranks | None]:
    """Joins the processes that ``torchrun`` has started for this run; None if there is but this one.

    Args:
        device: As in `Execution`.
        what: That all have to agree on, by name.

    Raises:
        UserError: If they do not agree.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield None
        return
    place = pick_device(device)
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    ranks = Ranks(place)
    try:
        given = ranks.gather(dict(what))
        for name in what:
            if any(each[name] != given[0][name] for each in given):
                if not ranks.is_leader:
                    raise SystemExit(UserError.exit_code)  # the leader says why
                raise UserError(f"The processes were given different {name}; start all of them by one command.")
        yield ranks
    finally:
        if ranks.is_leader and ranks.is_in_step:
            with suppress(RanksError):
                ranks.tell(None)
        dist.destroy_process_group()


def with_tiles_for(ranks: Ranks, encoder: Encoder, recipe: Recipe, size: tuple[int, int]) -> Recipe:
    """A recipe with tiles of the finest level for each process; as many for each, where none are planned yet.

    Args:
        ranks: The processes.
        encoder: Of the run.
        recipe: With the edge of tiles that was named, or that memory requires, if any. It stays if there are enough.
        size: Height and width of the output.
    """
    layers = {*(recipe.content_layers or encoder.content_layers), *(recipe.style_layers or encoder.style_layers)}

    def num_tiles(tiled: Recipe) -> int:
        view = view_of(encoder, tiled, size, layers)
        return len(view.rows) * len(view.columns)

    if num_tiles(recipe) >= ranks.count:
        return recipe
    for parts in range(2, 4 * ranks.count + 1):
        tiled = recipe.replace(tile_edge=max(SMALLEST_TILED, -(-max(size) // parts)))
        count = num_tiles(tiled)
        if count >= ranks.count and count % ranks.count == 0:
            return tiled
    logger.warning(
        "One process paints alone: %s at %d×%d cannot be parted into tiles for %d.",
        recipe.model, size[1], size[0], ranks.count,
    )  # fmt: skip
    return recipe


class Leader:
    """A problem whose objectives are evaluated by several processes; see `impasto.engine.Problem`.

    Args:
        problem: The problem.
        ranks: The processes.
        inputs: The pictures.
        recipe: As resolved.
        trust: Whether the file of a custom model may run its code.
        is_low_memory: Whether activations are kept as bytes.
    """

    def __init__(
        self, problem: StyleTransfer, ranks: Ranks, inputs: Inputs, recipe: Recipe, *, trust: bool, is_low_memory: bool
    ) -> None:
        self._problem, self._ranks = problem, ranks
        self.start, self.resample, self.enlarge = problem.start, problem.resample, problem.enlarge
        self.postprocess = problem.postprocess
        ranks.tell(("run", inputs, recipe.to_json(), trust, is_low_memory))

    def objective(self, level: Level, recipe: Recipe, begin: Tensor) -> Objective:
        """See `impasto.engine.Problem`."""
        if not is_tiled(level.size, recipe.tile_edge):
            return self._problem.objective(level, recipe, begin)
        with self._ranks.together(), sharing_tiles(self._ranks):
            self._ranks.tell(("objective", level.as_list(), recipe.to_json(), tuple(begin.shape)))
            if level.matching is not None:
                self._ranks.hand_out(begin)
            return self._problem.objective(level, recipe, begin)

    def save_memory(self) -> str:
        """See `impasto.engine.Problem`."""
        return self._problem.save_memory()


def assist(ranks: Ranks) -> None:
    """Evaluates tiles for the leader, until it is done.

    Raises:
        RanksError: If the leader is lost.
    """
    problem: StyleTransfer | None = None
    objective: Objective | None = None
    while (order := ranks.tell(None)) is not None:
        kind, *details = order
        if kind == "run":
            objective, problem = None, _problem_of(ranks, *details)
        elif kind == "objective" and problem is not None:
            objective = None  # before the next one takes memory
            values, recipe, shape = details
            level = Level.from_list(values)
            begin = torch.empty(shape, device=ranks.device)
            if level.matching is not None:
                begin = ranks.hand_out(begin)
            with sharing_tiles(ranks):
                objective = problem.objective(level, Recipe.from_json(recipe), begin)
        elif kind == "evaluate" and objective is not None:
            objective.evaluate(ranks.hand_out(torch.empty(details[0], device=ranks.device)))


def _problem_of(ranks: Ranks, inputs: Inputs, recipe_json: str, trust: bool, is_low_memory: bool) -> StyleTransfer:
    recipe = Recipe.from_json(recipe_json)
    encoders = [encoder_of(recipe, ranks.device, trust=trust)]
    if recipe.finishing is not None:
        encoders.append(encoder_of(recipe.replace(model=recipe.finishing.model), ranks.device))
    for encoder in encoders:
        encoder.is_low_memory = is_low_memory and encoder.supports_low_memory
    return StyleTransfer(inputs, recipe, encoders[0], ranks.device, encoders[1] if len(encoders) > 1 else None)
