"""The plain method: it lowers our objective, and says what it did."""

import torch

from impasto.bench.plain import run_plain
from impasto.objective.objective import Objective
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder


def test_the_plain_method_keeps_its_best_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    content, style = torch.rand((2, 1, 3, 24, 32), generator=generator).unbind()
    objective = Objective(TinyEncoder(), content, [style], Recipe(look="classic"))
    outcome = run_plain(objective, content, 12)
    assert 1 <= len(outcome.losses) == len(outcome.stamps) <= 13
    assert min(outcome.losses) < outcome.losses[0]
    assert objective.parts(outcome.image).sum().item() == min(outcome.losses)
