"""``impasto fetch``: what a job of a service has made."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.following import JobName, Url, connected, find_job
from impasto.cli.options import TypedPath
from impasto.errors import OutputError


def fetch(
    job: Annotated[JobName, Parameter(name="JOB")],
    /,
    *,
    output_file: Annotated[
        TypedPath | None,
        Parameter(name=["--output-file", "-o"], help="Where it goes: .png, .jpg, .webp or .tif; .zip for all of it."),
    ] = None,
    overwrite: Annotated[bool, Parameter(negative=(), help="Replace an existing file.")] = False,
    url: Url = None,
) -> int:
    """Wait for a job's picture and write it; or all that the job has made, as a ZIP."""
    with connected(url) as client:
        found = find_job(client, job)
        path = output_file or Path(f"{found.id}.png")
        if path.exists() and not overwrite:
            raise OutputError(f"'{path}' is there already; give another name, or --overwrite.")
        if path.suffix.lower() == ".zip":
            client.wait(found.id)
            client.archive(found.id, path)
        else:
            client.save_result(found.id, path)
        sys.stdout.write(f"Saved {path}\n")
    return 0
