"""``impasto submit``: a picture painted by a service."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from impasto.cli.following import SERVICE, Url, connected, follow, report
from impasto.cli.options import INPUT, TypedPath, TypedPaths, build, with_options
from impasto.cli.reporters import reporter_for
from impasto.errors import UserError
from impasto.recipe import Recipe, RunOptions


@with_options(Recipe)
def submit(
    *pictures: Annotated[
        str,
        Parameter(
            name="PICTURES",
            group=INPUT,
            help="CONTENT and one STYLE or several: files, or ids of pictures that the service has, as example:oil.",
        ),
    ],
    recipe: Annotated[
        TypedPath | None,
        Parameter(group=INPUT, help="A recipe as .toml or .json; options given here override its values."),
    ] = None,
    content_mask: Annotated[
        TypedPaths | None, Parameter(group=INPUT, negative=(), help="Where a style goes; once for each style.")
    ] = None,
    style_mask: Annotated[
        TypedPaths | None,
        Parameter(group=INPUT, negative=(), help="Which part of a style counts; once for each style."),
    ] = None,
    lock_mask: Annotated[TypedPath | None, Parameter(group=INPUT, help="Where the content stays as it is.")] = None,
    url: Url = None,
    name: Annotated[str | None, Parameter(group=SERVICE, help="Of the job, for people.")] = None,
    priority: Annotated[int | None, Parameter(group=SERVICE, help="0 to 9; 9 goes first.")] = None,
    saving_interval: Annotated[
        int | None, Parameter(group=SERVICE, help="Keep the picture in between every so many iterations.")
    ] = None,
    output_file: Annotated[
        TypedPath | None,
        Parameter(name=["--output-file", "-o"], group=SERVICE, help="Wait for the picture and write it here."),
    ] = None,
    quiet: Annotated[bool, Parameter(group=SERVICE, negative=(), help="Print nothing but the job's id.")] = False,
    **values: Any,
) -> int:
    """Let a service paint a picture; prints the job's id, or waits for the picture with -o."""
    if len(pictures) < 2:
        raise UserError(
            f"No {'style' if pictures else 'content'} picture is given; write: impasto submit CONTENT STYLE."
        )
    full = build(Recipe, values, None if recipe is None else Recipe.from_file(recipe))
    content, *styles = (_picture(word) for word in pictures)
    with connected(url) as client, reporter_for(RunOptions(quiet=quiet)) as reporter:
        job = client.submit(
            content, styles, full, name=name, priority=priority, saving_interval=saving_interval,
            content_masks=content_mask, style_masks=style_mask, lock_mask=lock_mask,
        )  # fmt: skip
        if output_file is None:
            reporter.text(f"{job.id}\n")
            return 0
        job = follow(client, job, reporter)
        saved = None
        if job.state in ("done", "stopped"):
            saved = output_file
            client.save_result(job.id, output_file)
        return report(job, saved, reporter)


def _picture(word: str) -> str | Path:
    """A file, or an id where no such file is."""
    path = Path(word).expanduser()
    return word if word.startswith("example:") or (not path.suffix and not path.exists()) else path
