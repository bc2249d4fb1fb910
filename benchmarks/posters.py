"""Memory and time by size: ``python -m benchmarks.posters FOLDER [--rows NAME,NAME] [--kill NAME]``.

A picture of many photographs is painted by `compact` with the look `classic`, whole and in tiles, at 1 to 64
megapixels; each run is the command line in a process of its own. What is kept: the memory that was
expected and the peak that the system counted, the time of an iteration of the finest level (the median), and how the
objective fell there; and for tiles, how differences of neighboring pixels across their borders compare with all others,
in the picture and in its content, where some borders of photographs lie on those of tiles.
Needs $IMPASTO_IMAGES_DIR and 8 GB of disk for scratch files. The pictures and the JSON lines of
each run stay in the folder, and rows that are there are not painted again; ``benchmarks/results/posters.json`` and
``docs/images/posters.png`` are made of them. ``--kill`` paints a row once more, kills the process
amid its finest level, resumes, and says whether the file has the same bytes as the one that ran through.
"""

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.harness import environment
from PIL import Image

from impasto.encoders.compact import load_compact
from impasto.objective.tiles import Canvas
from impasto.objective.view import geometry

RESULT = Path(__file__).parent / "results" / "posters.json"
PLOT = Path(__file__).parents[1] / "docs" / "images" / "posters.png"
STYLE = "composition_vii"


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        name: Of the row.
        height: Of the picture, which is half as wide again.
        options: Of the command.
    """

    name: str
    height: int
    options: tuple[str, ...]


AMID = 20.0
"""Seconds after an iteration at which a process is killed: its checkpoint is written, the next one is under way."""

Image.MAX_IMAGE_PIXELS = None

BRIEF = ("--levels=1", "--total-iterations=5")
TILES = ("--tile-edge=768", "--kept-targets=none")
"""Of runs in tiles that are compared with each other."""

CASES = (
    Case("1 MP whole", 816, BRIEF),
    Case("2 MP whole", 1153, BRIEF),
    Case("2 MP in tiles", 1153, (*BRIEF, "--tile-edge=1024")),
    Case("4 MP whole", 1633, BRIEF),
    Case("4 MP in tiles", 1633, (*BRIEF, *TILES)),
    Case("16 MP within 2.5 GB", 3266, ("--total-iterations=240", "--max-memory=2.5GB", "--scratch=scratch")),
    Case(
        "64 MP within 6 GB",
        6532,
        ("--levels=2", "--total-iterations=10", "--max-memory=6GB", "--scratch=scratch", *TILES),
    ),
)


def collage(images: Path, size: tuple[int, int], path: Path) -> Path:
    """A picture of a width and height with the detail of many photographs, each at its own size."""
    if not path.exists():
        photos = sorted(path for path in (images / "content").glob("kodim*.jpg"))
        sheet = Image.new("RGB", size)
        for number in range(math.ceil(size[0] / 768) * math.ceil(size[1] / 512)):
            row, column = divmod(number, math.ceil(size[0] / 768))
            with Image.open(photos[(number * 7 + row) % len(photos)]) as photo:
                place = (column * 768, row * 512)
                sheet.paste(photo.convert("RGB").resize((768, 512)), place)
        sheet.save(path, quality=95)
    return path


def command(case: Case, images: Path, folder: Path, output: str = "") -> list[str]:
    """The command line of a case."""
    content = collage(images, (case.height * 3 // 2, case.height), folder / f"collage-{case.height}.jpg")
    return [
        sys.executable, "-m", "impasto", "stylize", str(content), str(images / "style" / f"{STYLE}.jpg"),
        "--look=classic", "--model=compact", f"--height={case.height}", "--saving-interval=0", "--json", "--overwrite",
        "-o", output or f"{slug(case)}.png", *case.options,
    ]  # fmt: skip


def resumed_has_the_same_bytes(case: Case, images: Path, folder: Path) -> bool:
    """Paints a case again, kills it amid its finest level, resumes it, and compares the files."""
    name = f"{slug(case)}-killed.png"
    line = command(case, images, folder, name)
    with subprocess.Popen(line, stdout=subprocess.PIPE, cwd=folder, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            event = json.loads(text)
            if event["event"] == "progress" and event["level"] == event["num_levels"] and event["losses"]:
                time.sleep(AMID)
                process.kill()
                break
    line.remove("--overwrite")
    subprocess.run([*line, "--resume"], stdout=subprocess.DEVNULL, cwd=folder, check=True)
    return (folder / name).read_bytes() == (folder / f"{slug(case)}.png").read_bytes()


def paint(case: Case, images: Path, folder: Path) -> None:
    """Runs a case; its events go into the folder, the peak as the last of them."""
    start = time.monotonic()
    with (folder / f"{slug(case)}.part").open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command(case, images, folder), stdout=file, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        end = {"event": "process", "exit_code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start}
        file.write(json.dumps(end | {"peak_bytes": usage.ru_maxrss * 1024}) + "\n")
    (folder / f"{slug(case)}.part").rename(folder / f"{slug(case)}.jsonl")


def slug(case: Case) -> str:
    """The row's name as a file's."""
    return case.name.replace(" ", "-").replace(".", "_")


def row_of(case: Case, folder: Path) -> dict[str, Any]:
    """What a run came to, from its events."""
    lines = (folder / f"{slug(case)}.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    start = next(event for event in events if event["event"] == "start")
    process = events[-1]
    steps = [event for event in events if event["event"] == "progress" and event["level"] == event["num_levels"]]
    times = [event["seconds"] for event in steps if event["losses"]]  # the first event is before any iteration
    seconds = [after - before for before, after in itertools.pairwise(times)]
    edge = start["recipe"]["tile_edge"]
    megapixels = case.height * (case.height * 3 // 2) / 1e6
    return {
        "name": case.name,
        "megapixels": round(megapixels, 2),
        "options": case.options,
        "warnings": [event["message"] for event in events if event["event"] == "warning"],
        "exit_code": process["exit_code"],
        "expected_bytes": start["peak_bytes"],
        "peak_bytes": process["peak_bytes"],
        "seconds": round(process["seconds"], 1),
        "iterations_of_finest": len(times),
        "seconds_per_iteration": round(statistics.median(seconds), 3) if seconds else None,
        "seconds_per_iteration_and_megapixel": round(statistics.median(seconds) / megapixels, 4) if seconds else None,
        "objective_at_finest": [event["losses"]["total"] for event in steps if event["losses"]],
        "seam": seam(folder / f"{slug(case)}.png", edge) if edge else None,
        "seam_of_content": seam(folder / f"collage-{case.height}.jpg", edge) if edge else None,
    }


def seam(picture: Path, tile_edge: int) -> float:
    """The 95th percentile of differences of neighboring pixels across borders of tiles, over that of all others."""
    encoder = load_compact()
    with Image.open(picture) as image:
        gray = np.asarray(image.convert("L"), dtype=np.int16)
    layers = {*encoder.content_layers, *encoder.style_layers}
    height, width = gray.shape
    spans = Canvas((height, width)).spans(tile_edge, *geometry(encoder, layers))
    across, elsewhere = [], []
    for axis, along in enumerate(spans):
        steps = np.abs(np.diff(gray, axis=axis))
        borders = [span.start - 1 for span in along[1:]]
        across.append(np.take(steps, borders, axis).ravel())
        elsewhere.append(np.delete(steps, borders, axis).ravel())
    border, other = (np.percentile(np.concatenate(each), 95) for each in (across, elsewhere))
    return round(float(border / other), 3)


def plot(rows: list[dict[str, Any]]) -> None:
    """Memory and time of an iteration over megapixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key, title, unit in (
        (figure.add_subplot(1, 2, 1), "peak_bytes", "peak memory, GB", 1e-9),
        (figure.add_subplot(1, 2, 2), "seconds_per_iteration", "seconds an iteration at full size", 1.0),
    ):
        for is_whole, label, marker in ((True, "whole", "o"), (False, "in tiles", "s")):
            points = [
                (row["megapixels"], row[key] * unit)
                for row in rows
                if row["name"].endswith("whole") == is_whole and row[key]
            ]
            axes.plot(*zip(*sorted(points), strict=True), marker=marker, label=label)
        axes.set(xscale="log", yscale="log", xlabel="megapixels", title=title)
        axes.set_xticks([1, 2, 4, 16, 64], ["1", "2", "4", "16", "64"])
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(PLOT, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", help="names, separated by commas")
    parser.add_argument("--kill", choices=[case.name for case in CASES], help="name of a row that was painted")
    arguments = parser.parse_args()
    if arguments.kill:
        case = next(case for case in CASES if case.name == arguments.kill)
        images = Path(os.environ["IMPASTO_IMAGES_DIR"]).resolve()
        print("the same bytes:", resumed_has_the_same_bytes(case, images, arguments.folder.resolve()))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wanted = arguments.rows.split(",") if arguments.rows else [case.name for case in CASES]
    for case in CASES:
        if case.name in wanted and not (arguments.folder / f"{slug(case)}.jsonl").exists():
            paint(case, Path(os.environ["IMPASTO_IMAGES_DIR"]).resolve(), arguments.folder.resolve())
            print(json.dumps(row_of(case, arguments.folder)), flush=True)
    rows = [row_of(case, arguments.folder) for case in CASES if (arguments.folder / f"{slug(case)}.jsonl").exists()]
    report = {"command": "python -m benchmarks.posters FOLDER", "environment": environment(), "rows": rows}
    RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if len(rows) == len(CASES):
        plot(rows)


if __name__ == "__main__":
    main()
