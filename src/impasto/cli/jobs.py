"""``impasto jobs``: the jobs of a service."""

import sys
from itertools import islice
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.following import Url, connected

LINES = 20


def jobs(
    *,
    state: Annotated[str | None, Parameter(help="Only those that are queued, running, paused, done …")] = None,
    search: Annotated[str | None, Parameter(help="Words of name, pictures, model, look.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = LINES,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="One JSON object a line, for scripts.")
    ] = False,
    url: Url = None,
) -> int:
    """List the jobs of a service, the newest first."""
    with connected(url) as client:
        for job in islice(client.jobs(state=state, search=search), limit):
            if as_json:
                sys.stdout.write(job.model_dump_json() + "\n")
                continue
            total = f"/{job.total_iterations}" if job.total_iterations else ""
            if job.kind == "picture":
                progress = f"{job.iteration}{total}"
            else:
                progress = f"{job.num_done}/{job.num_cells} pictures"
            sys.stdout.write(f"{job.id}  {job.state:9}  {progress:>12}  {job.name}\n")
    return 0
