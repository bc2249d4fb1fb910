"""Memory: expected before the run, kept within a limit, and what happens when it runs out."""

import itertools
import platform
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.devices import allowed_bytes, is_out_of_memory, retain_freed_pages
from impasto.engine import Engine, PlainProblem
from impasto.engine.pyramid import build_pyramid
from impasto.errors import OutOfMemoryError, RecipeError
from impasto.objective.objective import Objective
from impasto.optimizers.lbfgs import LEAST_HISTORY
from impasto.pipeline import Execution, stylize
from impasto.pipeline.estimate import estimate
from impasto.pipeline.memory import Sizes, peak_bytes
from impasto.pipeline.memory_plan import EDGES, KEPT, plan_memory, plan_within, slowdown_of
from impasto.recipe import Recipe, RunOptions, StopReason, size_in_words
from tests.tiny import TinyEncoder

SIZES = Sizes((1000, 1500), [(1000, 1500), (600, 600)], [(1000, 1000)])


class NeedyEncoder(TinyEncoder):
    """Runs out of memory whenever `has_too_little` says so."""

    def __init__(self, has_too_little: Callable[["NeedyEncoder"], bool], error: Exception) -> None:
        super().__init__()
        self.has_too_little, self.error, self.num_calls = has_too_little, error, 0

    def iter_features(self, image: Tensor, layers: Any) -> Iterator[tuple[str, Tensor]]:
        self.num_calls += 1
        if self.has_too_little(self):
            raise self.error
        return super().iter_features(image, layers)


@pytest.fixture(autouse=True)
def allocator_put_back() -> Iterator[None]:
    """The policy of low memory would stay for all later tests, and slow them down."""
    yield
    retain_freed_pages()


def engine_with(encoder: TinyEncoder, recipe: Recipe, save_memory: Callable[[], str] = lambda: "") -> Engine:
    content, style = torch.rand(1, 3, 24, 32), torch.rand(1, 3, 24, 24)
    (level,) = build_pyramid((24, 32), recipe)

    class Problem(PlainProblem):
        def save_memory(self) -> str:
            return save_memory()

    problem = Problem(content, lambda _, now, __: Objective(encoder, content, [style], now))
    return Engine([level], problem, recipe)


def full(encoder: NeedyEncoder) -> bool:
    return not encoder.is_low_memory and encoder.num_calls > 4


@pytest.mark.parametrize(
    ("written", "expected"), [("2GB", 2 * 10**9), ("800 MB", 8 * 10**8), ("1.5g", 15 * 10**8), ("512MiB", 2**29)]
)
def test_a_limit_is_written_with_its_unit(written: str, expected: int) -> None:
    assert RunOptions(max_memory=written).max_memory == expected


@pytest.mark.parametrize("written", ["2XB", "much", "-1GB", "0", ""])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(RecipeError, match="must be a size in bytes, as 2GB"):
        RunOptions(max_memory=written)


def test_sizes_are_rounded_up_in_words() -> None:
    assert [size_in_words(count) for count in (640_100_000, 1_410_000_000)] == ["641 MB", "1.5 GB"]


def test_more_pixels_more_history_and_float32_take_more() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50)
    usual = peak_bytes([encoder], recipe, SIZES)
    assert peak_bytes([encoder], recipe.replace(history_size=20), SIZES) > usual
    assert peak_bytes([encoder], recipe.replace(precision="bfloat16"), SIZES) < usual
    assert peak_bytes([encoder], recipe.replace(optimizer="adam"), SIZES) < usual
    assert peak_bytes([encoder], recipe, SIZES, is_low_memory=True) < usual
    smaller = Sizes((500, 750), SIZES.inputs, [(500, 500)])
    assert peak_bytes([encoder], recipe, smaller) < usual


def test_a_short_run_is_not_charged_for_a_history_that_it_cannot_fill() -> None:
    short, long = (
        peak_bytes([TinyEncoder()], Recipe(look="classic", total_iterations=count), SIZES) for count in (2, 50)
    )
    assert short < long


def test_without_a_limit_nothing_is_lowered() -> None:
    plan = plan_memory([TinyEncoder()], Recipe(look="classic"), SIZES)
    assert (plan.lowered, plan.is_low_memory, plan.recipe) == ((), False, Recipe(look="classic"))


def leanest_bytes(encoder: TinyEncoder, recipe: Recipe) -> int:
    """Of the smallest tiles, with nothing kept."""
    lean = recipe.replace(history_size=LEAST_HISTORY, tile_edge=EDGES[-1], kept_targets="none")
    return peak_bytes([encoder], lean, SIZES, is_low_memory=True)


def test_activations_go_first_then_tiles_then_history() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50)
    usual = peak_bytes([encoder], recipe, SIZES)
    lean = peak_bytes([encoder], recipe, SIZES, is_low_memory=True)
    first = plan_memory([encoder], recipe, SIZES, usual - 1)
    assert (first.is_low_memory, first.recipe, len(first.lowered)) == (True, recipe, 1)
    second = plan_memory([encoder], recipe, SIZES, lean - 1)
    # Tiles whose activations stay as they are are faster than tiles with both savings.
    assert (second.is_low_memory, second.recipe.history_size, len(second.lowered)) == (False, recipe.history_size, 1)
    assert second.recipe.tile_edge is not None
    assert second.peak_bytes < lean
    assert 1 < second.slowdown < 2
    third = plan_memory([encoder], recipe, SIZES, leanest_bytes(encoder, recipe))
    assert third.recipe.history_size == LEAST_HISTORY
    assert [third.peak_bytes < second.peak_bytes, third.slowdown > second.slowdown] == [True, True]


def test_of_the_plans_that_fit_the_fastest_is_taken() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50)
    limit = (leanest_bytes(encoder, recipe) + peak_bytes([encoder], recipe, SIZES, is_low_memory=True)) // 2
    plan = plan_memory([encoder], recipe, SIZES, limit)
    assert plan.peak_bytes <= limit
    for edge, kept in itertools.product(EDGES, KEPT):
        other = recipe.replace(tile_edge=edge, kept_targets=kept)
        for is_low_memory in (False, True):
            if peak_bytes([encoder], other, SIZES, is_low_memory=is_low_memory) <= limit:
                assert plan.slowdown <= slowdown_of(encoder, other, SIZES.output, is_low_memory=is_low_memory)


def test_an_edge_that_the_recipe_names_stays() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50, tile_edge=300)
    plan = plan_memory([encoder], recipe, SIZES, leanest_bytes(encoder, recipe), is_strict=False)
    assert plan.recipe.tile_edge == 300


def test_what_cannot_fit_is_refused_with_the_height_that_would() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50)
    too_little = leanest_bytes(encoder, recipe) * 19 // 20
    with pytest.raises(
        OutOfMemoryError, match=r"with all memory savings on, and --max-memory is .*--height \d+ would fit"
    ) as refusal:
        plan_memory([encoder], recipe, SIZES, too_little)
    height = int(str(refusal.value).split("--height ")[1].split()[0])
    smaller = Sizes((height, height * 3 // 2), SIZES.inputs, [(height, height)])
    assert plan_memory([encoder], recipe, smaller, too_little).is_low_memory
    with pytest.raises(OutOfMemoryError, match=r"Not even a small picture fits; allow at least \d"):
        plan_memory([encoder], recipe, SIZES, 1000)
    assert plan_memory([encoder], recipe, SIZES, 1000, is_strict=False).recipe.history_size == LEAST_HISTORY


def test_a_network_that_cannot_say_how_far_it_looks_is_refused_above_the_size_that_fits_whole() -> None:
    encoder, recipe = TinyEncoder(), Recipe(look="classic", total_iterations=50)
    encoder.layers = {name: replace(layer, reach=None) for name, layer in encoder.layers.items()}
    whole = peak_bytes([encoder], recipe.replace(history_size=LEAST_HISTORY), SIZES, is_low_memory=True)
    assert plan_memory([encoder], recipe, SIZES, whole).recipe.tile_edge is None
    with pytest.raises(OutOfMemoryError, match="would fit"):
        plan_memory([encoder], recipe, SIZES, whole - 1)
    image = torch.rand(1, 3, 96, 128)
    with pytest.raises(RecipeError, match=r"cannot be evaluated in tiles: how far its layer '.*' looks is unknown"):
        Objective(encoder, image, [image], recipe.replace(tile_edge=64))


def test_a_run_fits_into_what_is_free_unless_it_cannot() -> None:
    free = allowed_bytes(torch.device("cpu"))
    assert free is None or free > 10_000_000
    recipe = Recipe(look="classic", total_iterations=50)
    plan = plan_within([TinyEncoder()], recipe, Sizes((100_000, 100_000), [], []), torch.device("cpu"), None)
    assert free is None or plan.recipe.tile_edge is not None


def test_a_picture_in_tiles_is_said_to_do_without_the_correction() -> None:
    recipe = Recipe(look="classic", model="compact", finish="vgg19:8", tile_edge=64)
    cpu, encoders = torch.device("cpu"), [TinyEncoder(), TinyEncoder()]
    sentence = "In tiles, compact is not corrected by the encoder that finishes."
    assert sentence in plan_within(encoders, recipe, SIZES, cpu, None).lowered
    for other in (recipe.replace(tile_edge=None), recipe.replace(finish=None)):
        assert sentence not in plan_within(encoders, other, SIZES, cpu, 10**12).lowered


def test_a_lowered_history_is_in_the_recipe_and_the_plan_is_told(caplog: pytest.LogCaptureFixture) -> None:
    content, style = torch.rand(3, 64, 96), torch.rand(3, 64, 64)
    plans: list[Any] = []
    encoder = TinyEncoder()
    encoder.is_low_memory = True
    plain = stylize(content, style, height=64, total_iterations=12, encoder=encoder, on_plan=plans.append)
    result = stylize(
        content, style, height=64, total_iterations=12, encoder=TinyEncoder(),
        execution=Execution(max_memory=plans[0].peak_bytes - 1), on_plan=plans.append,
    )  # fmt: skip
    assert (plain.recipe.history_size, result.recipe.history_size) == (5, LEAST_HISTORY)
    assert plans[1].recipe == result.recipe
    assert plans[1].is_low_memory
    assert "To save memory, history_size is 3 instead of 5" in caplog.text


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")],
)  # fmt: skip
def test_a_run_goes_on_leaner_when_memory_runs_out(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    encoder = NeedyEncoder(full, error)
    content, style = torch.rand(3, 24, 32), torch.rand(3, 24, 24)
    result = stylize(content, style, look="classic", height=24, levels=1, total_iterations=9, encoder=encoder)
    plain = stylize(content, style, look="classic", height=24, levels=1, total_iterations=9, encoder=TinyEncoder())
    assert result.iterations == 9
    assert result.image.equal(plain.image)
    assert "Memory ran out after 2 iterations; activations are kept as bytes" in caplog.text


def test_the_history_is_given_up_when_activations_cannot_be() -> None:
    encoder = NeedyEncoder(lambda encoder: encoder.num_calls == 10, MemoryError())
    engine = engine_with(encoder, Recipe(look="classic", total_iterations=15, levels=1))
    events = list(engine.run())
    assert engine.iteration == 15
    assert len(engine.state()["optimizer"]["steps"]) <= LEAST_HISTORY
    assert events[-1].losses["total"] < events[1].losses["total"]


def test_the_best_picture_is_kept_when_nothing_is_left_to_lower() -> None:
    encoder = NeedyEncoder(lambda encoder: encoder.num_calls > 8, MemoryError())
    engine = engine_with(encoder, Recipe(look="classic", total_iterations=15, levels=1, optimizer="adam"))
    list(engine.run())
    assert 0 < engine.iteration < 15
    assert engine.stop_reason is StopReason.OUT_OF_MEMORY
    assert engine.image.isfinite().all()


def test_a_run_that_cannot_even_begin_says_so_in_a_sentence() -> None:
    engine = engine_with(
        NeedyEncoder(lambda _: True, MemoryError()), Recipe(look="classic", levels=1, optimizer="adam")
    )
    with pytest.raises(OutOfMemoryError, match=r"^Memory ran out at 32×24, with all memory savings on"):
        list(engine.run())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("The size of tensor a must match"))
    with pytest.raises(RuntimeError, match=r"^sizes$"):
        list(engine_with(NeedyEncoder(lambda _: True, RuntimeError("sizes")), Recipe(look="classic", levels=1)).run())


STARVED = """
import logging, re, resource, sys
import torch
from pathlib import Path
from impasto.pipeline.api import stylize
from tests.tiny import TinyEncoder

logging.basicConfig(level=logging.WARNING)
torch.set_num_threads(1)
content, style = torch.rand(3, 600, 900), torch.rand(3, 300, 300)
encoder = TinyEncoder(widths=(32, 64, 64))

def starve(event):
    if event.iteration == 2:
        virtual = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (virtual + 60_000_000,) * 2)

result = stylize(content, style, height=600, levels=1, total_iterations=4, optimizer="adam", encoder=encoder,
                 on_progress=starve)
print(f"low memory: {encoder.is_low_memory}")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS and /proc are Linux's")
def test_a_process_that_is_refused_memory_ends_its_run_well() -> None:
    run = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "Memory ran out after 2 iterations" in run.stderr
    assert run.stdout == "low memory: True\n"


def test_losses_that_count_take_more() -> None:
    gram, sliced = (
        peak_bytes([TinyEncoder()], Recipe(look="classic", style_loss=name), SIZES) for name in ("gram", "sliced")
    )
    assert gram < sliced


def test_no_weights_are_fetched_for_an_estimate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPASTO_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("IMPASTO_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("impasto.encoders.build.find_weights", lambda *_, **__: pytest.fail("looked for weights"))
    plan = estimate(Recipe(look="classic", model="vgg16", height=64), (64, 64), [(64, 64)], "cpu")
    assert plan.memory.peak_bytes > 300_000_000
    assert plan.seconds > 0


RESIDENT_MB = """
    def resident_mb():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is told nothing where it is not glibc's")
@pytest.mark.parametrize(("way", "is_kept"), [("retain_freed_pages", True), ("release_freed_pages", False)])
def test_freed_memory_is_kept_until_it_is_given_back(way: str, is_kept: bool) -> None:
    program = f"""
    import torch
    from impasto.devices import trim_freed_pages, {way}
    {RESIDENT_MB}
    {way}()
    before = resident_mb()
    blocks = [torch.ones(2_500_000) for _ in range(20)]  # of 10 MB
    del blocks
    freed = resident_mb() - before
    trim_freed_pages()
    print(freed, resident_mb() - before)
    """
    freed, given_back = printed(program)
    assert (freed > 150) if is_kept else (freed < 20)
    assert given_back < 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is told nothing where it is not glibc's")
def test_what_is_made_once_leaves_no_holes() -> None:
    program = f"""
    import torch
    from impasto.devices import mmap_temporaries, retain_freed_pages
    {RESIDENT_MB}
    def left_behind():
        before = resident_mb()
        blocks = [torch.ones(50_000) for _ in range(500)]  # of 0.2 MB
        left = blocks[::10]
        del blocks
        return resident_mb() - before, left

    retain_freed_pages()
    with mmap_temporaries(retain_freed_pages):
        once, left_once = left_behind()
    otherwise, left = left_behind()
    print(once, otherwise)
    """
    once, otherwise = printed(program)
    assert once < 20
    assert otherwise > 90


def printed(program: str) -> list[float]:
    """The numbers that a program prints, in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
