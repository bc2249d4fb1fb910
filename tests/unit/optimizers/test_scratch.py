"""Pictures in files: the same steps, nothing left behind, and folders that cannot be used."""

from pathlib import Path

import pytest
import torch

from impasto.errors import OutputError
from impasto.objective.objective import Evaluation
from impasto.optimizers.lbfgs import LBFGS
from impasto.optimizers.scratch import Scratch, release


def walk(optimizer: LBFGS, num_steps: int) -> torch.Tensor:
    """Descends a bowl that is steeper in some directions than in others."""
    slopes = torch.linspace(0.5, 3, optimizer.candidate.numel()).view_as(optimizer.candidate)
    for _ in range(num_steps):
        difference = optimizer.candidate - 0.3
        total = (slopes * difference.square()).sum()
        optimizer.update(Evaluation(total, 2 * slopes * difference, total[None]))
    return optimizer.candidate


def start() -> torch.Tensor:
    return torch.rand((1, 3, 20, 30), generator=torch.Generator().manual_seed(0))


def test_a_history_in_files_gives_the_same_bits_as_one_in_memory(tmp_path: Path) -> None:
    in_memory, in_files = LBFGS(start(), 3), LBFGS(start(), 3, Scratch(tmp_path))
    assert walk(in_files, 7).equal(walk(in_memory, 7))
    assert list(tmp_path.iterdir()) == []
    resumed = LBFGS(start(), 3, Scratch(tmp_path))
    resumed.load_state(in_files.state())
    assert walk(resumed, 3).equal(walk(in_memory, 3))


def test_a_picture_keeps_its_values_when_its_memory_is_given_back(tmp_path: Path) -> None:
    picture = start()
    kept = Scratch(tmp_path / "new").keep(picture)
    for _ in range(2):
        release(kept)
        assert kept.equal(picture)
    kept.mul_(2)
    release(kept)
    assert kept.equal(picture * 2)
    release(picture)


def test_a_gradient_that_was_taken_over_is_in_a_file_for_those_who_hold_it_still(tmp_path: Path) -> None:
    in_files, in_memory = LBFGS(start(), 3, Scratch(tmp_path)), LBFGS(start(), 3)
    gradient = start() - 0.3
    held = [Evaluation(torch.tensor(1.0), gradient.clone(), torch.ones(1)) for _ in range(2)]
    places = [evaluation.gradient.data_ptr() for evaluation in held]
    for optimizer, evaluation in zip((in_files, in_memory), held, strict=True):
        optimizer.update(evaluation)
    assert [evaluation.gradient.data_ptr() == place for evaluation, place in zip(held, places, strict=True)] == [
        False,
        True,
    ]
    assert in_files.best_gradient is not None and in_memory.best_gradient is not None
    assert in_files.best_gradient.equal(in_memory.best_gradient)


def test_a_difference_is_kept_as_it_would_be_in_memory(tmp_path: Path) -> None:
    one, other = start(), start() / 3
    assert torch.equal(Scratch(tmp_path).keep(one, other), one - other)


def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match=r"Cannot use the scratch folder '.*file'"):
        Scratch(file)


def test_a_full_folder_counts_as_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(MemoryError, match="No space left on device"):
        scratch.keep(start())
