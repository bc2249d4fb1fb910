"""The plain method lowers an objective by torch's own L-BFGS."""

import torch

from impasto.bench.plain import run_plain
from impasto.objective import Objective
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder


def test_the_plain_method_evaluates_as_often_as_asked_and_gets_lower() -> None:
    torch.manual_seed(0)
    content, style = torch.rand(1, 3, 16, 24), torch.rand(1, 3, 16, 16)
    objective = Objective(TinyEncoder(), content, [style], Recipe(look="classic", model="compact"))
    outcome = run_plain(objective, content, 8)
    assert len(outcome.losses) == len(outcome.stamps) == 8
    assert min(outcome.losses) < outcome.losses[0]
