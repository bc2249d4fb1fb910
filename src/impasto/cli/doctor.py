"""``impasto doctor``: whether tables, files and queue of a service agree."""

import sys
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.serve import ArtifactsUrl, Data, DatabaseUrl
from impasto.errors import ImpastoError, UserError


def doctor(
    *,
    mend: Annotated[
        bool, Parameter(negative=(), help="Put right what is found; without it nothing is changed.")
    ] = False,
    min_age_hours: Annotated[
        float, Parameter(help="Files younger than that are left alone; their rows may be about to come.")
    ] = 24.0,
    data: Data = None,
    database_url: DatabaseUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> int:
    """Find what does not fit together in a service, which may run meanwhile; exit code 1 where something remains."""
    if min_age_hours < 0:
        raise UserError(f"--min-age-hours is {min_age_hours:g}; it must be 0 or more.")
    try:
        from impasto.service.core import Core
        from impasto.service.doctor import Doctor
        from impasto.service.settings import Settings
    except ModuleNotFoundError as error:
        raise UserError(
            f"This command needs the package {error.name}; install it by: pip install 'impasto[service]'."
        ) from None
    core = Core.open(Settings.load(data=data, database_url=database_url, artifacts_url=artifacts_url))
    num_found = num_mended = 0
    try:
        for finding in Doctor(core, min_age_hours=min_age_hours).examine():
            num_found += 1
            is_mended = False
            if mend and finding.mend is not None:
                try:
                    finding.mend()
                    is_mended = True
                except ImpastoError as error:
                    sys.stderr.write(f"{finding.subject} cannot be mended: {error}\n")
            num_mended += is_mended
            state = "mended" if is_mended else "found"
            sys.stdout.write(f"{state}  {finding.ailment}  {finding.subject}: {finding.sentence}\n")
    finally:
        core.close()
    sys.stdout.write(_summary(num_found, num_mended, mends=mend))
    return 1 if num_found > num_mended else 0


def _summary(num_found: int, num_mended: int, *, mends: bool) -> str:
    if not num_found:
        return "All fits together.\n"
    if mends:
        return f"{num_mended:,} of {num_found:,} mended.\n"
    return f"{num_found:,} found; --mend puts right what can be.\n"
