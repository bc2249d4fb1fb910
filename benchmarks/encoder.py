"""Encoders side by side: ``python -m benchmarks.encoder [--iterations 60]``.

Held-out pairs, one recipe, judged by the full VGG19 on the written 8-bit picture: the closed form, the compressed
encoder of Collaborative Distillation, the bundled compact encoder, and VGG19 itself. Then, each in a process of its
own, seconds an iteration and peak memory above the import. JSON and contact sheet go to ``benchmarks/results/``.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from torch import Tensor

from impasto import Recipe, stylize
from impasto.encoders import Encoder, build_encoder, vgg
from impasto.encoders.compact import Compact, load_compact
from impasto.encoders.vgg import MEAN, STD
from impasto.images import as_picture, resize, save_picture
from impasto.pipeline.level_images import style_size

RESULTS = Path(__file__).with_name("results")
CLOSED_FORM = Path("work/closed_form.safetensors")
"""Of `training.closed_form --shapes 16,16,48,48,80,80,80,80,192,192,208,256,384`, all layers narrow: where it began."""
PICTURES = Path("work/bench_encoder")  # written, then judged
STYLE_LAYERS = tuple(vgg.STYLE_LAYERS["vgg19"])
PAIRS = (
    ("kodim19", "shipwreck"),
    ("kodim20", "starry_night"),
    ("kodim21", "starry_night"),
    ("kodim22", "shipwreck"),
    ("kodim23", "starry_night"),
    ("kodim24", "shipwreck"),
)
ENCODERS = ("closed_form", "small16x", "compact", "vgg19")
HEIGHT = 224


def small16x() -> Compact:
    """The compressed encoder of Wang et al., Collaborative Distillation (2020), arXiv:2003.08436.

    A quarter of VGG19's channels, reflection padding; its 1×1 ``aux`` layers are projections to VGG19's channels. Its
    normalization (``conv0``) is folded into the first convolution, in exchange for the one that `VGG` does.
    """
    weights = {
        name: x.float() for name, x in load_file(_folder("WEIGHTS") / "vgg19_small16x_encoder.safetensors").items()
    }
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    mixing = weights["conv0.weight"][:, :, 0, 0]
    offset = weights["conv0.bias"] + mixing @ mean
    state: dict[str, Tensor] = {}
    for name in [
        n.removesuffix(".weight") for n in weights if n.endswith(".weight") and n[4] != "0" and "aux" not in n
    ]:
        layer = f"relu{name[4]}_{name[5]}"
        state[f"{layer}.weight"], state[f"{layer}.bias"] = weights[f"{name}.weight"], weights[f"{name}.bias"]
        channels = len(weights[f"{name}.bias"])
        if f"{name}_aux.weight" in weights:
            columns = [weights[f"{name}_aux.weight"][:, :, 0, 0], weights[f"{name}_aux.bias"][:, None]]
        else:
            columns = [torch.eye(channels), torch.zeros(channels, 1)]
        state[f"{layer}.head"] = torch.cat(columns, 1)
    first = state["relu1_1.weight"]
    state["relu1_1.bias"] = state["relu1_1.bias"] + torch.einsum("oihw,i->o", first, offset)
    state["relu1_1.weight"] = torch.einsum("oihw,ij->ojhw", first, mixing * std)
    return Compact(state, padding="reflect")


def build(name: str) -> Encoder:
    """One of `ENCODERS`."""
    if name == "small16x":
        return small16x()
    if name == "closed_form":
        return load_compact(path=CLOSED_FORM, sha256=None)
    return build_encoder(name)


def _folder(kind: str) -> Path:
    return Path(os.environ[f"IMPASTO_{kind}_DIR"])


def paths_of(pair: tuple[str, str]) -> tuple[Path, Path]:
    return _folder("IMAGES") / "content" / f"{pair[0]}.jpg", _folder("IMAGES") / "style" / f"{pair[1]}.jpg"


@torch.inference_mode()
def style_distances(judge: Encoder, picture: Tensor, style: Path) -> dict[str, float]:
    """‖G − G_s‖² / ‖G_s‖² of VGG19 by layer, the style at the picture's height."""
    target = as_picture(style)
    small = resize(target.pixels, style_size(target.size, (picture.shape[2], picture.shape[3])))
    ours, theirs = judge(picture, STYLE_LAYERS), judge(small, STYLE_LAYERS)
    distances = {}
    for layer in STYLE_LAYERS:
        of_picture, of_style = (
            x[0].flatten(1) @ x[0].flatten(1).T / x[0, 0].numel() for x in (ours[layer], theirs[layer])
        )
        distances[layer] = float((of_picture - of_style).square().sum() / of_style.square().sum())
    return distances


def paint(name: str, pair: tuple[str, str], recipe: Recipe, judge: Encoder) -> dict[str, Any]:
    """Paints a pair, writes the picture, and judges what was written."""
    content, style = paths_of(pair)
    result = stylize(content, style, recipe, encoder=build(name))
    path = PICTURES / f"{'-'.join(pair)}-{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(result.image, path)
    return judged(name, pair, judge)


def judged(name: str, pair: tuple[str, str], judge: Encoder) -> dict[str, Any]:
    """What VGG19 says of the written picture of a pair."""
    path, style = PICTURES / f"{'-'.join(pair)}-{name}.png", paths_of(pair)[1]
    distances = style_distances(judge, as_picture(path).pixels, style)
    row = {
        "encoder": name,
        "pair": list(pair),
        "style_distance": statistics.mean(distances.values()),
        "layers": distances,
    }
    print(f"{'-'.join(pair):22} {name:12} {row['style_distance']:.4f}", flush=True)
    return row


def peak_mb() -> float:
    """Peak memory of this process by the kernel's count (Linux); getrusage would count the parent's too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(name: str) -> dict[str, float]:
    """Time an iteration and peak memory above the import, in this process."""
    imported = peak_mb()
    moments: list[tuple[float, float]] = []
    recipe = Recipe(look="classic", height=HEIGHT, total_iterations=16, levels=1)
    stylize(
        *paths_of(PAIRS[1]),  # landscape, as most are
        recipe,
        encoder=build(name),
        on_progress=lambda progress: moments.append((progress.seconds, time.process_time())),
    )
    laps = [(wall - before, cpu - cpu_before) for (before, cpu_before), (wall, cpu) in pairwise(moments[3:])]
    quarters = statistics.quantiles([wall for wall, _ in laps], n=4)
    return {
        "seconds_median": quarters[1],
        "seconds_iqr": quarters[2] - quarters[0],
        "cpu_seconds_median": statistics.median(cpu for _, cpu in laps),
        "peak_mb_above_import": peak_mb() - imported,
    }


def measure_apart(name: str, rounds: int) -> dict[str, float]:
    """The time of the least disturbed of some measurements, each in a process of its own, and their median memory."""
    command = [sys.executable, "-m", "benchmarks.encoder", "--measure", name]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(rounds)
    ]
    memory = statistics.median(run["peak_mb_above_import"] for run in runs)
    return min(runs, key=lambda run: run["seconds_median"]) | {"peak_mb_above_import": memory}


def contact_sheet(pairs: list[tuple[str, str]], path: Path) -> None:
    """A row for each pair: content, style, and each encoder's picture."""
    size, header = 224, 18
    columns = ("content", "style", *ENCODERS)
    sheet = Image.new("RGB", (len(columns) * size, header + len(pairs) * size), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(columns):
        draw.text((column * size + 4, 3), title, fill="black")
        for row, pair in enumerate(pairs):
            source = dict(zip(("content", "style"), paths_of(pair), strict=True)).get(
                title, PICTURES / f"{'-'.join(pair)}-{title}.png"
            )
            with Image.open(source) as opened:
                image = opened.convert("RGB")
            image.thumbnail((size - 4, size - 4) if title == "style" else (10_000, size - 4))
            box = image.crop((0, 0, min(image.width, size - 4), image.height))
            sheet.paste(box, (column * size + 2, header + row * size + 2))
    sheet.save(path, quality=88)


def summary(rows: list[dict[str, Any]], costs: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Means over the pairs, and the ratios that are promised."""
    means = {
        name: float(np.mean([row["style_distance"] for row in rows if row["encoder"] == name])) for name in ENCODERS
    }
    return {
        "style_distance_mean": means,
        "compact_over_vgg19": means["compact"] / means["vgg19"],
        "compact_over_small16x": means["compact"] / means["small16x"],
        "compact_over_closed_form": means["compact"] / means["closed_form"],
        "time_compact_over_vgg19": costs["compact"]["seconds_median"] / costs["vgg19"]["seconds_median"],
        "cpu_time_compact_over_vgg19": costs["compact"]["cpu_seconds_median"] / costs["vgg19"]["cpu_seconds_median"],
        "memory_compact_over_vgg19": costs["compact"]["peak_mb_above_import"] / costs["vgg19"]["peak_mb_above_import"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="only the first so many")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of time and memory of each")
    parser.add_argument("--painted", action="store_true", help="judge the pictures of the last run, measure costs anew")
    parser.add_argument("--measure", choices=ENCODERS, help="only print this encoder's time and memory")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    recipe = Recipe(look="classic", height=HEIGHT, total_iterations=arguments.iterations, levels=1)
    judge = build("vgg19")
    pairs = list(PAIRS[: arguments.pairs])
    rows = [
        judged(name, pair, judge) if arguments.painted else paint(name, pair, recipe, judge)
        for pair in pairs
        for name in ENCODERS
    ]
    publish(rows, pairs, recipe, {name: measure_apart(name, arguments.rounds) for name in ENCODERS})


def publish(rows: list[dict[str, Any]], pairs: list[tuple[str, str]], recipe: Recipe, costs: dict[str, Any]) -> None:
    """Writes JSON and contact sheet, and prints the summary."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    result = {
        "summary": summary(rows, costs),
        "costs": costs,
        "rows": rows,
        "recipe": recipe.model_dump(mode="json"),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "commit": commit},
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        "weights_sha256": {name: build(name).weights_sha256 for name in ("closed_form", "compact", "vgg19")},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "encoder.json").write_text(json.dumps(result, indent=2) + "\n")
    contact_sheet(pairs, RESULTS / "encoder.jpg")
    print(json.dumps(result["summary"], indent=2))


if __name__ == "__main__":
    main()
