"""The commands by name, and how they end: one sentence and an exit code for every failure, never a traceback."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError

from impasto.cli.options import way_out
from impasto.cli.streams import LastingStream, make_streams_safe
from impasto.errors import ImpastoError, UserError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

app = App(
    name="impasto",
    help="Paint one picture in the style of another.",
    version=lambda: version("impasto"),
    help_format="plaintext",
    # Ctrl-C is answered here, by a sentence.
    suppress_keyboard_interrupt=False,
)
app.command(
    "impasto.cli.stylize:stylize",
    name="stylize",
    help="Paint CONTENT, a picture or a folder of pictures, in the style of one or several pictures.",
    usage="Usage: impasto stylize CONTENT STYLE [STYLE ...] [-o OUT] [OPTIONS]",
)
app.command(
    "impasto.cli.rerun:rerun",
    name="rerun",
    help="Paint a picture again by the recipe that is written in it.",
    usage="Usage: impasto rerun PICTURE [-o OUT] [OPTIONS]",
)
app.command(
    "impasto.cli.sweep:sweep",
    name="sweep",
    help="Paint a picture for every combination of what varies, and compare them on a sheet and a page.",
    usage="Usage: impasto sweep CONTENT STYLE [STYLE ...] --vary NAME=VALUE,VALUE... [-o FOLDER] [OPTIONS]",
)
app.command(
    "impasto.cli.compare:compare",
    name="compare",
    help="Show pictures side by side, with metrics and the difference of their recipes.",
    usage="Usage: impasto compare PICTURE PICTURE... [-o FOLDER] [OPTIONS]",
)
app.command("impasto.cli.looks:looks", name="looks", help="Show the named looks, and when to take which.")
app.command(
    "impasto.cli.bench:bench",
    name="bench",
    help="Time this package and the plain method side by side on this machine.",
)
app.command(
    "impasto.cli.models:app", name="models", help="List, download and verify encoders' weights, and inspect models."
)

app.command("impasto.cli.serve:serve", name="serve", help="Serve the studio and the API, and paint what they ask for.")
app.command("impasto.cli.serve:worker", name="worker", help="Paint jobs of a service whose database it shares.")
app.command(
    "impasto.cli.submit:submit",
    name="submit",
    help="Let a service paint a picture.",
    usage="Usage: impasto submit CONTENT STYLE [STYLE ...] [-o OUT] [OPTIONS]",
)
app.command("impasto.cli.jobs:jobs", name="jobs", help="List the jobs of a service.")
app.command("impasto.cli.watch:watch", name="watch", help="Follow a job of a service.")
app.command("impasto.cli.fetch:fetch", name="fetch", help="Fetch what a job of a service has painted.")
app.command("impasto.cli.keys:app", name="keys", help="Make, list and revoke API keys of a service.")
app.command(
    "impasto.cli.doctor:doctor",
    name="doctor",
    help="Find what does not fit together in a service: files without rows, rows without files, jobs left alone.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Without the program's name; those of the process if None.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 1 a failure, 130 interrupted, 143 terminated.
    """
    make_streams_safe()
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has left. Python's own flush at exit would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
    except CycloptsError as error:
        return fail(str(error) + way_out(arguments), UserError.exit_code)
    except ImpastoError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        code = getattr(error, "exit_code", INTERRUPTED)
        return fail("interrupted before there was a picture to keep.", code)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(f"{error.strerror or error}: '{error.filename}'." if error.filename else f"{error}.", 1)
    return code if isinstance(code, int) else 0


def fail(sentence: str, code: int) -> int:
    """Writes one line to stderr and returns the exit code."""
    LastingStream(sys.stderr).error(sentence)
    return code
