"""Collect, prove and publish days."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from neople_timeline import pipeline
from neople_timeline.cli.screen import (
    COMPLETE,
    INDEBTED,
    err,
    out,
    patiently,
    read_day,
    read_days,
    say_forecast,
    say_gaps,
    say_pages,
    say_plan,
    say_report,
    say_usage,
    say_verification,
    show_debt,
    watch,
)
from neople_timeline.errors import ConfigError, Refused, TimelineError
from neople_timeline.models import Collected, Kind, Plan, Shard, Usage, days_between, number_of
from neople_timeline.settings import Settings, read_settings
from neople_timeline.verify import Verification

app = typer.Typer()

T = TypeVar("T")
Again = Annotated[bool, typer.Option("--again", help="Collect again what is there already, and replace all of it.")]


@app.command()
def day(
    day: Annotated[str, typer.Argument(metavar="DATE", help="2026-11-15, or `yesterday`: the last game day.")],
    again: Again = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Collect a day that is not over; it is collected again once it is.")
    ] = False,
) -> None:
    """Collect, verify and report one day.

    `yesterday` also plans the days that were left out since it last ran, as the scheduled DAG does.
    """
    settings = read_settings()
    settings.require("neople_api_key", "lake_url", "warehouse_url")
    wanted = read_day(day)
    options = {"again": again, "unfinished": unfinished, "follows": day == "yesterday"}
    try:
        plan = patiently(partial(pipeline.plan_day, settings, wanted, **options))
        say_plan(plan, wanted)
        found = _run(settings, plan, "daily")
    except Refused:
        raise
    except TimelineError as error:  # told by page and mail too, as Airflow does: cron has nobody who watches
        with suppress(TimelineError):
            say_pages(settings, pipeline.publish_report(settings, wanted, str(error)))
        raise
    code = say_verification(found)
    has_failed = any(finding.day == wanted for finding in found.disagreements)
    failure = f"the proof failed: `neople-timeline verify {wanted}` lists what disagrees" if has_failed else None
    published = _publish(lambda: pipeline.publish_report(settings, wanted, failure))
    say_report(settings, published, wanted)
    _say_republished(settings, but=wanted)
    raise typer.Exit(code or (INDEBTED if published.is_provisional or published.waiting else COMPLETE))


@app.command()
def backfill(
    first: Annotated[str, typer.Argument(metavar="FROM", help="First day, 2017-09-21 or later.")],
    last: Annotated[str, typer.Argument(metavar="TO", help="Last day, included; it must be over.")],
    again: Again = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would take.")] = False,
) -> None:
    """Collect what is not collected yet of the days from FROM to TO.

    It writes no new reports. `report` writes one for a day.
    """
    settings = read_settings()
    settings.require("lake_url", "warehouse_url")
    from_day, to_day = read_days(first, last)
    if dry_run and again:
        raise ConfigError("--dry-run tells what is lacking, and --again asks for what is there too: choose one")
    if dry_run:
        say_forecast(settings, patiently(partial(pipeline.forecast_backfill, settings, from_day, to_day)))
        return
    settings.require("neople_api_key")
    plan = patiently(lambda: pipeline.plan_backfill(settings, from_day, to_day, again=again))
    say_plan(plan, from_day)
    code = say_verification(_run(settings, plan, "backfill"))
    _say_republished(settings)
    raise typer.Exit(code)


@app.command()
def retry() -> None:
    """Try now to collect everything that is owed."""
    settings = read_settings()
    settings.require("neople_api_key", "lake_url", "warehouse_url")
    plan = patiently(partial(pipeline.plan_debts, settings))
    if not plan.days:
        out.print("Nothing is owed.")
        return
    say_plan(plan, plan.days[0])
    code = say_verification(_run(settings, plan, "retry"))
    _say_republished(settings)
    raise typer.Exit(code)


@app.command()
def owed(
    first: Annotated[str | None, typer.Argument(metavar="[FROM]", help="The first day; without it, all days.")] = None,
    last: Annotated[str | None, typer.Argument(metavar="[TO]", help="The last day; without it, FROM alone.")] = None,
) -> None:
    """List what is owed, by character-day and reason."""
    from_day, to_day = read_days(first, last) if first else (None, None)
    debts = pipeline.list_owed(read_settings(), from_day, to_day)
    for debt in debts:
        out.print(show_debt(debt), markup=False)
    out.print(f"Owed: {number_of(len(debts), 'character-day')}." if debts else "Nothing is owed.")
    raise typer.Exit(INDEBTED if debts else COMPLETE)


@app.command()
def verify(
    first: Annotated[str, typer.Argument(metavar="FROM", help="The first day.")],
    last: Annotated[str | None, typer.Argument(metavar="[TO]", help="The last day; without it, FROM alone.")] = None,
) -> None:
    """Verify that all copies of some days' data agree.

    For each character-day it compares the ledger, the raw answers, Parquet and PostgreSQL. It compares the marts in the
    lake with those in PostgreSQL.
    """
    days = list(days_between(*read_days(first, last)))
    raise typer.Exit(say_verification(watch("Verifying", partial(pipeline.verify_days, read_settings(), days))))


@app.command()
def report(day: Annotated[str, typer.Argument(metavar="DATE")]) -> None:
    """Write a day's report again, and its week's; mail each once.

    A week's report comes with its last day, a Wednesday.
    """
    settings = read_settings()
    wanted = read_day(day)
    if not patiently(partial(pipeline.is_planned, settings, wanted)):
        raise ConfigError(f"{wanted} was never collected: `neople-timeline day {wanted}` does so")
    published = _publish(lambda: pipeline.publish_report(settings, wanted))
    say_report(settings, published, wanted)
    is_settled = published.is_proven and not published.is_provisional
    raise typer.Exit(COMPLETE if is_settled and not published.debts else INDEBTED)


@app.command()
def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="event, character, or a mart such as drops_by_item.")],
    first: Annotated[str, typer.Argument(metavar="FROM", help="The first day.")],
    last: Annotated[str | None, typer.Argument(metavar="[TO]", help="The last day; without it, FROM alone.")] = None,
) -> None:
    """Write a table's days as CSV for a spreadsheet.

    The CSV goes to standard output; what the days lack is reported on standard error. A text of over 32,766 characters
    is cut to fit into a spreadsheet's cell, and ends in an ellipsis.
    """
    settings, days = read_settings(), read_days(first, last)
    gaps = pipeline.find_gaps(settings, table, *days)  # before the rows are read: what comes later is not among them
    lines = pipeline.export_table(settings, table, *days)
    header = next(lines)
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    try:
        sys.stdout.write(f"\ufeff{header}")  # without the mark Excel takes Korean for Latin
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()
    raise typer.Exit(say_gaps(gaps))


def _run(settings: Settings, plan: Plan, kind: Kind) -> Verification:
    """Take a plan through all steps, and prove its days."""
    used = _collect(settings, plan, kind)
    refined = loaded = 0
    for number, shard in enumerate(plan.shards, 1):
        place = f"{number}/{len(plan.shards)}"
        refined += watch(f"Refining {place}", partial(pipeline.refine_shard, settings, shard)).events
        loaded += watch(f"Loading {place}", partial(pipeline.load_shard, settings, shard)).events
    if refined or loaded:
        out.print(f"Refined {number_of(refined, 'event')}, loaded {loaded:,} into PostgreSQL.")
    watch("Computing marts", partial(pipeline.build_marts, settings, plan.days))
    say_usage(used, settings.neople_api_rate)
    return watch("Verifying", partial(pipeline.prove_days, settings, plan.days))


def _publish(step: Callable[[], T]) -> T:
    """Repeat what writes and mails reports as late as it asks for: earlier, its mail still counts as being sent."""
    return watch("Writing reports", step, pause=600.0)


def _say_republished(settings: Settings, but: date | None = None) -> None:
    """Write anew the pages of other days that the run changed, and name them."""
    for changed, published in _publish(partial(pipeline.republish_reports, settings, but)).items():
        out.print(f"The report of {changed} is written anew: something on it was computed or proven since.")
        say_pages(settings, published)


def _collect(settings: Settings, plan: Plan, kind: Kind) -> Usage:
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
        attempts: list[Collected] = []

        def show(now: Collected) -> None:
            attempts[-1] = now
            rate = now.usage.requests / max(now.usage.seconds, 0.001)
            done = sum(one.done for one in attempts)
            events = sum(one.events for one in attempts)
            bar.update(task, completed=done, rate=f"{number_of(events, 'event')}, {rate:,.0f} requests/s")

        def collect() -> Collected:
            attempts.append(Collected(0, 0, 0, 0, Usage()))
            show(pipeline.collect_shard(settings, Shard.whole(*plan.days), kind=kind, progress=show))
            return attempts[-1]

        patiently(collect, say=lambda text: bar.console.print(text, markup=False))
        return sum((one.usage for one in attempts), Usage())
