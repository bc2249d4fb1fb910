"""Blind comparison of looks, and of other programs. ``python -m benchmarks.preference paint|sheets|table FOLDER``.

``paint`` paints each pair with each look into ``FOLDER/PAIR/LOOK.png`` (needs $IMPASTO_IMAGES_DIR); pictures of other
programs may be laid beside them, as ``FOLDER/PAIR/NAME.png``. ``sheets`` writes ``FOLDER/sheets/PAIR.png``: photograph,
painting, and the candidates in random order under letters alone; which letter is which goes to ``FOLDER/key.json``,
which no judge may see. ``table`` reads ``FOLDER/rankings.json``, a list of
``{"judge": "who", "kind": "person" | "vision model", "pair": "PAIR", "ranking": ["C", "A", …]}``, best first, and
prints who was preferred to whom; ``--out`` keeps all of it as JSON.
"""

import argparse
import itertools
import json
import os
import random
import string
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import environment
from PIL import Image, ImageDraw

from impasto import save_picture, stylize
from impasto.encoders import build_encoder
from impasto.recipe import LOOKS, Recipe

PAIRS = (
    ("kodim19", "shipwreck"),
    ("kodim20", "starry_night"),
    ("kodim21", "shipwreck"),
    ("kodim22", "starry_night"),
    ("kodim23", "delaunay_portrait_1906"),
    ("kodim24", "starry_night"),
    ("kodim17", "wave"),
    ("kodim03", "mosaic_ducks_massimo"),
)
"""Contents and styles on which no constant was chosen."""

EXTRA = {"classic-25": {"look": "classic", "strength": 25}}
"""Candidates besides the looks, with their values of the recipe."""

EDGE = 600
"""Longest edge of a picture on a sheet, in pixels."""


def candidates() -> Mapping[str, Mapping[str, Any]]:
    """The values of the recipe of each candidate, by its name."""
    return {name: {"look": name} for name in LOOKS} | EXTRA


def paint(folder: Path, names: Sequence[str], model: str, size: int, iterations: int | None) -> None:
    """Paints what is not there yet."""
    images = Path(os.environ["IMPASTO_IMAGES_DIR"])
    seconds: dict[str, float] = {}
    for content, style in PAIRS:
        for name in names:
            file = folder / f"{content}-{style}" / f"{name}.png"
            if file.exists():
                continue
            recipe = Recipe(**candidates()[name], model=model, size=size)
            if iterations and recipe.style_loss != "neighbors":
                recipe = recipe.replace(total_iterations=iterations)
            encoder = build_encoder(model, padding=recipe.padding)
            start = time.perf_counter()
            paths = images / "content" / f"{content}.jpg", images / "style" / f"{style}.jpg"
            result = stylize(*paths, recipe, encoder=encoder)
            seconds[f"{content}-{style}/{name}"] = time.perf_counter() - start
            file.parent.mkdir(parents=True, exist_ok=True)
            save_picture(result.image, file, recipe_json=result.provenance())
            print(f"{file}: {seconds[f'{content}-{style}/{name}']:.0f} s", flush=True)


def draw_sheets(folder: Path, seed: int, *, is_reversed: bool = False) -> None:
    """One anonymous sheet for each pair, and the key; the candidates in the order of the seed, or in reverse."""
    images, chance = Path(os.environ["IMPASTO_IMAGES_DIR"]), random.Random(seed)
    key: dict[str, dict[str, str]] = {}
    (folder / "sheets").mkdir(exist_ok=True)
    for pair in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "sheets"):
        files = sorted(pair.glob("*.png"))
        chance.shuffle(files)
        files = files[::-1] if is_reversed else files
        key[pair.name] = {letter: file.stem for letter, file in zip(string.ascii_uppercase, files, strict=False)}
        content, _, style = pair.name.partition("-")
        sources = [images / "content" / f"{content}.jpg", images / "style" / f"{style}.jpg"]
        _sheet([*sources, *files], ["photograph", "painting", *key[pair.name]]).save(
            folder / "sheets" / f"{pair.name}.png"
        )
    (folder / "key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")


def _sheet(files: Sequence[Path], titles: Sequence[str]) -> Image.Image:
    pictures = [Image.open(file).convert("RGB") for file in files]
    edge = min(EDGE, max(pictures[-1].size))
    for picture in pictures:
        picture.thumbnail((edge, edge))
    columns, line = 3, 20
    rows, height = -(-len(pictures) // columns), line + max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (columns * edge, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x, y = index % columns * edge, index // columns * height
        draw.text((x + 4, y + 4), title, fill="black")
        sheet.paste(picture, (x, y + line))
    return sheet


def tabulate(key: Mapping[str, Mapping[str, str]], rankings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rankings by letters as rankings by names, with mean places, first places, and who was preferred to whom.

    Raises:
        ValueError: If a ranking does not name each letter of its sheet once.
    """
    rows, places = [], defaultdict(list)
    wins: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for ranking in rankings:
        letters = key[ranking["pair"]]
        if sorted(ranking["ranking"]) != sorted(letters):
            raise ValueError(f"{ranking['judge']} on {ranking['pair']}: rank each of {', '.join(letters)} once")
        names = [letters[letter] for letter in ranking["ranking"]]
        rows.append({**ranking, "ranking": names})
        for place, name in enumerate(names, 1):
            places[name].append(place)
        for better, worse in itertools.combinations(names, 2):
            wins[better][worse] += 1
    return {
        "judges": sorted({f"{row['judge']} ({row['kind']})" for row in rows}),
        "mean_place": {name: sum(found) / len(found) for name, found in sorted(places.items())},
        "first": {name: found.count(1) for name, found in sorted(places.items())},
        "wins": {name: dict(others) for name, others in sorted(wins.items())},
        "rankings": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("paint", "sheets", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", nargs="+", choices=tuple(candidates()), default=tuple(candidates()))
    parser.add_argument("--model", default="compact")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--iterations", type=int, default=None, help="of the looks without neighbors")
    parser.add_argument("--seed", type=int, default=0, help="of the letters")
    parser.add_argument("--reverse", action="store_true", help="of the letters, for another judge: some prefer a place")
    parser.add_argument("--out", type=Path, default=None, help="where the table is kept as JSON")
    arguments = parser.parse_args()
    if arguments.step == "paint":
        paint(arguments.folder, arguments.candidates, arguments.model, arguments.size, arguments.iterations)
    elif arguments.step == "sheets":
        draw_sheets(arguments.folder, arguments.seed, is_reversed=arguments.reverse)
    else:
        key, rankings = (
            json.loads((arguments.folder / name).read_text("utf-8")) for name in ("key.json", "rankings.json")
        )
        table = tabulate(key, rankings)
        print(json.dumps({name: table[name] for name in ("judges", "mean_place", "first", "wins")}, indent=1))
        if arguments.out:
            report = {"command": "python -m benchmarks.preference table FOLDER", "environment": environment(), **table}
            arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
