"""The same steps as the DAGs', for a person at a terminal.

Exit codes: 0 done and complete, 1 finished with debt (listed), 2 wrong usage or settings, 3 failed.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from neople_timeline import doctor as checks
from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, NotOver, RetryLater, TimelineError
from neople_timeline.models import SERVERS, CharacterKey, Collected, Plan, Shard, Usage, days_between
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.roster import find_server
from neople_timeline.settings import Settings, read_settings
from neople_timeline.verify import Verification
from neople_timeline.warehouse.roster import Member

T = TypeVar("T")

COMPLETE, INDEBTED, WRONG, FAILED = range(4)
INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
LISTED = 20
"""Lines of a list that a terminal shows; the report has them all."""
PATIENCE_SECONDS = 12 * 3600

app = typer.Typer(
    help="Collect the timelines of your Dungeon & Fighter characters: every event, once, proven.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
roster_app = typer.Typer(help="Say whose timelines to collect.", no_args_is_help=True)
sandbox_app = typer.Typer(help="An imitation of the API, and all the rest on one machine.", no_args_is_help=True)
app.add_typer(roster_app, name="roster")
app.add_typer(sandbox_app, name="sandbox")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Again = Annotated[bool, typer.Option("--again", help="Collect anew what is there already, and replace it whole.")]


def main() -> None:
    """Run the command line; what goes wrong is said in one line, with what to do."""
    try:
        app()
    except ConfigError as error:
        _fail(str(error), WRONG)
    except TimelineError as error:
        _fail(str(error), FAILED)
    except Exception:  # noqa: BLE001 - a defect must not look like exit code 1, which says "finished with debt"
        err.print_exception()
        _fail("this is a defect of the program; nothing that was complete is lost. Please report it.", FAILED)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _fail("interrupted; what was complete is committed, the next run goes on from there", FAILED)
        raise


def _fail(message: str, code: int) -> NoReturn:
    err.print(f"neople-timeline: {message}", markup=False)
    sys.exit(code)


def read_day(text: str) -> date:
    """Read a day from the command line; one that makes no sense is a ConfigError."""
    if text == "yesterday":
        return pipeline.last_day(read_settings(), datetime.now(UTC))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day: write it as 2026-11-15 (or `yesterday`)") from None


@app.command()
def day(
    day: Annotated[str, typer.Argument(metavar="DATE", help="2026-11-15, or `yesterday`: the last game day.")],
    again: Again = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Collect a day that is not over; it is collected again once it is.")
    ] = False,
) -> None:
    """Collect, prove and report one day."""
    settings = read_settings()
    settings.require("neople_api_key", "lake_url", "warehouse_url")
    wanted = read_day(day)
    plan = _patiently(lambda: pipeline.plan_day(settings, wanted, again=again, unfinished=unfinished))
    _say_plan(plan, wanted)
    code = _run(settings, plan, "daily")
    published = pipeline.publish_report(settings, wanted)
    out.print(
        f"Report: {published.url}" + (f", mailed to {settings.report_to}" if published.mailed else ""), markup=False
    )
    if settings.calendar.over_at(wanted) > datetime.now(UTC):
        out.print(f"{wanted} is not over yet: this is what there is so far, not the complete day.")
        code = code or INDEBTED
    raise typer.Exit(code)


@app.command()
def backfill(
    first: Annotated[str, typer.Argument(metavar="FROM")],
    last: Annotated[str, typer.Argument(metavar="TO")],
    again: Again = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would take.")] = False,
) -> None:
    """Collect all days from FROM to TO that are not there yet, one chain of pages per character and up to 90 days."""
    settings = read_settings()
    settings.require("lake_url", "warehouse_url")
    from_day, to_day = read_day(first), read_day(last)
    if dry_run:
        _say_forecast(settings, pipeline.forecast_backfill(settings, from_day, to_day))
        return
    settings.require("neople_api_key")
    plan = _patiently(lambda: pipeline.plan_backfill(settings, from_day, to_day, again=again))
    _say_plan(plan, from_day)
    raise typer.Exit(_run(settings, plan, "backfill"))


@app.command()
def retry() -> None:
    """Ask again now for everything that is owed, whenever its next try would have been."""
    settings = read_settings()
    settings.require("neople_api_key", "lake_url", "warehouse_url")
    plan = pipeline.plan_debts(settings)
    if not plan.days:
        out.print("Nothing is owed.")
        return
    _say_plan(plan, plan.days[0])
    raise typer.Exit(_run(settings, plan, "retry"))


@app.command()
def owed(
    first: Annotated[str | None, typer.Argument(metavar="[FROM]")] = None,
    last: Annotated[str | None, typer.Argument(metavar="[TO]")] = None,
) -> None:
    """List what is owed, by character-day and reason."""
    debts = pipeline.list_owed(read_settings(), read_day(first) if first else None, read_day(last) if last else None)
    for debt in debts:
        out.print(f"{debt.day}  {'/'.join(debt.character)}  {debt.reason}  (tries: {debt.attempts})", markup=False)
    out.print(f"{len(debts):,} character-days are owed." if debts else "Nothing is owed.")
    raise typer.Exit(INDEBTED if debts else COMPLETE)


@app.command()
def verify(
    first: Annotated[str, typer.Argument(metavar="FROM")],
    last: Annotated[str | None, typer.Argument(metavar="[TO]")] = None,
) -> None:
    """Compare the ledger, the raw answers, Parquet and PostgreSQL, character-day by character-day."""
    from_day = read_day(first)
    days = list(days_between(from_day, read_day(last) if last else from_day))
    if not days:
        raise ConfigError(f"the first day {first} is after the last day {last}")
    raise typer.Exit(_say_verification(pipeline.verify_days(read_settings(), days)))


@app.command()
def report(day: Annotated[str, typer.Argument(metavar="DATE")]) -> None:
    """Write a day's report anew, and mail it if it has not been mailed."""
    settings = read_settings()
    published = pipeline.publish_report(settings, read_day(day))
    out.print(
        f"Report: {published.url}" + (f", mailed to {settings.report_to}" if published.mailed else ""), markup=False
    )
    raise typer.Exit(INDEBTED if published.debts else COMPLETE)


@app.command()
def doctor() -> None:
    """Check every part that the settings name, and say how to mend what is wrong."""
    findings = checks.examine(read_settings)
    for finding in findings:
        mark = {True: "[green]ok  [/green]", False: "[red]FAIL[/red]", None: "[yellow]–   [/yellow]"}[finding.ok]
        out.print(f"{mark} {finding.part:<10} {escape(finding.message)}")
    raise typer.Exit(WRONG if any(finding.ok is False for finding in findings) else COMPLETE)


@roster_app.command("import")
def import_roster(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Header: serverId,characterId")],
) -> None:
    """Add the characters of a CSV file to the roster."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    roster, added = pipeline.import_roster(read_settings(), data)
    there = len(roster.characters) - added
    out.print(f"{added:,} characters added, {there:,} were there already, {roster.repeated:,} lines repeated one.")
    for reject in roster.rejects[:LISTED]:
        out.print(f"  line {reject.line_number}: {_plain(reject.line)}: {reject.reason}", markup=False)
    if roster.rejects:
        out.print(f"{len(roster.rejects):,} lines could not be used: correct them and import the file again.")
    raise typer.Exit(INDEBTED if roster.rejects else COMPLETE)


@roster_app.command("add")
def add_characters(
    server: Annotated[str, typer.Argument(help="카인 or cain; `all` looks on every server.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME…")],
) -> None:
    """Look characters up by name and add them to the roster."""
    settings = read_settings()
    settings.require("neople_api_key", "warehouse_url")
    server_id = "all" if server == "all" else find_server(server)
    if server_id is None:
        known = ", ".join(f"{korean} ({identity})" for identity, korean in SERVERS.items())
        raise ConfigError(f"there is no server {server!r}; there are: {known}")
    chosen: list[Member] = []
    for name in names:
        found = pipeline.search_characters(settings, server_id, name)
        picked = _choose(name, server, found)
        chosen += [Member(CharacterKey(one.server_id, one.character_id), one.character_name) for one in picked]
    added = pipeline.add_members(settings, chosen)
    out.print(f"{added:,} characters added, {len(chosen) - added:,} were there already.")
    raise typer.Exit(COMPLETE if len(chosen) >= len(names) else INDEBTED)


@roster_app.command("list")
def list_roster() -> None:
    """List the roster."""
    members = pipeline.list_members(read_settings())
    for member in members:
        out.print(f"{','.join(member.character)}  {_plain(member.name or '')}".rstrip(), markup=False)
    out.print(
        f"{len(members):,} characters." if members else "The roster is empty: `neople-timeline roster add` or `import`."
    )


@roster_app.command("remove")
def remove_characters(
    characters: Annotated[
        list[str], typer.Argument(metavar="SERVER,CHARACTERID…", help="As `roster list` shows them.")
    ],
) -> None:
    """Take characters off the roster; what was collected of them stays."""
    keys = [_read_key(text) for text in characters]
    removed = pipeline.remove_members(read_settings(), keys)
    out.print(f"{removed:,} characters removed; what was collected of them stays.")
    raise typer.Exit(COMPLETE if removed == len(set(keys)) else INDEBTED)


def _read_key(text: str) -> CharacterKey:
    server, _, character = text.replace("/", ",").partition(",")
    if not character:
        raise ConfigError(f"{text!r} names no character: write SERVER,CHARACTERID as `roster list` shows it")
    return CharacterKey(find_server(server) or server, character.strip().lower())


def _choose(name: str, server: str, found: Sequence[FoundCharacter]) -> Sequence[FoundCharacter]:
    exact = [one for one in found if one.character_name == name]
    if len(exact) == 1:
        return exact
    shown = exact or found
    if not shown:
        out.print(f"There is no character named {_plain(name)!r} on {server}.", markup=False)
        return []
    how = "are named" if exact else "have names that contain"
    out.print(f"{len(shown)} characters {how} {_plain(name)!r}:", markup=False)
    for number, one in enumerate(shown, 1):
        korean = SERVERS.get(one.server_id, one.server_id)
        out.print(
            f"  {number}. {_plain(one.character_name)}: {korean}, level {one.level}, {one.job_grow_name}"
            f" ({one.server_id},{one.character_id})",
            markup=False,
        )
    if not sys.stdin.isatty():
        out.print("None of them was added: name the server, or put the right one into a file for `roster import`.")
        return []
    number = typer.prompt("Which one (0 for none)", type=int, default=0)
    return shown[number - 1 : number] if 0 < number <= len(shown) else []


# What a run tells while it runs -------------------------------------------------------------------------------------


def _run(settings: Settings, plan: Plan, kind: str) -> int:
    """Take a plan through all steps and return the exit code."""
    used = _collect(settings, plan, kind)
    for shard in plan.shards:
        _patiently(partial(pipeline.refine_shard, settings, shard))
        _patiently(partial(pipeline.load_shard, settings, shard))
    _patiently(partial(pipeline.build_marts, settings, plan.days))
    _say_usage(used, settings.neople_api_rate)
    return _say_verification(pipeline.verify_days(settings, plan.days))


def _collect(settings: Settings, plan: Plan, kind: str) -> Usage:
    """Collect all shards at once: one process is enough for the whole limit."""
    if not plan.pending:
        return Usage()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=err) as bar:
        task = bar.add_task("Collecting", total=plan.pending, rate="")
        used, base = Usage(), 0

        def show(now: Collected) -> None:
            rate = now.usage.requests / max(now.usage.seconds, 0.001)
            done = base + now.landed + now.missing + now.owed
            bar.update(task, completed=done, rate=f"{now.events:,} events, {rate:,.0f} requests/s")

        def collect() -> Collected:
            return pipeline.collect_shard(settings, Shard(plan.days, 0, 1), kind=kind, progress=show)

        return used + _patiently(collect, say=lambda text: bar.console.print(text, markup=False)).usage


def _patiently(step: Callable[[], T], say: Callable[[str], None] = err.print) -> T:
    """Repeat a step that asks to be repeated later, for hours if need be."""
    waited, pause = 0.0, 5.0
    while True:
        try:
            return step()
        except NotOver as error:
            raise ConfigError(f"{error}. `day DATE --unfinished` collects what there is until now.") from None
        except RetryLater as error:
            if waited >= PATIENCE_SECONDS:
                raise
            seconds = min(pause, max(error.seconds, 1.0))
            say(f"{error}; trying again in {seconds:.0f} s")
            time.sleep(seconds)
            waited, pause = waited + seconds, min(pause * 2, 600.0)


def _say_plan(plan: Plan, first: date) -> None:
    earlier = len([one for one in plan.days if one < first])
    debts = f" (and debts of {earlier} earlier days)" if earlier else ""
    if not plan.characters:
        raise ConfigError("the roster is empty: fill it with `neople-timeline roster import FILE.csv` or `roster add`")
    work = f"{plan.pending:,} character-days to collect" if plan.pending else "everything is there already"
    out.print(f"{plan.characters:,} characters, {len(plan.days)} day(s){debts}: {work}.")


def _say_usage(used: Usage, rate: int) -> None:
    if used.requests:
        least = used.requests / rate
        out.print(
            f"{used.requests:,} requests in {used.seconds:.1f} s (at the limit of {rate:,}/s at least {least:.1f} s),"
            f" {used.wasted:,} wasted: {used.retried:,} retried, {used.repeated:,} pages repeated,"
            f" {used.throttled:,} refused."
        )


def _say_verification(result: Verification) -> int:
    for finding in result.disagreements[:LISTED]:
        out.print(f"  {finding}", markup=False)
    for debt in result.owed[:LISTED]:
        out.print(f"  owed: {debt.day} {'/'.join(debt.character)}: {debt.reason}", markup=False)
    if len(result.owed) > LISTED:
        out.print(f"  … and {len(result.owed) - LISTED:,} more: `neople-timeline owed` lists them all")
    out.print(
        f"Verified {result.checked:,} character-days with {result.events:,} events:"
        f" {len(result.disagreements):,} disagree, {len(result.owed):,} are owed, {result.missing:,} have no character"
        f" any more, {len(result.orphans):,} orphaned raw objects."
    )
    if result.uncollected:
        out.print(f"Never collected: {', '.join(map(str, result.uncollected[:LISTED]))}")
    if not result.ok:
        return FAILED
    return INDEBTED if result.owed or result.uncollected else COMPLETE


def _say_forecast(settings: Settings, forecast: pipeline.Forecast) -> None:
    table = Table("", "", show_header=False, box=None)
    table.add_row("characters", f"{forecast.characters:,}")
    table.add_row("character-days there already", f"{forecast.there:,}")
    table.add_row("character-days to collect", f"{forecast.pending:,}")
    table.add_row("requests, at least", f"{forecast.requests:,}")
    table.add_row(
        f"time at {settings.neople_api_rate:,} requests/s", f"{forecast.requests / settings.neople_api_rate:,.0f} s"
    )
    out.print(table)


def _plain(text: str) -> str:
    """Strip what could steer a terminal from text written by strangers."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


@sandbox_app.command(
    "api", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def sandbox_api(context: typer.Context) -> None:
    """Imitate the Neople Open API on this machine (`sandbox api --help`)."""
    from neople_timeline.sandbox import api  # noqa: PLC0415 - installed with the group `local` only

    api.serve(api.read_options(context.args))
