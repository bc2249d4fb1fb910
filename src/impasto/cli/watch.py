"""``impasto watch``: a job of a service, followed to its end."""

from typing import Annotated

from cyclopts import Parameter

from impasto.cli.following import JobName, Url, connected, find_job, follow, report
from impasto.cli.reporters import reporter_for
from impasto.recipe import RunOptions


def watch(
    job: Annotated[JobName | None, Parameter(name="JOB")] = None,
    /,
    *,
    url: Url = None,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), help="One JSON object a line, for scripts.")
    ] = False,
) -> int:
    """Follow a job with the same progress bar as a run of this machine; by default the newest one."""
    with connected(url) as client, reporter_for(RunOptions(json_events=as_json)) as reporter:
        return report(follow(client, find_job(client, job), reporter), None, reporter)
