"""Which days changed since their marts, their proof and their page were made.

Changes, marts and pages take numbers from one sequence, so no clock is trusted: what has a lower number than the change
was made of older rows. A crash between any two steps leaves the day listed here.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Final

import psycopg

from neople_timeline.catalogue import LEARNT_DAYS, MARTS, period_of
from neople_timeline.summary import TREND_DAYS
from neople_timeline.warehouse.connection import hold_locks
from neople_timeline.warehouse.predicates import (
    HAS_MARTS_TO_RENEW,
    HAS_OLD_MARTS,
    MARTS_GENERATION,
    OF_A_BACKFILL,
    OF_DAYS,
    WEEK_GENERATION,
)

DAYS_OF_WEEK: Final = 7
PAGES_LOCK: Final = 710_521
"""Advisory lock of whoever writes pages."""

# The last day of a week is reported together with the week.
_REPORTED_WEEK_GENERATION: Final = f"CASE extract(isodow FROM d.day) WHEN 3 THEN {WEEK_GENERATION} ELSE 0 END"
_SHOWN_BESIDE_GENERATION: Final = f"""(
  SELECT max(generation) FROM timeline.published_mart
  WHERE {OF_DAYS} AND period BETWEEN d.day - {TREND_DAYS - 1} AND d.day - 1)"""
_PROOF_GENERATION: Final = """(
  SELECT max(proven_in) FROM timeline.day p
  WHERE p.day BETWEEN d.day - CASE extract(isodow FROM d.day) WHEN 3 THEN 6 ELSE 0 END AND d.day)"""

UNPUBLISHED_DAYS: Final = f"""
SELECT day FROM timeline.day d
WHERE day < %(before)s AND NOT {OF_A_BACKFILL}
  AND ({HAS_MARTS_TO_RENEW}
    OR (verified_at IS NULL
      AND (changed_in IS NOT NULL
        OR EXISTS (
          SELECT FROM timeline.collection c WHERE c.day = d.day AND state IN ('landed', 'missing')))))
ORDER BY day
""".encode()


def list_unpublished_days(connection: psycopg.Connection, before: date) -> list[date]:
    """List the days before one that were not taken to the end: loaded, computed and proven."""
    rows = connection.execute(UNPUBLISHED_DAYS, {"before": before})
    return [row[0] for row in rows]


CHANGED_DAYS: Final = f"""
SELECT day, {HAS_OLD_MARTS} FROM timeline.day d
WHERE day = ANY(%(days)s) AND changed_in IS NOT NULL
ORDER BY day
""".encode()


def list_changed_days(connection: psycopg.Connection, days: Sequence[date]) -> list[date]:
    """Pick from some days those that changed since their marts were computed, or lack a mart that can be trusted."""
    rows = connection.execute(CHANGED_DAYS, {"days": list(days)}).fetchall()
    marts = {day: {(mart.name, period_of(day, mart.period)) for mart in MARTS} for day, _ in rows}
    periods = {period for of_day in marts.values() for _, period in of_day}
    published = connection.execute(
        "SELECT mart, period FROM timeline.published_mart WHERE period = ANY(%s) AND generation > 0", (list(periods),)
    ).fetchall()
    return [day for day, has_changed in rows if has_changed or not marts[day].issubset(published)]


def list_touched(connection: psycopg.Connection, days: Sequence[date]) -> tuple[date, ...]:
    """List the days whose marts are older than what they read: of a run's days and those after them that learn of them.

    The run's last one in any case.
    """
    reading = {day + timedelta(days=later) for day in days for later in range(LEARNT_DAYS + DAYS_OF_WEEK)}
    return tuple(sorted({*list_changed_days(connection, sorted(reading)), *days[-1:]}))


OUTDATED_PAGES: Final = f"""
SELECT day FROM timeline.day d
WHERE (verified_at IS NOT NULL AND NOT {HAS_OLD_MARTS}
    OR verified_at IS NULL AND 0 < reported_in AND reported_in < proven_in)
  AND reported_in < greatest(
    {MARTS_GENERATION},
    {_REPORTED_WEEK_GENERATION},
    {_PROOF_GENERATION},
    {_SHOWN_BESIDE_GENERATION})
ORDER BY day
""".encode()


def list_outdated_pages(connection: psycopg.Connection) -> list[date]:
    """List the days of whose pages something was computed, proven or disproved since they were written."""
    return [row[0] for row in connection.execute(OUTDATED_PAGES)]


def hold_pages(connection: psycopg.Connection) -> AbstractContextManager[None]:
    """Keep other runs from writing pages, so that none is made of older rows than the one it replaces."""
    return hold_locks(connection, [(PAGES_LOCK, 0)])


BEGIN_PAGE: Final = """
UPDATE timeline.day SET reported_in = 0 WHERE day = %s AND (verified_at IS NOT NULL OR reported_in IS NULL)
"""


def begin_page(connection: psycopg.Connection, day: date) -> None:
    """Note that a day's page is being written: it is outdated until page and mail are out, wherever the run ends.

    That of a day that is not proven brings no mail, and is outdated by its proof or disproof alone.
    """
    connection.execute(BEGIN_PAGE, (day,))


def record_page(connection: psycopg.Connection, day: date, generation: int) -> None:
    """Note that a day's page shows everything that changed before its generation was taken, and was mailed."""
    connection.execute("UPDATE timeline.day SET reported_in = %s WHERE day = %s", (generation, day))
