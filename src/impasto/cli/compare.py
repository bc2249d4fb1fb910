"""``impasto compare``: a mirror of `impasto.runs.compare`."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from impasto.cli.options import INPUT, TypedPath, TypedPaths, build, option_fields, with_options
from impasto.cli.reporters import reporter_for
from impasto.errors import ImpastoError
from impasto.recipe import RunOptions
from impasto.recipe.messages import printable, shortened

if TYPE_CHECKING:
    from impasto.runs.sweep_results import Results

FOLDER = Path("comparison")
"""Where the files go, if nothing is said."""

_OPTIONS = ("overwrite", "quiet", "json_events")
_MAX_CELL = 28
"""Characters of a cell of the printed table."""


@with_options(RunOptions, leave_out=set(option_fields(RunOptions)) - set(_OPTIONS))
def compare(
    *pictures: Annotated[
        TypedPath, Parameter(name="PICTURES", group=INPUT, help="Two pictures or more, painted by Impasto or not.")
    ],
    content_image_path: Annotated[
        TypedPath | None,
        Parameter(group=INPUT, help="The content to measure by, instead of the one that a picture names."),
    ] = None,
    style_image_path: Annotated[
        TypedPaths | None,
        Parameter(group=INPUT, negative=(), help="A style to measure by, likewise; once for each."),
    ] = None,
    output_file: Annotated[
        TypedPath | None,
        Parameter(
            name=["--output-file", "-o"],
            group=INPUT,
            help=f"The folder for sheet, tables and report. Default: {FOLDER}.",
        ),
    ] = None,
    **values: Any,
) -> int:
    """Show pictures side by side, with metrics and the difference of the recipes that they carry."""
    options = build(RunOptions, values)
    folder = output_file or FOLDER
    with reporter_for(options) as reporter:
        try:
            from impasto.runs.compare import compare as compare_pictures
            from impasto.runs.compare import write_comparison

            results = compare_pictures(
                pictures, content_image_path, style_image_path or [], command=shlex.join(["impasto", *sys.argv[1:]])
            )
            write_comparison(folder, results, overwrite=options.overwrite)
        except ImpastoError as error:
            reporter.error(str(error))
            return error.exit_code
        if options.json_events:
            event = {"event": "comparison", "path": str(folder), "rows": results.rows()}
            reporter.text(json.dumps(event) + "\n")
        elif not options.quiet:
            reporter.text(_table(results) + f"See {folder / 'report.html'}.\n")
    return 0


def _table(results: "Results") -> str:
    """A column for each picture, a line for what differs or was measured."""
    rows = results.rows()
    names = [name for name in rows[0] if name not in ("cell", "state", "picture", "error")]
    lines = [["", *(str(cell.name) for cell in results.cells)]]
    lines += [
        [name.replace("_", " "), *(_shown(row[name]) for row in rows)]
        for name in names
        if any(row[name] is not None for row in rows)
    ]
    lines = [[shortened(text, _MAX_CELL) for text in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        printable("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()) + "\n"
        for line in lines
    )


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
