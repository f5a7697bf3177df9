"""The ledger before it is filled: which character-days there are to collect, debts among them, and in which shards."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import psycopg

from neople_timeline.errors import ConfigError
from neople_timeline.models import MOST_BUCKETS, add_months
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.predicates import COLLECTED, DUE, OF_A_BACKFILL, OPEN, TOO_EARLY, WELL_FORMED

PLAN_LOCK: Final = 7_105_206_603
DAYS_PLANNED_AT_ONCE: Final = 7
"""So that planning a long backfill keeps nobody else from planning for long."""

UNTRIED_AT_ONCE: Final = 7
"""How many days that nobody has begun to collect a daily run takes along, so that its own day is not kept waiting."""


def bind_lake(connection: psycopg.Connection, lake_id: str) -> bool:
    """Bind the warehouse to a lake unless it is bound; say whether it is bound to this one."""
    connection.execute("INSERT INTO timeline.setting VALUES ('lake_id', %s) ON CONFLICT DO NOTHING", (lake_id,))
    return read_lake_id(connection) == lake_id


def read_lake_id(connection: psycopg.Connection) -> str | None:
    """Read which lake the warehouse is bound to, None before its first use."""
    row = connection.execute("SELECT value FROM timeline.setting WHERE name = 'lake_id'").fetchone()
    return row[0] if row else None


CATCH_UP: Final = """
SELECT setval('timeline.mart_generation', highest) FROM (
  SELECT greatest(max(changed_in), max(proven_in), max(reported_in), (
    SELECT max(generation) FROM timeline.published_mart)) AS highest
  FROM timeline.day) AS day
WHERE highest > (SELECT last_value FROM timeline.mart_generation)
UNION ALL
SELECT setval('timeline.worker_worker_id_seq', highest) FROM (
  SELECT max(worker_id) AS highest FROM timeline.worker) AS worker
WHERE highest > (SELECT last_value FROM timeline.worker_worker_id_seq)
"""


def catch_up_sequences(connection: psycopg.Connection) -> None:
    """Have sequences go on after the highest number that was given out.

    A restore of the tables alone leaves them at their start: what is new would pass for older than what is there.
    """
    connection.execute(CATCH_UP)


def require_roster(connection: psycopg.Connection) -> None:
    """Refuse to plan for nobody: a day without characters would be called complete, and its mail would be spent."""
    if connection.execute("SELECT FROM timeline.roster LIMIT 1").fetchone() is None:
        raise ConfigError("the roster is empty: fill it with `neople-timeline roster import FILE.csv` or `roster add`")


def create_partitions(connection: psycopg.Connection, days: Sequence[date]) -> None:
    """Make room for the months of some days."""
    for month in sorted({day.replace(day=1) for day in days}):
        for table in ("collection", "event", "character"):
            name = f"timeline.{table}_{month:%Y_%m}"
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN_LOCK,))
                if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
                    continue
                # Made and then attached: creating it as a partition would lock out everybody who reads the table.
                connection.execute(f"CREATE TABLE {name} (LIKE timeline.{table} INCLUDING ALL)".encode())
                _copy_statistics_targets(connection, f"timeline.{table}", name)
                bounds = f"FROM ('{month}') TO ('{add_months(month, 1)}')"
                connection.execute(f"ALTER TABLE timeline.{table} ATTACH PARTITION {name} FOR VALUES {bounds}".encode())


def _copy_statistics_targets(connection: psycopg.Connection, table: str, partition: str) -> None:
    """Have none gathered of the columns for which the migrations turned that off; LIKE does not copy it."""
    columns = connection.execute(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attstattarget = 0 AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    for (column,) in columns.fetchall():
        connection.execute(f"ALTER TABLE {partition} ALTER {column} SET STATISTICS 0".encode())


MAKE_DAYS: Final = """
INSERT INTO timeline.day (day, buckets)
SELECT d, greatest(2, least(%s,
  2 ^ ceil(log(2, greatest(1, (SELECT count(*) FROM timeline.roster)) / 5000.0))))
FROM unnest(%s::date[]) AS d
ON CONFLICT DO NOTHING
"""

PLAN_ROSTER: Final = f"""
INSERT INTO timeline.collection (day, server_id, character_id, bucket, state, reason)
SELECT day, server_id, character_id, slot %% buckets,
  CASE WHEN {WELL_FORMED} THEN 'planned' ELSE 'missing' END,
  CASE WHEN NOT {WELL_FORMED} THEN 'malformed id: correct the roster' END
FROM timeline.day, timeline.roster
WHERE day = ANY(%s)
ON CONFLICT DO NOTHING
""".encode()

MAKE_DUE: Final = """
UPDATE timeline.collection SET next_try_at = NULL
WHERE day = ANY(%s) AND state = 'owed' AND next_try_at IS NOT NULL
"""

# Claims end with it: whoever is at work on them asked before this was asked for.
PLAN_AGAIN: Final = f"""
UPDATE timeline.collection
SET state = 'planned', worker_id = NULL, reason = NULL, attempts = 0, next_try_at = NULL, doubted_at = NULL
WHERE day = ANY(%s) AND (state <> 'planned' OR worker_id IS NOT NULL) AND {WELL_FORMED}
""".encode()


def plan_days(connection: psycopg.Connection, days: Sequence[date], *, again: bool) -> None:
    """Write a ledger row for every roster character and day that has none.

    Owed ones become due at once; with `again`, all are collected anew.
    """
    create_partitions(connection, days)
    for start in range(0, len(days), DAYS_PLANNED_AT_ONCE):
        _plan_at_once(connection, days[start : start + DAYS_PLANNED_AT_ONCE], again=again)


def _plan_at_once(connection: psycopg.Connection, days: Sequence[date], *, again: bool) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN_LOCK,))
        connection.execute(MAKE_DAYS, (MOST_BUCKETS, list(days)))
        connection.execute(PLAN_ROSTER, (list(days),))
        connection.execute(MAKE_DUE, (list(days),))
        if again:
            connection.execute(PLAN_AGAIN, (list(days),))


MISSED: Final = """
SELECT d::date
FROM timeline.setting, generate_series((value::date + 1)::timestamp, (%s::date - 1)::timestamp, '1 day') AS d
WHERE name = 'followed_to' AND NOT EXISTS (SELECT FROM timeline.day WHERE day = d::date)
ORDER BY d
"""


def plan_missed(connection: psycopg.Connection, day: date) -> list[date]:
    """Plan the days before one, since the last that the daily runs came to, that no run was about.

    So they are owed, and get their reports once they are collected. The very first run misses nothing.
    """
    missed = [row[0] for row in connection.execute(MISSED, (day,))]
    create_partitions(connection, missed)
    for start in range(0, len(missed), DAYS_PLANNED_AT_ONCE):
        some = missed[start : start + DAYS_PLANNED_AT_ONCE]
        with connection.transaction():
            _plan_at_once(connection, some, again=False)
            connection.execute("UPDATE timeline.day SET reported_in = 0 WHERE day = ANY(%s)", (some,))
    return missed


def owe_report(connection: psycopg.Connection, day: date) -> None:
    """Note that a day is to be reported: if its own run dies before, a later one does so."""
    connection.execute("UPDATE timeline.day SET reported_in = 0 WHERE day = %s AND reported_in IS NULL", (day,))


MARK_FOLLOWED: Final = """
INSERT INTO timeline.setting AS s VALUES ('followed_to', %s::date::text)
ON CONFLICT (name) DO UPDATE SET value = greatest(s.value::date, excluded.value::date)::text
"""


def mark_followed(connection: psycopg.Connection, day: date) -> None:
    """Note that the daily runs have come to a day. Only once it is planned: until then it may still be missed."""
    connection.execute(MARK_FOLLOWED, (day,))


REOPEN_FOUND: Final = f"""
UPDATE timeline.collection m SET state = 'planned', reason = NULL
WHERE m.day BETWEEN %s AND %s AND m.state = 'missing' AND {WELL_FORMED}
  AND EXISTS (
    SELECT FROM timeline.collection c
    WHERE c.server_id = m.server_id AND c.character_id = m.character_id
      AND {COLLECTED} AND c.asked_at > m.claimed_at)
""".encode()


def reopen_found(connection: psycopg.Connection, first: date, last: date) -> None:
    """Collect again the days on which a character was missing that the API has found since.

    It was there all the time: the API had lost it for a while.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN_LOCK,))
        connection.execute(REOPEN_FOUND, (first, last))


REOPEN_UNFINISHED: Final = f"""
UPDATE timeline.collection c SET state = 'planned', reason = NULL
WHERE day = %(day)s AND {TOO_EARLY}
""".encode()


def reopen_unfinished(connection: psycopg.Connection, day: date, over_at: datetime) -> None:
    """Collect again what was asked for before the day was over, however late it landed."""
    connection.execute(REOPEN_UNFINISHED, {"day": day, "over_at": over_at})


def count_open(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Count the character-days that still have to be collected."""
    query = f"SELECT count(*) FROM timeline.collection c WHERE day = ANY(%s) AND {OPEN}".encode()
    return ask_number(connection, query, (list(days),))


INDEBTED_DAYS: Final = f"""
SELECT day FROM (
  SELECT day, tried, row_number() OVER (PARTITION BY tried ORDER BY day DESC) AS place
  FROM timeline.day d, LATERAL (
    SELECT EXISTS (SELECT FROM timeline.collection c WHERE c.day = d.day AND attempts > 0) AS tried
  ) AS begun
  WHERE day < %s AND NOT {OF_A_BACKFILL}
    AND EXISTS (SELECT FROM timeline.collection c WHERE c.day = d.day AND {OPEN} AND {DUE})
) AS indebted
WHERE tried OR place <= %s ORDER BY day
""".encode()


def list_indebted_days(connection: psycopg.Connection, before: date) -> list[date]:
    """List the days before one that owe something which is due, but for those that are a backfill's.

    Of those that nobody has begun to collect, only the newest few: the next runs take the others.
    """
    return [row[0] for row in connection.execute(INDEBTED_DAYS, (before, UNTRIED_AT_ONCE))]


def record_backfill(connection: psycopg.Connection, days: Sequence[date]) -> None:
    """Note that a backfill planned some days: its collectors may wait for a free slot."""
    connection.execute("INSERT INTO timeline.backfill VALUES (%s, %s)", (min(days), max(days)))


def read_least_buckets(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Give the least number of buckets among some planned days: shards of that number hold whole buckets."""
    query = "SELECT coalesce(min(buckets), 1) FROM timeline.day WHERE day = ANY(%s)"
    return ask_number(connection, query, (list(days),))


def count_characters(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Count the characters that the ledger has on some days."""
    query = "SELECT count(DISTINCT (server_id, character_id)) FROM timeline.collection WHERE day = ANY(%s)"
    return ask_number(connection, query, (list(days),))


def make_debts_due(connection: psycopg.Connection) -> list[date]:
    """Make everything owed due now, and return the days on which anything is still to be collected."""
    connection.execute(
        "UPDATE timeline.collection SET next_try_at = NULL WHERE state = 'owed' AND next_try_at IS NOT NULL"
    )
    rows = connection.execute(f"SELECT DISTINCT day FROM timeline.collection c WHERE {OPEN} ORDER BY day".encode())
    return [row[0] for row in rows]


def count_known(connection: psycopg.Connection) -> tuple[int, int]:
    """Count the character-days that are in Parquet, and their events: by part, which are few however many these are."""
    query = "SELECT coalesce(sum(characters), 0)::bigint, coalesce(sum(events), 0)::bigint FROM timeline.part"
    return connection.execute(query).fetchone() or (0, 0)


GAPS: Final = f"""
WITH gap AS (
  SELECT r.server_id, r.character_id, array_agg(d::date ORDER BY d) FILTER (WHERE c.day IS NULL) AS days,
    count(c.day) AS there
  FROM timeline.roster r
  CROSS JOIN generate_series(%(first)s::timestamp, %(last)s::timestamp, '1 day') AS d
  LEFT JOIN timeline.collection c
    ON c.day = d::date AND c.server_id = r.server_id AND c.character_id = r.character_id AND NOT {OPEN}
      AND c.day BETWEEN %(first)s AND %(last)s
  GROUP BY 1, 2
)
SELECT days, count(*), sum(there) FROM gap GROUP BY days
""".encode()


def count_gaps(
    connection: psycopg.Connection, first: date, last: date
) -> tuple[int, int, list[tuple[list[date], int]]]:
    """Count the roster, its character-days that are settled, and how many characters lack which days."""
    rows = connection.execute(GAPS, {"first": first, "last": last}).fetchall()
    characters = sum(count for _, count, _ in rows)
    return characters, int(sum(there for _, _, there in rows)), [(days, count) for days, count, _ in rows if days]
