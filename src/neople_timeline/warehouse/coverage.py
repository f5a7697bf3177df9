"""Reads which days are there, what is owed of them, and how much of the API's limit is lent out."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import psycopg

from neople_timeline.summary import DataState
from neople_timeline.warehouse.predicates import LOST
from neople_timeline.warehouse.state import read_state

# Open character-days are few and have an index; the others are counted by what refine noted of them.
DAYS: Final = """
SELECT day, verified_at IS NOT NULL,
  (SELECT coalesce(sum(characters), 0)::bigint FROM timeline.part WHERE part.day = d.day),
  (SELECT count(*) FROM timeline.collection c WHERE c.day = d.day AND state = 'planned'),
  (SELECT count(*) FROM timeline.collection c WHERE c.day = d.day AND state = 'owed')
FROM timeline.day d WHERE day BETWEEN %s AND %s ORDER BY day
"""

QUOTA: Final = f"""
SELECT
  (SELECT max(allowed_rate) FROM timeline.worker WHERE worker_id = (SELECT max(worker_id) FROM timeline.worker)),
  (SELECT coalesce(sum(permits), 0) FROM timeline.rate_lease WHERE expires_at > now()),
  (SELECT greatest(0, extract(epoch FROM max(paused_until) - now()))::float FROM timeline.rate_budget),
  coalesce(sum(requests), 0)::bigint, coalesce(sum(retried + repeated + throttled + {LOST}), 0)::bigint
FROM timeline.worker WHERE started_at > now() - interval '1 day'
""".encode()


@dataclass(frozen=True)
class CoveredDay:
    """How much there is of a day, in characters."""

    day: date
    is_verified: bool
    collected: int
    planned: int
    """To be collected: not tried yet, or their collector is at it, or died."""
    owed: int


@dataclass(frozen=True)
class Quota:
    """What the API allows, what of it is lent out now, and what the last 24 hours asked for."""

    rate: int | None
    lent: int
    paused_seconds: float
    requests: int
    wasted: int


@dataclass(frozen=True)
class Coverage:
    """Which days there are from the first to the last, the state of a chosen one, and the day of the newest report."""

    first: date
    last: date
    days: tuple[CoveredDay, ...]
    chosen: date | None
    state: DataState | None
    report: date | None
    quota: Quota


def read_coverage(
    connection: psycopg.Connection, first: date, last: date, chosen: date | None, report: date | None
) -> Coverage:
    """Read the days from `first` to `last`, and what is owed of a chosen one."""
    rate, lent, paused, requests, wasted = connection.execute(QUOTA).fetchone() or (None, 0, 0.0, 0, 0)
    return Coverage(
        first=first,
        last=last,
        days=tuple(CoveredDay(*row) for row in connection.execute(DAYS, (first, last))),
        chosen=chosen,
        state=read_state(connection, chosen, chosen) if chosen else None,
        report=report,
        quota=Quota(rate, lent, paused or 0.0, requests, wasted),
    )


def list_newest_days(connection: psycopg.Connection, count: int) -> list[date]:
    """List the days that were planned last, the newest first."""
    rows = connection.execute("SELECT day FROM timeline.day ORDER BY day DESC LIMIT %s", (count,))
    return [row[0] for row in rows]
