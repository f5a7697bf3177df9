"""The command line: the same steps as the DAGs', for a person at a terminal.

Exit codes: 0 done and complete, 1 finished with debt (listed), 2 wrong usage or settings, 3 failed.
"""

import io
import os
import sys
from importlib import metadata
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from neople_timeline.cli import days, roster
from neople_timeline.cli.screen import COMPLETE, FAILED, WRONG, err, out
from neople_timeline.errors import ConfigError, TimelineError
from neople_timeline.settings import read_settings

INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
STOPPED = "interrupted; what was complete is committed, the next run goes on from there"

app = typer.Typer(
    help=(
        "Collect the timelines of your Dungeon & Fighter characters: every event, once, verified."
        " Settings come from environment variables; `doctor` names those that are missing and checks the rest."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sandbox_app = typer.Typer(help="The sandbox API on this machine.", no_args_is_help=True)
app.add_typer(days.app)
app.add_typer(roster.app, name="roster")
app.add_typer(sandbox_app, name="sandbox")


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - as typer hands it over
    if wanted:
        out.print(f"neople-timeline {metadata.version('neople-timeline')}", highlight=False)
        raise typer.Exit


@app.callback()
def take_options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that belong to no command; the only one is answered by its callback."""


def main() -> None:
    """Run the command line; what goes wrong is said in one line, with what to do."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letters for is still told
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except ConfigError as error:
        _fail(str(error), WRONG)
    except TimelineError as error:
        _fail(str(error), FAILED)
    except OSError as error:
        _drop_unwritten()
        _fail(f"the operating system refused: {error}", FAILED)
    except KeyboardInterrupt:
        _fail(STOPPED, FAILED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _fail(STOPPED, FAILED)
        raise
    except BaseException:  # noqa: BLE001 - a defect, panics of libraries too, must not look like "finished with debt"
        err.print_exception()
        _fail("this is a defect of the program; nothing that was complete is lost. Please report it.", FAILED)


def _drop_unwritten() -> None:
    """Give up what standard output does not take: Python would try again at its end, and exit with its own code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> NoReturn:
    err.print(f"neople-timeline: {message}", markup=False)
    sys.exit(code)


@app.command()
def doctor() -> None:
    """Check every component, and say how to fix what is wrong."""
    from neople_timeline import doctor as checks  # noqa: PLC0415 - loads what draws and mails reports

    findings = checks.examine(read_settings)
    for finding in findings:
        mark = {True: "[green]ok  [/green]", False: "[red]FAIL[/red]", None: "[yellow]–   [/yellow]"}[finding.ok]
        out.print(f"{mark} {finding.part:<10} {escape(finding.message)}")
    raise typer.Exit(WRONG if any(finding.ok is False for finding in findings) else COMPLETE)


@sandbox_app.command(
    "api", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def sandbox_api(context: typer.Context) -> None:
    """Imitate the Neople Open API (`sandbox api --help`)."""
    try:
        from neople_timeline.sandbox import api  # noqa: PLC0415 - installed with the group `local` only
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"the imitation of the API needs {missing.name}: install it, or let `make install` bring the group `local`"
        ) from None

    api.serve(api.read_options(context.args))
