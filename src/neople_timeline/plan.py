"""Which character-days a run takes on: written into the ledger, and cut into shards for the collectors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg

from neople_timeline.errors import ConfigError, NotOver, Refused
from neople_timeline.lake import Lake
from neople_timeline.models import KOREA, Calendar, Plan, Shard, split_runs
from neople_timeline.neople.protocol import PAGE_LIMIT
from neople_timeline.salvage import forget_lost
from neople_timeline.warehouse import days as day_rows
from neople_timeline.warehouse import planning

LOST_FOR: Final = timedelta(days=28)
"""How far back a daily run looks for days on which somebody was missing who is there again; a backfill looks at all
of its days."""

LAKE_MISMATCH: Final = "LAKE_URL and WAREHOUSE_URL do not belong together: this warehouse was filled from another lake"


@dataclass(frozen=True)
class Forecast:
    """What a backfill would take: character-days that are there, those that are not, and the requests for them."""

    characters: int
    there: int
    pending: int
    requests: int
    """Of one chain per character and gap of up to 90 days."""
    is_estimate: bool
    """Whether chains have the pages of a mean day that is known; else they have one each, the least there can be."""


def check_days(calendar: Calendar, first: date, last: date, *, unfinished: bool) -> None:
    """Refuse days of which the API has no data, yet or ever; one that is not over is NotOver, unless `unfinished`."""
    if first > last:
        raise Refused(f"the first day {first} is after the last day {last}")
    if first < calendar.first_day:
        raise Refused(f"{first} is before {calendar.first_day}, the first day of which the API has data")
    over_at, now = calendar.over_at(last), datetime.now(UTC)
    if now >= over_at:
        return
    if not unfinished:
        raise NotOver(
            f"{last} is not over: its last events are in the API on {over_at.astimezone(KOREA):%Y-%m-%d at %H:%M} in"
            f" Korea. The newest day that is over is {calendar.last_over(now)}",
            seconds=(over_at - now).total_seconds(),
        )
    if first > calendar.day_at(now):
        raise Refused(f"{first} has not begun")


def plan_day(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, day: date, *, again: bool, follows: bool
) -> Plan:
    """Plan a day, the earlier days that owe something, and those that a run which `follows` the calendar has missed."""
    planning.require_roster(connection)
    _bind(calendar, lake, connection)
    planning.catch_up_sequences(connection)
    if follows:
        planning.plan_missed(connection, day)
    planning.reopen_found(connection, day - LOST_FOR, day - timedelta(days=1))
    debts = {
        *planning.list_indebted_days(connection, day),
        *day_rows.list_unpublished_days(connection, day),
    }
    for one in (*debts, day):
        planning.reopen_unfinished(connection, one, calendar.over_at(one))
    planning.plan_days(connection, [day], again=again)
    if again:
        forget_lost(calendar, lake, connection, [day])
    planning.owe_report(connection, day)
    if follows:
        planning.mark_followed(connection, day)
    return _make_plan(connection, [*sorted(debts), day], [day])


def plan_backfill(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date], *, again: bool
) -> Plan:
    """Plan a range of days; until it is done they are the backfill's, and no daily run takes them."""
    planning.require_roster(connection)
    _bind(calendar, lake, connection)
    planning.catch_up_sequences(connection)
    planning.reopen_found(connection, days[0], days[-1])
    for day in days:
        planning.reopen_unfinished(connection, day, calendar.over_at(day))
    planning.plan_days(connection, days, again=again)
    if again:
        forget_lost(calendar, lake, connection, days)
    plan = _make_plan(connection, days, days)
    if plan.pending:
        planning.record_backfill(connection, days)
    return plan


def plan_debts(connection: psycopg.Connection) -> Plan:
    """Plan all that is owed, of whatever day, whether it is due or not."""
    planning.catch_up_sequences(connection)
    days = planning.make_debts_due(connection)
    return _make_plan(connection, days, days) if days else Plan((), (), 0, 0)


def forecast_days(connection: psycopg.Connection, first: date, last: date) -> Forecast:
    """Tell what the days from `first` to `last` would take."""
    characters, there, patterns = planning.count_gaps(connection, first, last)
    known, events = planning.count_known(connection)
    return Forecast(
        characters,
        there,
        pending=sum(len(days) * count for days, count in patterns),
        requests=sum(
            estimate_pages(len(run), known, events) * count for days, count in patterns for run in split_runs(days)
        ),
        is_estimate=known > 0,
    )


def estimate_pages(days: int, known: int, events: int) -> int:
    """Estimate the pages of a chain of some days, given that so many `known` character-days have so many events."""
    return max(1, math.ceil(days * events / (known * PAGE_LIMIT))) if known else 1


def check_bond(calendar: Calendar, lake: Lake, connection: psycopg.Connection) -> None:
    """Raise ConfigError if the warehouse is bound to another lake, or the lake's days start at another hour."""
    if planning.read_lake_id(connection) not in (None, lake.read_id(calendar)):
        raise ConfigError(LAKE_MISMATCH)


def _bind(calendar: Calendar, lake: Lake, connection: psycopg.Connection) -> None:
    """Hold the lake and the warehouse together: the ledger of one speaks of the objects of the other."""
    if planning.read_lake_id(connection) is None and not planning.bind_lake(connection, lake.ensure_id(calendar)):
        raise ConfigError(LAKE_MISMATCH)


def _make_plan(connection: psycopg.Connection, days: Sequence[date], shown: Sequence[date]) -> Plan:
    of = planning.read_least_buckets(connection, days)
    return Plan(
        days=tuple(days),
        shards=tuple(Shard(tuple(days), index, of) for index in range(of)),
        characters=planning.count_characters(connection, shown),
        pending=planning.count_open(connection, days),
    )
