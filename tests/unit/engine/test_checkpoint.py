"""Checkpoints: the whole state, unharmed or refused, and of this run or refused."""

import logging
import math
from pathlib import Path

import pytest
import torch

from impasto.engine import Engine
from impasto.engine import checkpoint as room
from impasto.engine.checkpoint import Checkpoint, Checkpointer, Checkpoints, first_difference
from impasto.errors import CheckpointError, OutputError
from impasto.recipe import Recipe, StopReason
from tests.unit.engine.test_loop import build

CPU = torch.device("cpu")
ORIGIN = {
    "recipe": Recipe(look="classic").model_dump(mode="json"),
    "content": {"name": "photo.jpg", "sha256": "c"},
    "styles": [{"name": "oil.jpg", "sha256": "s"}],
    "weights_sha256": "w",
}
SURROUNDINGS = {"torch": "2.0", "threads": 1}


def changed(**recipe: object) -> dict[str, object]:
    return ORIGIN | {"recipe": ORIGIN["recipe"] | recipe}


def advanced(recipe: Recipe, iterations: int) -> Engine:
    """An engine that has gone some iterations."""
    engine = build(recipe)
    for progress in engine.run():
        if progress.iteration == iterations:
            break
    return engine


def restored(recipe: Recipe, state: object) -> Engine:
    engine = build(recipe)
    engine.load_state(state)
    return engine


def run(engine: Engine) -> torch.Tensor:
    for _ in engine.run():
        pass
    return engine.image


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run" / "checkpoint"


def saved(path: Path, state: dict[str, object]) -> dict[str, object]:
    Checkpoint(ORIGIN, state, SURROUNDINGS).save(path)
    return Checkpoint.load(path).state


class TestFile:
    def test_numbers_text_and_tensors_come_back_as_they_were(self, path):
        state = {
            "number": 0.1, "infinity": math.inf, "count": 7, "text": "ü", "nothing": None, "flag": True,
            "list": [torch.rand(2, 3), 1.5], "inner": {"deep": torch.rand(())},
        }  # fmt: skip
        back = saved(path, state)
        assert {name: back[name] for name in ("number", "infinity", "count", "text", "nothing", "flag")} == {
            name: state[name] for name in ("number", "infinity", "count", "text", "nothing", "flag")
        }
        assert torch.equal(back["list"][0], state["list"][0]) and back["list"][1] == 1.5
        assert torch.equal(back["inner"]["deep"], state["inner"]["deep"])

    def test_strides_come_back_because_sums_depend_on_them(self, path):
        picture = torch.rand(1, 3, 5, 7).to(memory_format=torch.channels_last)
        back = saved(path, {"picture": picture})["picture"]
        assert back.stride() == picture.stride()
        assert torch.equal(back, picture)

    def test_a_tensor_that_occurs_twice_is_kept_once(self, path):
        picture = torch.rand(1, 3, 64, 64)
        back = saved(path, {"a": picture, "b": picture})
        assert back["a"] is back["b"]
        assert path.stat().st_size < 1.5 * 4 * picture.numel()

    def test_it_is_a_safetensors_file(self, path):
        from safetensors.torch import load_file

        saved(path, {"picture": torch.arange(3.0)})
        assert torch.equal(load_file(path)["0"], torch.arange(3.0))

    @pytest.mark.parametrize("place", [0, 8, 200, -1, -4, -5, -1000])
    def test_any_flipped_bit_is_found(self, place, path):
        saved(path, {"picture": torch.rand(1, 3, 16, 16)})
        data = bytearray(path.read_bytes())
        data[place] ^= 4
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged or of another version; start anew without --resume"):
            Checkpoint.load(path)

    @pytest.mark.parametrize("keep", [0, 3, 100, 2000])
    def test_a_truncated_file_is_refused(self, keep, path):
        saved(path, {"picture": torch.rand(1, 3, 16, 16)})
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="damaged or of another version; start anew without --resume"):
            Checkpoint.load(path)

    def test_a_foreign_safetensors_file_is_refused(self, path):
        from safetensors.torch import save_file

        path.parent.mkdir()
        save_file({"a": torch.zeros(3)}, path)
        with pytest.raises(CheckpointError, match="damaged or of another version; start anew without --resume"):
            Checkpoint.load(path)

    def test_a_missing_file_is_named(self, path):
        with pytest.raises(CheckpointError, match=r"Cannot read the checkpoint '.*checkpoint': No such file"):
            Checkpoint.load(path)

    def test_a_failing_write_leaves_the_one_before(self, path, monkeypatch):
        saved(path, {"count": 1})

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("impasto.formats.files.os.fsync", full)
        with pytest.raises(OutputError, match=r"^Cannot write '.*checkpoint': No space left on device\."):
            Checkpoint(ORIGIN, {"count": 2}, SURROUNDINGS).save(path)
        assert Checkpoint.load(path).state["count"] == 1
        assert [file.name for file in path.parent.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("iterations", [0, 1, 4, 5, 9, 10])
def test_a_run_goes_on_to_the_same_bits_wherever_it_was_left(optimizer, iterations, path):
    recipe = Recipe(look="classic", total_iterations=10, levels=2, optimizer=optimizer, init_method="random")
    undisturbed = run(build(recipe))
    state = saved(path, advanced(recipe, iterations).state())
    assert torch.equal(run(restored(recipe, state)), undisturbed)


def test_a_stopped_run_goes_on_at_its_level(path):
    recipe = Recipe(look="classic", total_iterations=10, levels=2)
    engine = build(recipe)
    for progress in engine.run():
        if progress.iteration == 3:
            engine.control.stop()
    assert engine.image.shape[-2:] == engine.levels[-1].size
    assert torch.equal(run(restored(recipe, saved(path, engine.state()))), run(build(recipe)))


def test_the_events_go_on_counting(path):
    recipe = Recipe(look="classic", total_iterations=6, levels=2)
    state = saved(path, advanced(recipe, 4).state())
    events = list(restored(recipe, state).run())
    assert [event.iteration for event in events] == [4, 5, 6]
    assert [bool(event.losses) for event in events] == [False, True, True]
    assert events[0].seconds > 0


def test_a_finished_run_ends_at_once_when_nothing_is_added(path):
    recipe = Recipe(look="classic", total_iterations=6, levels=2)
    engine = restored(recipe, saved(path, advanced(recipe, 6).state()))
    assert torch.equal(run(engine), run(build(recipe)))
    assert engine.stop_reason is StopReason.BUDGET


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_finished_single_scale_run_goes_on_as_if_more_had_been_asked_for_at_once(optimizer, path):
    recipe = Recipe(look="classic", total_iterations=6, levels=1, optimizer=optimizer)
    more = recipe.replace(total_iterations=11)
    assert torch.equal(run(restored(more, saved(path, advanced(recipe, 6).state()))), run(build(more)))


def test_with_more_iterations_levels_that_are_over_stay(path):
    recipe = Recipe(look="classic", total_iterations=9, levels=3)
    state = saved(path, advanced(recipe, 5).state())
    engine = restored(recipe.replace(total_iterations=21), state)
    assert [level.iterations for level in engine.levels] == [3, 7, 11]
    run(engine)
    assert engine.iteration == 21


@pytest.mark.parametrize("budget", [8, 14])
def test_a_budget_changed_on_the_way_is_kept(budget, path):
    recipe = Recipe(look="classic", total_iterations=10, levels=2)
    pictures, state = [], {}
    for leaves in (False, True):
        engine = build(recipe)
        for progress in engine.run():
            if progress.iteration == 3:
                engine.control.change(total_iterations=budget)
            if progress.iteration == 6 and leaves:
                state = saved(path, engine.state())
                break
        pictures.append(engine.image)
    engine = restored(recipe, state)
    assert torch.equal(run(engine), pictures[0])
    assert engine.iteration == budget


def test_fewer_iterations_are_refused(path):
    engine = advanced(Recipe(look="classic", total_iterations=6, levels=1), 2)
    Checkpoint(ORIGIN, engine.state(), SURROUNDINGS).save(path)
    with pytest.raises(
        CheckpointError, match="of 6 iterations, and 5 were asked for; give --total-iterations 6 or more"
    ):
        resumed(path, build(Recipe(look="classic", total_iterations=5, levels=1)))


def resumed(
    path: Path, engine: Engine, provenance: object = ORIGIN, surroundings: object = SURROUNDINGS
) -> Checkpointer:
    return Checkpointer(Checkpoints(path, 10, resume=True), engine, provenance, surroundings, CPU)


class TestAnotherRun:
    @pytest.mark.parametrize(
        ("now", "words"),
        [
            (changed(style_weight=2.0), "style_weight was 1.0 and is 2.0 now"),
            (changed(total_iterations=7, seed=3), "seed was 0 and is 3 now"),
            (ORIGIN | {"content": {"name": "b.jpg", "sha256": "x"}}, "content is not the 'photo.jpg' of that run"),
            (ORIGIN | {"styles": ORIGIN["styles"] * 2}, "the number of styles was 1 and is 2 now"),
            (ORIGIN | {"styles": [{"name": "oil.jpg", "sha256": "x"}]}, "styles is not the 'oil.jpg' of that run"),
            (ORIGIN | {"lock_mask": {"name": "m.png", "sha256": "m"}}, "the number of lock_mask was 0 and is 1 now"),
            (ORIGIN | {"weights_sha256": "x"}, "the weights of vgg19 have changed"),
        ],
    )  # fmt: skip
    def test_it_is_refused_with_the_first_difference_named(self, now, words, path):
        Checkpoint(ORIGIN, {}, SURROUNDINGS).save(path)
        with pytest.raises(CheckpointError, match=words):
            resumed(path, build(Recipe(look="classic", total_iterations=1)), now)

    def test_names_of_files_and_the_budget_may_differ(self):
        now = changed(total_iterations=7) | {"content": {"name": "renamed.jpg", "sha256": "c"}}
        assert not first_difference(ORIGIN, now)

    def test_an_option_that_is_new_counts_as_its_default(self):
        before = ORIGIN | {"recipe": {name: value for name, value in ORIGIN["recipe"].items() if name != "seed"}}
        assert not first_difference(before, ORIGIN)
        assert first_difference(before, changed(seed=1)) == "seed was 0 and is 1 now"

    def test_other_surroundings_are_said(self, path, caplog):
        engine = advanced(Recipe(look="classic", total_iterations=2), 1)
        Checkpoint(ORIGIN, engine.state(), SURROUNDINGS).save(path)
        with caplog.at_level(logging.WARNING, "impasto"):
            resumed(path, build(Recipe(look="classic", total_iterations=2)), surroundings=SURROUNDINGS | {"threads": 2})
        assert "began with threads 1 and continues with 2; the last bits may differ" in caplog.text


class TestInterval:
    @pytest.fixture
    def clock(self, monkeypatch) -> list[float]:
        """The time, and how it advances: by a file's writing."""
        now = [0.0]
        monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
        return now

    def keep(self, path: Path, every: float) -> Checkpointer:
        return Checkpointer(
            Checkpoints(path, every), build(Recipe(look="classic", total_iterations=1)), ORIGIN, SURROUNDINGS, CPU
        )

    def test_it_is_written_when_due(self, path, clock):
        checkpointer = self.keep(path, 10)
        for clock[0], is_there in ((9.0, False), (10.0, True)):
            checkpointer.after_iteration()
            assert path.exists() == is_there
        path.unlink()
        for clock[0], is_there in ((19.0, False), (20.0, True)):
            checkpointer.after_iteration()
            assert path.exists() == is_there

    def test_zero_writes_none(self, path, clock):
        checkpointer = self.keep(path, 0)
        clock[0] = 1e6
        checkpointer.after_iteration()
        checkpointer.write()
        assert not path.exists()

    def test_slow_writing_makes_it_rarer(self, path, clock, monkeypatch):
        def slow(*_: object) -> None:
            clock[0] += 2.0
            path.parent.mkdir(exist_ok=True)
            path.touch()

        monkeypatch.setattr(Checkpoint, "save", slow)
        checkpointer = self.keep(path, 10)
        checkpointer.write()
        path.unlink()
        for clock[0], is_there in ((41.0, False), (42.0, True)):
            checkpointer.after_iteration()
            assert path.exists() == is_there

    def test_a_full_disk_costs_a_warning_and_not_the_run(self, path, monkeypatch, caplog):
        def full(*_: object) -> None:
            raise OutputError("Cannot write 'checkpoint': No space left on device.")

        monkeypatch.setattr(Checkpoint, "save", full)
        with caplog.at_level(logging.WARNING, "impasto"):
            self.keep(path, 10).write()
        assert "No space left on device. No checkpoint is kept for now; the run continues." in caplog.text
