"""Reads how complete some days are: what was collected, what is missing or owed and why, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import psycopg

from neople_timeline.models import Reject, Usage, days_between
from neople_timeline.summary import DataState, LedgerLine, Spending
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.predicates import (
    COLLECTED_STATES,
    HAS_OLD_MARTS,
    LOST,
    OF_A_BACKFILL,
    OPEN,
    OPEN_STATES,
    TOO_EARLY,
)

SHOWN: Final = 50
REASONS: Final = 20

LEDGER: Final = """
SELECT c.day, c.days, c.server_id, c.character_id,
  coalesce(r.name, (
    SELECT k.character_name FROM timeline.character k
    WHERE k.day BETWEEN c.day - 14 AND c.day + 14 AND k.server_id = c.server_id AND k.character_id = c.character_id
    ORDER BY k.day <= c.day DESC, abs(k.day - c.day) LIMIT 1), ''),
  c.reason
FROM (
  SELECT min(day) AS day, count(*) AS days, server_id, character_id, coalesce(reason, 'not collected yet') AS reason
  FROM timeline.collection WHERE day BETWEEN %s AND %s AND state = ANY(%s)
  GROUP BY server_id, character_id, coalesce(reason, 'not collected yet')
  ORDER BY day, server_id, character_id, reason LIMIT %s
) AS c LEFT JOIN timeline.roster r USING (server_id, character_id) ORDER BY c.day, c.server_id, c.character_id, c.reason
"""

# Workers run side by side and again after a pause: only the time in which at least one was at work counts.
SPENDING: Final = f"""
SELECT sum(requests)::bigint, sum(retried)::bigint, sum(repeated)::bigint, sum(throttled)::bigint,
  sum({LOST})::bigint,
  (SELECT extract(epoch FROM sum(upper(span) - lower(span)))::float
   FROM unnest(range_agg(tstzrange(started_at, seen_at))) AS span),
  max(allowed_rate)
FROM timeline.worker WHERE kind = 'daily' AND last_day BETWEEN %s AND %s AND requests > 0
""".encode()

# A day is refined once something of it has landed. What a backfill has planned is not waited for: it is under way.
WAITING: Final = f"""
SELECT day FROM timeline.day d WHERE day < %s AND NOT {OF_A_BACKFILL}
  AND NOT EXISTS (SELECT FROM timeline.part p WHERE p.day = d.day)
  AND EXISTS (SELECT FROM timeline.collection c WHERE c.day = d.day AND {OPEN}) ORDER BY day
""".encode()


MOST_FREQUENT_REASONS: Final = """
SELECT coalesce(reason, 'not collected yet'), count(*) FROM timeline.collection
WHERE day BETWEEN %s AND %s AND state = ANY(%s)
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s
"""

PROVEN: Final = f"""
SELECT day, verified_at IS NOT NULL AND NOT {HAS_OLD_MARTS}
FROM timeline.day d WHERE day BETWEEN %(first)s AND %(last)s
""".encode()

PROVISIONAL: Final = f"""
SELECT clock_timestamp() < %(over_at)s
  OR EXISTS (SELECT FROM timeline.collection c WHERE day = %(day)s AND {TOO_EARLY})
""".encode()


@dataclass(frozen=True)
class Gaps:
    """What is lacking of some days, for who takes their rows."""

    absent: tuple[date, ...]
    """Days that nobody has planned."""
    unproven: tuple[date, ...]
    """Planned ones that are not proven, or whose marts are older than their rows."""
    owed: int
    """Character-days."""


def read_state(connection: psycopg.Connection, first: date, last: date) -> DataState:
    """Read the state of the days from `first` to `last`; of long lists only the first are read."""
    counts = _count_states(connection, first, last)
    reasons = connection.execute(MOST_FREQUENT_REASONS, (first, last, list(OPEN_STATES), REASONS)).fetchall()
    rejects = connection.execute(
        "SELECT line_number, line, reason FROM timeline.roster_reject ORDER BY 1 LIMIT %s", (SHOWN,)
    ).fetchall()
    gaps = _find_gaps(connection, first, last, counts)
    return DataState(
        planned=sum(counts.values()),
        collected=sum(counts.get(state, 0) for state in COLLECTED_STATES),
        missing=counts.get("missing", 0),
        owed=gaps.owed,
        debts=_read_ledger(connection, first, last, OPEN_STATES),
        reasons=tuple((reason, count) for reason, count in reasons),
        missing_characters=_read_ledger(connection, first, last, ("missing",)),
        rejects=tuple(Reject(*row) for row in rejects),
        rejected=ask_number(connection, "SELECT count(*) FROM timeline.roster_reject"),
        spending=_read_spending(connection, first, last),
        is_verified=not (gaps.absent or gaps.unproven),
        absent=gaps.absent,
        waiting=tuple(row[0] for row in connection.execute(WAITING, (first,))),
    )


def find_gaps(connection: psycopg.Connection, first: date, last: date) -> Gaps:
    """Find what is lacking of the days from `first` to `last`."""
    return _find_gaps(connection, first, last, _count_states(connection, first, last))


def _find_gaps(connection: psycopg.Connection, first: date, last: date, counts: Mapping[str, int]) -> Gaps:
    known: dict[date, bool] = dict(connection.execute(PROVEN, {"first": first, "last": last}).fetchall())
    return Gaps(
        absent=tuple(day for day in days_between(first, last) if day not in known),
        unproven=tuple(day for day, is_proven in sorted(known.items()) if not is_proven),
        owed=sum(counts.get(state, 0) for state in OPEN_STATES),
    )


def is_provisional(connection: psycopg.Connection, day: date, over_at: datetime) -> bool:
    """Say whether a day runs until `over_at`, or was collected in part while it ran."""
    row = connection.execute(PROVISIONAL, {"day": day, "over_at": over_at}).fetchone()
    return bool(row and row[0])


def _count_states(connection: psycopg.Connection, first: date, last: date) -> dict[str, int]:
    rows = connection.execute(
        "SELECT state, count(*) FROM timeline.collection WHERE day BETWEEN %s AND %s GROUP BY 1", (first, last)
    )
    return dict(rows.fetchall())


def _read_ledger(
    connection: psycopg.Connection, first: date, last: date, states: tuple[str, ...]
) -> tuple[LedgerLine, ...]:
    return tuple(LedgerLine(*row) for row in connection.execute(LEDGER, (first, last, list(states), SHOWN)))


def _read_spending(connection: psycopg.Connection, first: date, last: date) -> Spending | None:
    row = connection.execute(SPENDING, (first, last)).fetchone()
    if row is None or row[0] is None:
        return None
    *used, rate = row
    return Spending(Usage(*used), rate)
