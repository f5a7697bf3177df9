"""A day in figures for monitoring, and what of it others may build on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import psycopg

from neople_timeline.digest import fold_digest
from neople_timeline.warehouse.state import read_state


@dataclass(frozen=True)
class Measures:
    """What a monitoring system is told of a day; None where it cannot be told."""

    events: int
    characters: int
    """Character-days collected."""
    missing: int
    owed: int
    owed_in_all: int
    """Character-days of all days that were asked for in vain; those that wait for their first try are not in it."""
    unreadable: int
    """Answers that could not be read, of character-days that are still owed, of all days."""
    requests: int | None
    wasted: int | None
    """Requests that brought no new page."""
    used_share: float | None
    """Useful requests as a share of what the limit allowed in the time of collecting."""
    collecting_seconds: float | None
    lag_seconds: float | None
    """From the end of the day to its proof."""


@dataclass(frozen=True)
class DayTotal:
    """A day's collected character-days and events, and the sum of their digests (docs/architecture.md) in hex."""

    day: date
    characters: int
    events: int
    digest: str


DEBTS_AND_PROOF: Final = """
SELECT (SELECT count(*) FROM timeline.collection WHERE state = 'owed'),
  (SELECT count(*) FROM timeline.unread_letter),
  (SELECT verified_at FROM timeline.day WHERE day = %s)
"""


def measure_day(connection: psycopg.Connection, day: date, ended_at: datetime) -> Measures:
    """Measure a day that ended at an instant; days that were never planned measure zero."""
    state = read_state(connection, day, day)
    totals = {total.day: total for total in total_days(connection, [day])}
    owed, unreadable, proven_at = connection.execute(DEBTS_AND_PROOF, (day,)).fetchone() or (0, 0, None)
    spent = state.spending
    return Measures(
        events=totals[day].events if day in totals else 0,
        characters=state.collected,
        missing=state.missing,
        owed=state.owed,
        owed_in_all=owed,
        unreadable=unreadable,
        requests=spent.usage.requests if spent else None,
        wasted=spent.usage.wasted if spent else None,
        used_share=spent.usage.least_seconds(spent.rate) / spent.usage.seconds
        if spent and spent.usage.seconds
        else None,
        collecting_seconds=spent.usage.seconds if spent else None,
        lag_seconds=(proven_at - ended_at).total_seconds() if proven_at else None,
    )


def count_ledger(connection: psycopg.Connection, day: date) -> tuple[Counter[str], int]:
    """Count a day's character-days by state, and the events that were landed."""
    rows = connection.execute(
        "SELECT state, count(*), coalesce(sum(events), 0) FROM timeline.collection WHERE day = %s GROUP BY 1", (day,)
    ).fetchall()
    return Counter({state: count for state, count, _ in rows}), sum(int(events) for _, _, events in rows)


TOTALS: Final = """
SELECT day, count(*), sum(events), sum(digest::numeric) FROM timeline.collection
WHERE day = ANY(%s) AND raw_key IS NOT NULL
GROUP BY day ORDER BY day
"""


def total_days(connection: psycopg.Connection, days: Sequence[date]) -> list[DayTotal]:
    """Add up what is collected of some days; days without anything are left out."""
    rows = connection.execute(TOTALS, (list(days),))
    return [
        DayTotal(day, characters, int(events), f"{fold_digest(int(digest)) % 2**64:016x}")
        for day, characters, events, digest in rows
    ]
