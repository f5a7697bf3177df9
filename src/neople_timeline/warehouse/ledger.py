"""The ledger: which character-days there are, who is collecting them, and where their raw answers landed.

A collector registers as a *worker*, whose id is the fencing generation of its claims. It claims character-days, lands
their answers in the lake, and only then commits them here, in one statement that changes nothing for claims lost
meanwhile. Raw objects that no row points to are orphans and never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import psycopg

from neople_timeline.models import CharacterKey, Kind, Shard, Usage, split_windows
from neople_timeline.warehouse.days import OF_A_BACKFILL, TOUCH

LEASE_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 5
PLAN_LOCK: Final = 7_105_206_603
CLAIM_LOCK: Final = 7_105_206_604
"""Advisory lock of whoever claims: two at a time would lock the same rows in different orders."""

MOST_BUCKETS: Final = 16
DAYS_PLANNED_AT_ONCE: Final = 7
"""So that planning a long backfill keeps nobody else from planning for long."""

UNTRIED_AT_ONCE: Final = 7
"""How many days that nobody has begun to collect a daily run takes along, so that its own day is not kept waiting."""

_OPEN = "c.day = ANY(%(days)s) AND c.bucket = ANY(%(buckets)s) AND c.state IN ('planned', 'owed')"
_LIVE = "(SELECT worker_id FROM timeline.worker WHERE expires_at > clock_timestamp() AND finished_at IS NULL)"
_FREE = f"(c.worker_id IS NULL OR (c.worker_id <> %(me)s AND c.worker_id NOT IN {_LIVE}))"
_DUE = "(c.next_try_at IS NULL OR c.next_try_at <= clock_timestamp())"


@dataclass(frozen=True)
class Claim:
    """A character and days of it that follow each other, at most 90, which this worker may collect in one chain."""

    character: CharacterKey
    days: tuple[date, ...]
    bucket: int
    """Of the first day: claims of one bucket are landed together."""


@dataclass(frozen=True)
class Landed:
    """A character-day whose answer is in a raw object."""

    day: date
    character: CharacterKey
    events: int
    digest: int


def bind_lake(connection: psycopg.Connection, lake_id: str) -> bool:
    """Bind the warehouse to a lake unless it is bound; say whether it is bound to this one."""
    connection.execute("INSERT INTO timeline.setting VALUES ('lake_id', %s) ON CONFLICT DO NOTHING", (lake_id,))
    row = connection.execute("SELECT value FROM timeline.setting WHERE name = 'lake_id'").fetchone()
    return bool(row == (lake_id,))


def create_partitions(connection: psycopg.Connection, days: Sequence[date]) -> None:
    """Make room for the months of some days."""
    for month in sorted({day.replace(day=1) for day in days}):
        after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        for table in ("collection", "event", "character"):
            name = f"timeline.{table}_{month:%Y_%m}"
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN_LOCK,))
                if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
                    continue
                # Made and then attached: creating it as a partition would lock out everybody who reads the table.
                connection.execute(f"CREATE TABLE {name} (LIKE timeline.{table} INCLUDING ALL)")
                connection.execute(
                    f"ALTER TABLE timeline.{table} ATTACH PARTITION {name} FOR VALUES FROM ('{month}') TO ('{after}')"
                )


def plan_days(connection: psycopg.Connection, days: Sequence[date], *, again: bool) -> int:
    """Write a ledger row for every roster character and day that has none; return how many are to be collected.

    Owed ones become due at once. Those landed before their day was over, or all with `again`, are collected anew.
    """
    create_partitions(connection, days)
    for start in range(0, len(days), DAYS_PLANNED_AT_ONCE):
        _plan_at_once(connection, days[start : start + DAYS_PLANNED_AT_ONCE], again=again)
    return count_open(connection, days)


def _plan_at_once(connection: psycopg.Connection, days: Sequence[date], *, again: bool) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN_LOCK,))
        connection.execute(
            "INSERT INTO timeline.day (day, buckets) SELECT d, greatest(2, least(%s,"
            " 2 ^ ceil(log(2, greatest(1, (SELECT count(*) FROM timeline.roster)) / 5000.0))))"
            " FROM unnest(%s::date[]) AS d ON CONFLICT DO NOTHING",
            (MOST_BUCKETS, list(days)),
        )
        connection.execute(
            "INSERT INTO timeline.collection (day, server_id, character_id, bucket, state, reason)"
            " SELECT day, server_id, character_id, slot %% buckets,"
            " CASE WHEN well_formed THEN 'planned' ELSE 'missing' END,"
            " CASE WHEN NOT well_formed THEN 'malformed id: correct the roster' END"
            " FROM timeline.day, timeline.roster, LATERAL (SELECT"
            "  server_id ~ '^[a-z]+$' AND character_id ~ '^[0-9a-f]{32}$' AS well_formed) AS checked"
            " WHERE day = ANY(%s) ON CONFLICT DO NOTHING",
            (list(days),),
        )
        connection.execute(
            "UPDATE timeline.collection SET next_try_at = NULL"
            " WHERE day = ANY(%s) AND state = 'owed' AND next_try_at IS NOT NULL",
            (list(days),),
        )
        if again:
            connection.execute(
                "UPDATE timeline.collection SET state = 'planned', reason = NULL, attempts = 0, next_try_at = NULL"
                " WHERE day = ANY(%s) AND state <> 'planned'"
                " AND reason IS DISTINCT FROM 'malformed id: correct the roster'",
                (list(days),),
            )


def plan_missed(connection: psycopg.Connection, day: date) -> list[date]:
    """Note that the daily runs have come to a day, and plan the days since the last one that no run was about.

    So they are owed, and get their reports once they are collected. The very first run misses nothing.
    """
    rows = connection.execute(
        "SELECT d::date FROM timeline.setting, generate_series(value::date + 1, %s::date - 1, '1 day') AS d"
        " WHERE name = 'followed_to' AND NOT EXISTS (SELECT FROM timeline.day WHERE day = d::date) ORDER BY d",
        (day,),
    ).fetchall()
    missed = [row[0] for row in rows]
    create_partitions(connection, missed)
    for start in range(0, len(missed), DAYS_PLANNED_AT_ONCE):
        some = missed[start : start + DAYS_PLANNED_AT_ONCE]
        with connection.transaction():
            _plan_at_once(connection, some, again=False)
            connection.execute("UPDATE timeline.day SET reported_in = 0 WHERE day = ANY(%s)", (some,))
    # Last, so that days are missed until they are planned.
    connection.execute(
        "INSERT INTO timeline.setting AS s VALUES ('followed_to', %s::date::text) ON CONFLICT (name)"
        " DO UPDATE SET value = greatest(s.value::date, excluded.value::date)::text",
        (day,),
    )
    return missed


def reopen_unfinished(connection: psycopg.Connection, day: date, over_at: datetime) -> None:
    """Collect again what was asked for before the day was over, however late it landed."""
    connection.execute(
        "UPDATE timeline.collection SET state = 'planned', reason = NULL"
        " WHERE day = %s AND asked_at < %s AND state IN ('landed', 'loaded', 'verified', 'missing')",
        (day, over_at),
    )


def count_open(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Count the character-days that still have to be collected."""
    row = connection.execute(
        "SELECT count(*) FROM timeline.collection WHERE day = ANY(%s) AND state IN ('planned', 'owed')", (list(days),)
    ).fetchone()
    return int(row[0]) if row else 0


def list_indebted_days(connection: psycopg.Connection, before: date) -> list[date]:
    """List the days before one that owe something which is due, but for those that are a backfill's.

    Of those that nobody has begun to collect, only the newest few: the next runs take the others.
    """
    rows = connection.execute(
        "SELECT day FROM (SELECT day, tried, row_number() OVER (PARTITION BY tried ORDER BY day DESC) AS place"
        "  FROM timeline.day d, LATERAL (SELECT EXISTS (SELECT FROM timeline.collection c"
        "   WHERE c.day = d.day AND attempts > 0) AS tried) AS begun"
        f"  WHERE day < %s AND NOT {OF_A_BACKFILL} AND EXISTS (SELECT FROM timeline.collection c"
        f"   WHERE c.day = d.day AND state IN ('planned', 'owed') AND {_DUE})) AS indebted"
        " WHERE tried OR place <= %s ORDER BY day",
        (before, UNTRIED_AT_ONCE),
    )
    return [row[0] for row in rows]


def announce_backfill(connection: psycopg.Connection, days: Sequence[date], rate: int) -> None:
    """Note that a backfill planned some days, as a collector that has ended: its real ones may wait for a free slot."""
    connection.execute(
        "INSERT INTO timeline.worker (kind, first_day, last_day, expires_at, finished_at, allowed_rate)"
        " VALUES ('backfill', %s, %s, clock_timestamp(), clock_timestamp(), %s)",
        (min(days), max(days), rate),
    )


def read_least_buckets(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Give the least number of buckets among some planned days: shards of that number hold whole buckets."""
    row = connection.execute("SELECT min(buckets) FROM timeline.day WHERE day = ANY(%s)", (list(days),)).fetchone()
    return int(row[0]) if row and row[0] else 1


def start_worker(connection: psycopg.Connection, shard: Shard, kind: Kind, rate: int) -> int:
    """Register a collector and return its id, greater than all before it."""
    row = connection.execute(
        "INSERT INTO timeline.worker (kind, first_day, last_day, expires_at, allowed_rate)"
        " VALUES (%s, %s, %s, clock_timestamp() + %s * interval '1 second', %s) RETURNING worker_id",
        (kind, min(shard.days), max(shard.days), LEASE_SECONDS, rate),
    ).fetchone()
    return int(row[0]) if row else 0


def keep_alive(connection: psycopg.Connection, worker_id: int, usage: Usage) -> None:
    """Prolong a worker's claims and note what it has spent."""
    connection.execute(
        "UPDATE timeline.worker SET seen_at = clock_timestamp(),"
        " expires_at = clock_timestamp() + %s * interval '1 second',"
        " requests = %s, retried = %s, repeated = %s, throttled = %s, unlanded = %s WHERE worker_id = %s",
        (
            LEASE_SECONDS,
            usage.requests,
            usage.retried,
            usage.repeated,
            usage.throttled,
            usage.unlanded,
            worker_id,
        ),
    )


def finish_worker(connection: psycopg.Connection, worker_id: int, usage: Usage) -> None:
    """Let go of a worker's claims."""
    keep_alive(connection, worker_id, usage)
    connection.execute(
        "UPDATE timeline.worker SET expires_at = clock_timestamp(), finished_at = clock_timestamp()"
        " WHERE worker_id = %s",
        (worker_id,),
    )


def claim_characters(connection: psycopg.Connection, worker_id: int, shard: Shard, limit: int) -> list[Claim]:
    """Claim all open, due days of the next few characters of a shard; the oldest days come first, and so do debts.

    What the worker has already is never given to it again, even after its lease ran out.
    """
    statement = (
        # In the order of an index, which is read only until there are enough, however many are open.
        "WITH chosen AS (SELECT DISTINCT server_id, character_id FROM ("
        "  SELECT server_id, character_id FROM timeline.collection c"
        f"  WHERE {_OPEN} AND {_DUE} AND {_FREE}"
        "  ORDER BY day, bucket, server_id, character_id LIMIT %(limit)s) AS next)"
        " UPDATE timeline.collection c SET worker_id = %(me)s, attempts = attempts + 1 FROM chosen"
        "  WHERE c.server_id = chosen.server_id AND c.character_id = chosen.character_id"
        f"  AND {_OPEN} AND {_DUE} AND {_FREE}"
        " RETURNING c.server_id, c.character_id, c.day, c.bucket"
    )
    values = {**_describe(shard), "limit": limit, "me": worker_id}
    # One text is one transaction of PostgreSQL's own: who is paused in the middle of it does not keep the lock.
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"SELECT pg_advisory_xact_lock({CLAIM_LOCK}); {statement}".encode(), values)
    cursor.nextset()
    rows = cursor.fetchall()
    claimed: dict[CharacterKey, dict[date, int]] = {}
    for server_id, character_id, day, bucket in rows:
        claimed.setdefault(CharacterKey(server_id, character_id), {})[day] = bucket
    return [
        Claim(character, run, buckets[run[0]])
        for character, buckets in sorted(claimed.items())
        for run in split_windows(buckets)
    ]


def count_left(connection: psycopg.Connection, worker_id: int, shard: Shard) -> int:
    """Count the open, due character-days of a shard that are not this worker's: free ones, and those with others."""
    row = connection.execute(
        f"SELECT count(*) FROM timeline.collection c WHERE {_OPEN} AND {_DUE} AND c.worker_id IS DISTINCT FROM %(me)s",
        {**_describe(shard), "me": worker_id},
    ).fetchone()
    return int(row[0]) if row else 0


def _describe(shard: Shard) -> dict[str, list[date] | list[int]]:
    return {"days": list(shard.days), "buckets": list(range(shard.index, MOST_BUCKETS, shard.of))}


def commit_landed(
    connection: psycopg.Connection, worker_id: int, raw_key: str, landed: Sequence[Landed], seconds: float
) -> tuple[int, int]:
    """Point the ledger to a raw object; count the character-days that were still this worker's, and their events.

    The API was asked for the first of them `seconds` ago: what happened later need not be in the answers. All instants
    of the ledger are on PostgreSQL's clock.
    """
    cursor = connection.execute(
        "WITH landed AS ("
        "  UPDATE timeline.collection c SET state = 'landed', raw_key = %s, events = n.events, digest = n.digest,"
        "   asked_at = clock_timestamp() - %s * interval '1 second',"
        "   worker_id = NULL, reason = NULL, next_try_at = NULL"
        "  FROM unnest(%s::date[], %s::text[], %s::text[], %s::integer[], %s::bigint[])"
        "   AS n(day, server_id, character_id, events, digest)"
        "  WHERE c.day = n.day AND c.server_id = n.server_id AND c.character_id = n.character_id AND c.worker_id = %s"
        "  RETURNING c.day, c.server_id, c.character_id, c.events),"
        " touched AS (UPDATE timeline.day SET verified_at = NULL"
        "  WHERE day IN (SELECT day FROM landed) AND verified_at IS NOT NULL),"
        " replayed AS (UPDATE timeline.dead_letter AS d SET replayed_at = clock_timestamp() FROM landed AS n"
        "  WHERE d.replayed_at IS NULL AND n.day BETWEEN d.first_day AND d.last_day"
        "  AND d.server_id = n.server_id AND d.character_id = n.character_id)"
        " SELECT count(*), coalesce(sum(events), 0) FROM landed",
        (
            raw_key,
            seconds,
            [one.day for one in landed],
            [one.character.server_id for one in landed],
            [one.character.character_id for one in landed],
            [one.events for one in landed],
            [one.digest for one in landed],
            worker_id,
        ),
    )
    count, events = cursor.fetchone() or (0, 0)
    return int(count), int(events)


def was_there(connection: psycopg.Connection, character: CharacterKey) -> bool:
    """Say whether the API knew a character on the newest day of which it said anything."""
    row = connection.execute(
        "SELECT state <> 'missing' FROM timeline.collection WHERE server_id = %s AND character_id = %s"
        " AND (raw_key IS NOT NULL OR state = 'missing') ORDER BY day DESC LIMIT 1",
        character,
    ).fetchone()
    return bool(row and row[0])


def is_fresh(connection: psycopg.Connection, days: Sequence[date]) -> bool:
    """Say whether one of some days was planned only lately: time enough to ask again before an outage is believed."""
    row = connection.execute(
        "SELECT bool_or(planned_at > clock_timestamp() - interval '2 days') FROM timeline.day WHERE day = ANY(%s)",
        (list(days),),
    ).fetchone()
    return bool(row and row[0])


def record_failure(
    connection: psycopg.Connection,
    worker_id: int,
    claim: Claim,
    state: str,
    reason: str,
    seconds: float | None = None,
) -> None:
    """Record that a character is missing, asked for `seconds` ago, or owed with a next try that is later each time.

    A day that was proven has changed with it: its page lists the character.
    """
    connection.execute(
        "WITH changed AS (SELECT day FROM timeline.collection WHERE day = ANY(%(days)s) AND server_id = %(server)s"
        "  AND character_id = %(character)s AND worker_id = %(me)s AND state <> %(state)s),"
        f" touched AS ({TOUCH} WHERE day IN (SELECT day FROM changed) AND verified_at IS NOT NULL)"
        " UPDATE timeline.collection SET state = %(state)s, reason = %(reason)s, worker_id = NULL,"
        " asked_at = coalesce(clock_timestamp() - %(seconds)s::float * interval '1 second', asked_at), next_try_at ="
        " CASE WHEN %(state)s = 'owed' THEN clock_timestamp() + least(attempts, 12) * interval '5 minutes' END"
        " WHERE day = ANY(%(days)s) AND server_id = %(server)s AND character_id = %(character)s AND worker_id = %(me)s",
        {
            "state": state,
            "reason": reason[:500],
            "seconds": seconds,
            "days": list(claim.days),
            "server": claim.character.server_id,
            "character": claim.character.character_id,
            "me": worker_id,
        },
    )


def record_dead_letter(connection: psycopg.Connection, claim: Claim, key: str, reason: str) -> None:
    """Note where the bytes of an answer are that could not be read."""
    connection.execute(
        "INSERT INTO timeline.dead_letter (first_day, last_day, server_id, character_id, object_key, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (claim.days[0], claim.days[-1], *claim.character, key, reason[:500]),
    )


def count_characters(connection: psycopg.Connection, days: Sequence[date]) -> int:
    """Count the characters that the ledger has on some days."""
    row = connection.execute(
        "SELECT count(DISTINCT (server_id, character_id)) FROM timeline.collection WHERE day = ANY(%s)", (list(days),)
    ).fetchone()
    return int(row[0]) if row else 0


def make_debts_due(connection: psycopg.Connection) -> list[date]:
    """Make everything owed due now, and return the days on which anything is still to be collected."""
    connection.execute(
        "UPDATE timeline.collection SET next_try_at = NULL WHERE state = 'owed' AND next_try_at IS NOT NULL"
    )
    rows = connection.execute(
        "SELECT DISTINCT day FROM timeline.collection WHERE state IN ('planned', 'owed') ORDER BY day"
    )
    return [row[0] for row in rows]


def count_gaps(
    connection: psycopg.Connection, first: date, last: date
) -> tuple[int, int, list[tuple[list[date], int]]]:
    """Count the roster, its character-days that are settled, and how many characters lack which days."""
    rows = connection.execute(
        "WITH gap AS (SELECT r.server_id, r.character_id,"
        "  array_agg(d::date ORDER BY d) FILTER (WHERE c.day IS NULL) AS days,"
        "  count(c.day) AS there FROM timeline.roster r"
        " CROSS JOIN generate_series(%(first)s::timestamp, %(last)s::timestamp, '1 day') AS d"
        " LEFT JOIN timeline.collection c ON c.day = d::date AND c.server_id = r.server_id"
        "  AND c.character_id = r.character_id AND c.state NOT IN ('planned', 'owed')"
        "  AND c.day BETWEEN %(first)s AND %(last)s"
        " GROUP BY 1, 2) SELECT days, count(*), sum(there) FROM gap GROUP BY days",
        {"first": first, "last": last},
    ).fetchall()
    characters = sum(count for _, count, _ in rows)
    return characters, int(sum(there for _, _, there in rows)), [(days, count) for days, count, _ in rows if days]
