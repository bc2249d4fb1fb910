"""Shared targets: computed once for the same pictures, and the same bits as without."""

import torch

from impasto.objective.objective import Objective
from impasto.objective.shared_targets import TargetStore, shared, sharing_targets
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, 3, 24, 32), generator=generator), torch.rand((1, 3, 20, 28), generator=generator)


class Counting(TinyEncoder):
    """Counts what it looks at."""

    num_looks = 0

    def iter_style_features(self, *args, **kwargs):
        self.num_looks += 1
        return super().iter_style_features(*args, **kwargs)


def test_objectives_of_the_same_pictures_share_their_targets_to_the_bit() -> None:
    content, style = images()
    recipe, start = Recipe(look="classic"), torch.rand(1, 3, 24, 32)
    alone = Objective(TinyEncoder(), content, [style], recipe).evaluate(start)
    encoder = Counting()
    with sharing_targets():
        for strength in (20, 50):
            together = Objective(encoder, content.clone(), [style.clone()], recipe.replace(strength=strength)).evaluate(
                start
            )
        assert encoder.num_looks == 1
        Objective(encoder, content, [style.flip(-1)], recipe)
        Objective(encoder, content, [style], recipe.replace(style_loss="moments"))
        assert encoder.num_looks == 3
    assert torch.equal(together.total, alone.total)
    assert torch.equal(together.gradient, alone.gradient)


def test_nothing_is_shared_outside() -> None:
    made: list[int] = []
    for _ in range(2):
        shared(lambda: made.append(1), "key")
    assert made == [1, 1]


def test_the_store_keeps_to_its_size(monkeypatch) -> None:
    monkeypatch.setattr("impasto.objective.shared_targets.MAX_BYTES", 100)
    store, made = TargetStore(), []

    def get(key: str, num_floats: int) -> None:
        store.get(key, lambda: made.append(key) or torch.zeros(num_floats))

    for key in ("a", "b", "a", "c", "a", "b"):  # "b" has to go for "c"
        get(key, 12)
    assert made == ["a", "b", "c", "b"]
    get("huge", 1000)
    get("huge", 1000)
    assert made[-2:] == ["huge", "huge"]
