"""A day as a story. The DAGs and the command line call these functions; from deeper they take values, and no steps.

Two know more: `doctor` opens every part by itself, and dags/timeline_spark.py submits the job instead of running it.

    plan_day → collect_shard × shards → refine_shard → load_shard → build_marts → prove_days → publish_report

Every step can be repeated at any time: it looks at what is there and does what is missing.
"""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import uvloop

from neople_timeline import collect, name_search, parts, plan, verify
from neople_timeline.errors import TimelineError
from neople_timeline.export import days_told, export_rows
from neople_timeline.lake import Lake, open_lake
from neople_timeline.models import (
    CharacterKey,
    Collected,
    Kind,
    Member,
    Plan,
    Shard,
    days_between,
)
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.plan import Forecast
from neople_timeline.report import alert
from neople_timeline.roster import Roster, read_roster
from neople_timeline.settings import Settings
from neople_timeline.summary import Published
from neople_timeline.tables import TABLES
from neople_timeline.verify import Verification
from neople_timeline.warehouse import audit, ledger, measures, state
from neople_timeline.warehouse import days as day_rows
from neople_timeline.warehouse import roster as roster_rows
from neople_timeline.warehouse.audit import Owed
from neople_timeline.warehouse.connection import connect, connect_reader, open_warehouse
from neople_timeline.warehouse.measures import DayTotal, Measures
from neople_timeline.warehouse.state import Gaps

if TYPE_CHECKING:
    from neople_timeline.marts.publish import MartBuilt


@dataclass(frozen=True)
class Refined:
    """What refining a shard wrote."""

    events: int
    objects: int


@dataclass(frozen=True)
class Loaded:
    """What loading a shard put into PostgreSQL."""

    events: int
    characters: int


# roster -------------------------------------------------------------------------------------------------------------


def import_roster(settings: Settings, data: bytes, progress: name_search.Progress | None = None) -> tuple[Roster, int]:
    """Put the characters of a CSV file on the roster; return what the file held and how many were new.

    The API is asked for those who are named only. If it answers nobody, those with an id are on the roster all
    the same.
    """
    roster = read_roster(data)
    with open_warehouse(settings) as connection:
        added = roster_rows.add_members(connection, roster.members)
        if roster.named:
            answers = uvloop.run(name_search.find_named(settings, connection, roster.named, progress))
            roster = roster.resolve(answers)
            added += roster_rows.add_members(connection, roster.members)
        roster_rows.replace_rejects(connection, roster.rejects)
    return roster, added


def search_characters(settings: Settings, server_id: str, name: str) -> list[FoundCharacter]:
    """Ask the API for the characters of a name, on one server or on `all`."""
    with open_warehouse(settings) as connection:
        return uvloop.run(name_search.search_characters(settings, connection, server_id, name))


def add_members(settings: Settings, found: Sequence[Member]) -> int:
    """Put characters on the roster; return how many were not there before."""
    with open_warehouse(settings) as connection:
        return roster_rows.add_members(connection, found)


def list_members(settings: Settings) -> list[Member]:
    """List the roster."""
    with open_warehouse(settings) as connection:
        return roster_rows.list_members(connection)


def remove_members(settings: Settings, characters: Sequence[CharacterKey]) -> tuple[int, int]:
    """Take characters off the roster; what was collected of them stays.

    Return how many there were, and how many character-days that they owed are given up.
    """
    with open_warehouse(settings) as connection:
        return roster_rows.remove_members(connection, characters)


# plan ---------------------------------------------------------------------------------------------------------------


def plan_day(
    settings: Settings, day: date, *, again: bool = False, unfinished: bool = False, follows: bool = False
) -> Plan:
    """Write the ledger rows of a day and of earlier days' due debts, and cut them into shards.

    A day that is not over is NotOver until it is, unless `unfinished`; it is then collected again once it is over.
    A run that `follows` the calendar also owes the days which it should have had since the last such run.
    """
    plan.check_days(settings.calendar, day, day, unfinished=unfinished)
    with _open(settings) as (lake, connection):
        return plan.plan_day(settings.calendar, lake, connection, day, again=again, follows=follows)


def plan_backfill(settings: Settings, first: date, last: date, *, again: bool = False) -> Plan:
    """Write the ledger rows of all days from `first` to `last` that have none, and cut them into shards."""
    plan.check_days(settings.calendar, first, last, unfinished=False)
    with _open(settings) as (lake, connection):
        days = list(days_between(first, last))
        return plan.plan_backfill(settings.calendar, lake, connection, days, again=again)


def plan_debts(settings: Settings) -> Plan:
    """Make everything that is owed due now, dead letters included, and cut it into shards."""
    with _open(settings) as (_, connection):
        return plan.plan_debts(connection)


def forecast_backfill(settings: Settings, first: date, last: date) -> Forecast:
    """Tell what a backfill would take, without planning or asking anything."""
    plan.check_days(settings.calendar, first, last, unfinished=False)
    with open_warehouse(settings) as connection:
        return plan.forecast_days(connection, first, last)


# collect ------------------------------------------------------------------------------------------------------------


def count_due(settings: Settings, shard: Shard) -> int:
    """Count the character-days that a collector of a shard would ask for now."""
    with open_warehouse(settings) as connection:
        return ledger.count_due(connection, shard)


def collect_shard(
    settings: Settings, shard: Shard, *, kind: Kind = "daily", progress: collect.Progress | None = None
) -> Collected:
    """Collect everything that is open and due in a shard; `kind` decides its share of the rate.

    RetryLater and StopCollecting leave all that was complete committed.
    """
    with _open(settings) as (lake, connection), connect(settings) as permits:
        stores = collect.Stores(lake, connection, permits)
        gc.freeze()  # what is loaded by now stays: looking through it for garbage would hold requests up
        try:
            return uvloop.run(collect.collect_shard(settings, stores, shard, kind=kind, progress=progress))
        finally:
            gc.unfreeze()


# refine -------------------------------------------------------------------------------------------------------------


def refine_shard(settings: Settings, shard: Shard) -> Refined:
    """Write the Parquet objects of every part of a shard whose raw answers changed since it was last refined."""
    with _open(settings) as (lake, connection):
        written = parts.refine_parts(settings.calendar, lake, connection, shard)
    return Refined(
        events=sum(part.events for part in written),
        objects=len(TABLES) * len(written),
    )


# load ---------------------------------------------------------------------------------------------------------------


def load_shard(settings: Settings, shard: Shard) -> Loaded:
    """Put every part of a shard that PostgreSQL does not have yet in the place of what it has."""
    with _open(settings) as (lake, connection):
        loaded = parts.load_parts(settings.calendar, lake, connection, shard)
    return Loaded(
        events=sum(part.events for part in loaded),
        characters=sum(part.characters for part in loaded),
    )


# marts --------------------------------------------------------------------------------------------------------------
# Imported where they are used: their engine takes 0.1 s of CPU to load, which a collector shall not pay.


def prepare_marts(settings: Settings, days: Sequence[date]) -> tuple[date, ...]:
    """List the days whose marts are older than what they read, of a run's and the two weeks after them.

    The run's last day in any case, to mend what is there. They are what a run that pays debts has to publish anew.
    The lake then has all that they read as it was recorded.
    """
    with _open(settings) as (lake, connection):
        return _prepare_marts(settings, lake, connection, days)


def _prepare_marts(
    settings: Settings, lake: Lake, connection: psycopg.Connection, days: Sequence[date]
) -> tuple[date, ...]:
    from neople_timeline.marts.periods import days_read

    touched = day_rows.list_touched(connection, days)
    parts.mend_parts(settings.calendar, lake, connection, days_read(touched))
    return day_rows.list_touched(connection, days)


def build_marts(settings: Settings, days: Sequence[date]) -> tuple["MartBuilt", ...]:
    """Answer the questions of players and analysts for the days, weeks and months that a run's days touched."""
    from neople_timeline.marts.build import build_marts as build

    with _open(settings) as (lake, connection):
        return build(settings, lake, connection, _prepare_marts(settings, lake, connection, days))


def publish_marts(settings: Settings, run: str) -> tuple["MartBuilt", ...]:
    """Publish the marts that a Spark job, submitted by somebody else, has computed for a run."""
    from neople_timeline.marts.spark_run import publish_run

    with _open(settings) as (lake, connection):
        return publish_run(lake, connection, run)


# verify -------------------------------------------------------------------------------------------------------------


def verify_days(settings: Settings, days: Sequence[date]) -> Verification:
    """Compare the ledger, the raw answers, Parquet and PostgreSQL, character-day by character-day, and the marts.

    What is proven, and what has to be loaded or computed again, is noted in the ledger.
    """
    from neople_timeline.marts.check import check_marts

    with _open(settings) as (lake, connection):
        found = verify.verify_days(settings.calendar, lake, connection, days)
        marts = check_marts(lake, connection, [day for day in days if day not in found.uncollected])
        return replace(found, disagreements=(*found.disagreements, *marts))


def prove_days(settings: Settings, days: Sequence[date]) -> Verification:
    """Verify the days of a run, once what others left half done is refined and loaded; RetryLater while they change.

    What landed since the marts step is in the marts before it is reported; those of Spark wait, and the mail with them,
    for the next run.
    """
    with _open(settings) as (lake, connection):
        found = verify.prove_days(settings.calendar, lake, connection, days)
        disputed = {finding.day for finding in found.disagreements}
        outdated = [day for day in day_rows.list_changed_days(connection, days) if day not in disputed]
    if outdated and settings.marts_engine == "duckdb":
        build_marts(settings, outdated)
    return found


def check_bond(settings: Settings) -> None:
    """Raise ConfigError if the lake and the warehouse of these settings do not belong together."""
    with _open(settings):
        pass


def list_owed(settings: Settings, first: date | None = None, last: date | None = None) -> list[Owed]:
    """List what is still to be collected, by character-day and reason."""
    with open_warehouse(settings) as connection:
        return audit.list_owed(connection, first, last)


# report -------------------------------------------------------------------------------------------------------------
# Imported where it is used, as the coverage is: charts and templates take 34 MB and 0.3 s to load, templates alone 1 MB
# and 0.05 s, which a collector shall not pay.


def publish_report(settings: Settings, day: date, failure: str | None = None) -> Published:
    """Write a day's page into the lake and mail it once; `failure` says what went wrong, if something did.

    A failure whose page cannot be written, because the lake is away or another, is mailed without one.
    """
    from neople_timeline.report.publish import publish_report as publish

    try:
        with _open(settings) as (lake, connection):
            return publish(settings, lake, connection, day, failure)
    except TimelineError as error:
        if failure is not None:
            lines = [f"[failed] {day}", "", failure, "", f"There is no page that tells of it: {error}"]
            with suppress(TimelineError):
                mail_alert(settings, "failed", day, lines[0], lines)
        raise


def republish_reports(settings: Settings, but: date | None = None) -> dict[date, Published]:
    """Write anew the page of every day that changed since it was reported, and was computed and proven since.

    Not that of a run's own day (`but`), which it has just written.
    """
    from neople_timeline.report.publish import publish_reports

    with _open(settings) as (lake, connection):
        outdated = [day for day in day_rows.list_outdated_pages(connection) if day != but]
        return publish_reports(settings, lake, connection, outdated)


def is_planned(settings: Settings, day: date) -> bool:
    """Say whether a run has ever taken a day up."""
    with open_warehouse(settings) as connection:
        return bool(audit.list_known_days(connection, [day]))


def mail_alert(settings: Settings, edition: str, day: date, title: str, lines: list[str]) -> bool:
    """Mail some lines to those who get the reports, once per edition and day; return whether it was sent now."""
    with open_warehouse(settings) as connection:
        return alert.mail_alert(settings, connection, edition, day, title, lines)


# figures ------------------------------------------------------------------------------------------------------------


def measure_day(settings: Settings, day: date) -> Measures:
    """Measure a day for monitoring."""
    ended_at = settings.calendar.begins_at(day + timedelta(days=1))
    with open_warehouse(settings) as connection:
        return measures.measure_day(connection, day, ended_at)


def count_ledger(settings: Settings, day: date) -> tuple[Counter[str], int]:
    """Count a day's character-days by state, and the events that were landed; nothing yet if nothing is planned."""
    with open_warehouse(settings) as connection:
        return measures.count_ledger(connection, day)


def total_days(settings: Settings, days: Sequence[date]) -> list[DayTotal]:
    """Give the rows and the digest of some days: equal digests mean equal events."""
    with open_warehouse(settings) as connection:
        return measures.total_days(connection, days)


def find_gaps(settings: Settings, table: str, first: date, last: date) -> Gaps:
    """Tell what is lacking of the days, as far as they are over, of which a table's rows tell; it reads only."""
    begins, ends = days_told(table, first, last)
    over = max(last, settings.calendar.last_over(datetime.now(UTC)))
    with open_warehouse(settings, connect_reader) as connection:
        return state.find_gaps(connection, begins, min(ends, over))


def export_table(settings: Settings, table: str, first: date, last: date) -> Iterator[str]:
    """Yield a table's rows of some days as lines of CSV; it reads only."""
    with open_warehouse(settings, connect_reader) as connection:
        yield from export_rows(connection, table, first, last)


def show_coverage(settings: Settings, until: date | None = None, day: date | None = None) -> bytes:
    """Render the calendar of what is there and what is owed, the page inside Airflow; it reads only."""
    from neople_timeline.report import coverage

    newest = settings.calendar.last_over(datetime.now(UTC))
    last = max(settings.calendar.first_day, min(until or newest, newest))
    with open_warehouse(settings, connect_reader) as connection:
        return coverage.show_coverage(connection, open_lake(settings), settings.report_language, last, newest, day)


def read_report(settings: Settings, path: str) -> bytes | None:
    """Read a page of the report by its path below `reports/`; None where there is none."""
    from neople_timeline.report import coverage

    return coverage.read_report(open_lake(settings), path)


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[Lake, psycopg.Connection]]:
    """Open the lake and the warehouse; ConfigError if they do not belong together, whatever a step would do to them."""
    lake = open_lake(settings)
    with open_warehouse(settings) as connection:
        plan.check_bond(settings.calendar, lake, connection)
        yield lake, connection
