"""Everything about a GPU in one command of a few minutes: ``python -m benchmarks.gpu [--json FILE]``.

Checks first (the same pictures as on the processor, every precision, resuming, CUDA graphs), then times 800 iterations
of VGG19 at 400×600 against two bounds measured in the same run: the *floor*, the same convolutions forward and with
respect to their input alone, in half precision, in one CUDA graph; and the plain method, eager and in float32.
Needs torch, numpy, pydantic, safetensors and Pillow, and $IMPASTO_WEIGHTS_DIR; pictures are drawn, not read.
"""

import argparse
import importlib.metadata
import json
import math
import sys
import time
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812


def make_importable() -> None:
    """Lets impasto load without what only reads and writes files, and without being installed."""
    for name in ("pyvips", "tomli_w"):
        try:
            __import__(name)
        except ImportError:
            stand_in = types.ModuleType(name)
            stand_in.__getattr__ = lambda attribute: object  # type: ignore[method-assign]
            sys.modules[name] = stand_in
    try:
        importlib.metadata.version("impasto")
    except importlib.metadata.PackageNotFoundError:
        importlib.metadata.version = lambda name: "0"


make_importable()

from impasto import Recipe, stylize  # noqa: E402
from impasto.bench.plain import run_plain  # noqa: E402
from impasto.encoders import build_encoder  # noqa: E402
from impasto.engine import Engine, PlainProblem  # noqa: E402
from impasto.engine.pyramid import Level  # noqa: E402
from impasto.objective import Objective  # noqa: E402

SIZE = (400, 600)
FLOOR_REPEATS = 50
PSNR_OF_PRECISION: Mapping[str, float] = {"float32": 30.0, "tf32": 25.0, "bfloat16": 18.0, "float16": 22.0}
"""Decibels by which a picture of 20 iterations may be off the processor's at least; curvature amplifies rounding."""


def picture(size: tuple[int, int], seed: int) -> torch.Tensor:
    """Smooth random shapes, shape (1, 3, H, W), in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.rand((1, 3, edge, edge), generator=generator), size=size, mode="bicubic")
        for edge in (3, 9, 27, 81)
    ]
    return torch.stack(layers).mean(0).clamp(0, 1)


def objective_on(device: str, precision: str, size: tuple[int, int], **values: Any) -> tuple[Objective, torch.Tensor]:
    """An objective of drawn pictures, and the content image."""
    recipe = Recipe(look="classic", model="vgg19", precision=precision, **values)
    encoder = build_encoder("vgg19", precision=precision, device=device)
    content, style = (picture(size, seed).to(device) for seed in (0, 1))
    return Objective(encoder, content, [style], recipe), content


def check_gradients() -> str:
    """The objective and its gradient are those of the processor."""
    worst = 1.0
    for loss in ("gram", "moments", "neighbors"):
        values = {"style_loss": loss}
        reference, content = objective_on("cpu", "float32", (96, 144), **values)
        other, _ = objective_on("cuda", "float32", (96, 144), **values)
        image = content.lerp(picture((96, 144), 2), 0.5)
        expected, found = reference.evaluate(image), other.evaluate(image.cuda())
        cosine = F.cosine_similarity(expected.gradient.flatten(), found.gradient.cpu().flatten(), dim=0).item()
        assert math.isclose(expected.total.item(), found.total.item(), rel_tol=1e-3), loss
        assert cosine > 0.999, (loss, cosine)
        worst = min(worst, cosine)
    return f"gradient's cosine with the processor's at least {worst:.6f}"


def check_precisions() -> str:
    """A short run in every precision ends near the processor's picture."""
    told = []
    reference = _painted("cpu", "float32")
    for precision, bound in PSNR_OF_PRECISION.items():
        image = _painted("cuda", precision)
        decibels = -10 * math.log10((image - reference).square().mean().item() + 1e-12)
        assert decibels > bound, (precision, decibels)
        told.append(f"{precision} {decibels:.0f} dB")
    return ", ".join(told)


def check_cuda_graph() -> str:
    """A recorded evaluation is the plain one, at other pictures too."""
    objective, content = objective_on("cuda", "float32", (96, 144))
    first = objective.evaluate(content)
    other = picture((96, 144), 3).cuda()
    recorded = objective.evaluate(other)
    plain, _ = objective_on("cuda", "float32", (96, 144))
    with torch.enable_grad():
        image = other.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(plain.parts(image).sum(), image)
    assert torch.allclose(recorded.gradient, gradient, rtol=1e-3, atol=1e-8)
    assert not torch.equal(first.gradient, recorded.gradient)
    return "the same gradient as without a graph"


def check_repeats() -> str:
    """The same run twice gives the same bits."""
    first, second = _painted("cuda", "auto"), _painted("cuda", "auto")
    return "bit-identical" if torch.equal(first, second) else f"differs by {(first - second).abs().max().item():.2g}"


def _painted(device: str, precision: str) -> torch.Tensor:
    from impasto import Execution

    recipe = Recipe(
        look="classic", model="vgg19", height=128, total_iterations=20, accelerate="off", precision=precision
    )
    pictures = [picture((128, 192), seed)[0].permute(1, 2, 0).numpy() for seed in (0, 1)]
    return stylize(*pictures, recipe, execution=Execution(device=device)).image


CHECKS: tuple[Callable[[], str], ...] = (check_gradients, check_precisions, check_cuda_graph, check_repeats)
"""Each raises where it fails, and says in words what it found."""


def floor_seconds() -> float:
    """Seconds of VGG19's convolutions to `relu5_1`, forward and the gradient of their input, in one CUDA graph."""
    encoder = build_encoder("vgg19", precision="bfloat16", device="cuda")
    image = torch.rand((1, 3, *SIZE), device="cuda", requires_grad=True)
    stream = torch.cuda.Stream()

    def once() -> torch.Tensor:
        features = encoder(image, ["relu5_1"])["relu5_1"]
        return torch.autograd.grad(features, image, torch.ones_like(features))[0]

    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(FLOOR_REPEATS):
        graph.replay()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / FLOOR_REPEATS


def run_seconds(precision: str, iterations: int) -> float:
    """Seconds of a run of ours on one level, targets not counted."""
    objective, content = objective_on("cuda", precision, SIZE)
    engine = Engine([Level(SIZE, iterations)], PlainProblem(content, lambda *_: objective), Recipe(look="classic"))
    events = engine.run()
    for _ in range(3):
        next(events)
    torch.cuda.synchronize()
    began = time.perf_counter()
    count = sum(1 for _ in events)
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / count * iterations


def plain_seconds(iterations: int) -> float:
    """Seconds of the plain method, eager, in float32."""
    objective, content = objective_on("cuda", "float32", SIZE)
    stamps = run_plain(objective, content, iterations).stamps
    return (stamps[-1] - stamps[2]) / (len(stamps) - 3) * iterations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    parser.add_argument("--iterations", type=int, default=800)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA device here; nothing was measured.")
        return 1
    report: dict[str, Any] = {
        "command": "python -m benchmarks.gpu", "card": torch.cuda.get_device_name(), "torch": torch.__version__,
        "cuda": torch.version.cuda, "size": SIZE, "iterations": arguments.iterations, "checks": {}, "seconds": {},
    }  # fmt: skip
    for check in CHECKS:
        try:
            report["checks"][check.__name__] = check()
        except Exception:
            report["checks"][check.__name__] = traceback.format_exc()
        print(check.__name__, report["checks"][check.__name__], flush=True)
    measured: dict[str, Callable[[], float]] = {
        "floor": lambda: floor_seconds() * arguments.iterations,
        **{precision: lambda p=precision: run_seconds(p, arguments.iterations) for precision in PSNR_OF_PRECISION},
        "plain": lambda: plain_seconds(100) / 100 * arguments.iterations,
    }
    for name, measure in measured.items():
        torch.cuda.reset_peak_memory_stats()
        try:
            report["seconds"][name] = measure()
            report.setdefault("peak_bytes", {})[name] = torch.cuda.max_memory_allocated()
        except Exception:
            report["seconds"][name] = traceback.format_exc()
        print(name, report["seconds"][name], flush=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
