"""The ledger while it is filled: who is collecting which character-days, and where their raw answers landed.

A collector registers as a *worker*, whose id is the fencing generation of its claims. It claims character-days, lands
their answers in the lake, and only then commits them here, in one statement that changes nothing for claims lost
meanwhile. Objects that no row points to are orphans and never read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal

import psycopg

from neople_timeline.errors import RetryLater
from neople_timeline.models import MOST_BUCKETS, CharacterKey, Claim, Kind, Shard, Usage, split_runs
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.predicates import COLLECTED, DUE, LIVE, LOCK_DAYS, OPEN, TOUCH

LEASE_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 5
RETRY_STEP_MINUTES: Final = 5
"""A debt is due again after this long, then after twice as long, and so on."""
MOST_RETRY_STEPS: Final = 12
CLAIM_LOCK: Final = 7_105_206_604
"""Advisory lock of whoever claims: two at a time would lock the same rows in different orders."""

_IN_SHARD: Final = "c.day = ANY(%(days)s) AND c.bucket = ANY(%(buckets)s)"
_FREE: Final = f"(c.worker_id IS NULL OR c.worker_id NOT IN {LIVE})"


@dataclass(frozen=True)
class Landed:
    """A character-day whose answer is in a raw object."""

    day: date
    character: CharacterKey
    events: int
    digest: int


def read_clock(connection: psycopg.Connection) -> int:
    """Read PostgreSQL's clock, by which the ledger notes when something was asked for, in seconds since 1970."""
    return ask_number(connection, "SELECT extract(epoch FROM clock_timestamp())")


START_WORKER: Final = """
INSERT INTO timeline.worker (kind, first_day, last_day, expires_at, allowed_rate)
VALUES (%s, %s, %s, clock_timestamp() + %s * interval '1 second', %s)
RETURNING worker_id
"""


def start_worker(connection: psycopg.Connection, shard: Shard, kind: Kind, rate: int) -> int:
    """Register a collector and return its id, greater than all before it."""
    return ask_number(connection, START_WORKER, (kind, min(shard.days), max(shard.days), LEASE_SECONDS, rate))


_NOTE_USAGE: Final = """
UPDATE timeline.worker
SET seen_at = clock_timestamp(), requests = %(requests)s, retried = %(retried)s, repeated = %(repeated)s,
  throttled = %(throttled)s, unlanded = %(unlanded)s,
"""

KEEP_ALIVE: Final = f"""
{_NOTE_USAGE}
  expires_at = clock_timestamp() + %(lease)s * interval '1 second'
WHERE worker_id = %(worker_id)s AND expires_at > clock_timestamp()
""".encode()


def keep_alive(connection: psycopg.Connection, worker_id: int, usage: Usage) -> None:
    """Prolong a worker's claims and note what it has spent.

    Once its lease has run out it is RetryLater: others may have had its claims meanwhile, and with new claims for the
    same character-days its old answers would pass for new ones.
    """
    lives = connection.execute(KEEP_ALIVE, {"worker_id": worker_id, "lease": LEASE_SECONDS, **asdict(usage)})
    if not lives.rowcount:
        raise RetryLater(
            f"this collector lost its lease (no heartbeat for {LEASE_SECONDS} s): it resumes where it stopped",
            seconds=1,
        )


FINISH_WORKER: Final = f"""
{_NOTE_USAGE}
  expires_at = least(expires_at, clock_timestamp()), finished_at = clock_timestamp()
WHERE worker_id = %(worker_id)s
""".encode()


def finish_worker(connection: psycopg.Connection, worker_id: int, usage: Usage) -> None:
    """Let go of a worker's claims."""
    connection.execute(FINISH_WORKER, {"worker_id": worker_id, **asdict(usage)})


# Chosen in the order of an index, which is read only until there are enough, however many are open.
CLAIM: Final = f"""
WITH chosen AS (
  SELECT DISTINCT server_id, character_id FROM (
    SELECT server_id, character_id FROM timeline.collection c
    WHERE {_IN_SHARD} AND {OPEN} AND {DUE} AND {_FREE} AND %(me)s IN {LIVE}
    ORDER BY day, bucket, server_id, character_id LIMIT %(limit)s
  ) AS next
)
UPDATE timeline.collection c
SET worker_id = %(me)s, attempts = attempts + 1, claimed_at = clock_timestamp()
FROM chosen
WHERE c.server_id = chosen.server_id AND c.character_id = chosen.character_id
  AND {_IN_SHARD} AND {OPEN} AND {DUE} AND {_FREE}
RETURNING c.server_id, c.character_id, c.day, c.bucket, c.state = 'owed'
"""


def claim_characters(connection: psycopg.Connection, worker_id: int, shard: Shard, limit: int) -> list[Claim]:
    """Claim all open, due days of the next few characters of a shard; the oldest days come first, and so do debts.

    What the worker has already is never given to it again, and after its lease ran out nothing is.
    """
    values = {**_describe(shard), "limit": limit, "me": worker_id}
    # One text is one transaction of PostgreSQL's own: who is paused in the middle of it does not keep the lock.
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"SELECT pg_advisory_xact_lock({CLAIM_LOCK}); {CLAIM}".encode(), values)
    cursor.nextset()
    rows = cursor.fetchall()
    claimed: dict[CharacterKey, dict[date, tuple[int, bool]]] = {}
    for server_id, character_id, day, bucket, was_owed in rows:
        claimed.setdefault(CharacterKey(server_id, character_id), {})[day] = bucket, was_owed
    return [
        Claim(character, run, *days[run[0]]) for character, days in sorted(claimed.items()) for run in _cut_runs(days)
    ]


def _cut_runs(days: Mapping[date, tuple[int, bool]]) -> list[tuple[date, ...]]:
    """Cut days into runs for a chain each. Who was asked for in vain is asked day by day: one may spoil the others."""
    owed = [(day,) for day, (_, was_owed) in days.items() if was_owed]
    return sorted([*owed, *split_runs(day for day, (_, was_owed) in days.items() if not was_owed)])


COUNT_DUE: Final = f"SELECT count(*) FROM timeline.collection c WHERE {_IN_SHARD} AND {OPEN} AND {DUE}".encode()


def count_due(connection: psycopg.Connection, shard: Shard) -> int:
    """Count the open, due character-days of a shard, whoever has claimed them."""
    return ask_number(connection, COUNT_DUE, _describe(shard))


COUNT_LEFT: Final = f"""
SELECT count(*) FROM timeline.collection c
WHERE {_IN_SHARD} AND {OPEN} AND {DUE} AND c.worker_id IS DISTINCT FROM %(me)s
""".encode()


def count_left(connection: psycopg.Connection, worker_id: int, shard: Shard) -> int:
    """Count the open, due character-days of a shard that are not this worker's: free ones, and those with others."""
    return ask_number(connection, COUNT_LEFT, {**_describe(shard), "me": worker_id})


def _describe(shard: Shard) -> dict[str, list[date] | list[int]]:
    return {"days": list(shard.days), "buckets": list(range(shard.index, MOST_BUCKETS, shard.of))}


COMMIT: Final = """
WITH landed AS (
  UPDATE timeline.collection c
  SET state = 'landed', raw_key = %(raw_key)s, events = n.events, digest = n.digest, asked_at = c.claimed_at,
    worker_id = NULL, reason = NULL, next_try_at = NULL, doubted_at = NULL
  FROM unnest(
    %(days)s::date[], %(servers)s::text[], %(characters)s::text[], %(events)s::integer[], %(digests)s::bigint[]
  ) AS n(day, server_id, character_id, events, digest)
  WHERE c.day = n.day AND c.server_id = n.server_id AND c.character_id = n.character_id AND c.worker_id = %(me)s
  RETURNING c.day, c.events
),
touched AS (
  UPDATE timeline.day SET verified_at = NULL
  WHERE day IN (SELECT day FROM landed) AND verified_at IS NOT NULL
)
SELECT count(*), coalesce(sum(events), 0) FROM landed
"""
"""Points the ledger to a raw object, with the values of `tabulate`."""


def tabulate(worker_id: int, raw_key: str, landed: Sequence[Landed]) -> dict[str, object]:
    """Give the values of `COMMIT`."""
    return {
        "me": worker_id,
        "raw_key": raw_key,
        "days": [one.day for one in landed],
        "servers": [one.character.server_id for one in landed],
        "characters": [one.character.character_id for one in landed],
        "events": [one.events for one in landed],
        "digests": [one.digest for one in landed],
    }


def commit_landed(
    connection: psycopg.Connection, worker_id: int, raw_key: str, landed: Sequence[Landed]
) -> tuple[int, int]:
    """Point the ledger to a raw object; count the character-days that were still this worker's, and their events."""
    cursor = _execute_on_days(connection, COMMIT, tabulate(worker_id, raw_key, landed))
    count, events = cursor.fetchone() or (0, 0)
    return int(count), int(events)


def _execute_on_days(
    connection: psycopg.Connection, statement: str, values: Mapping[str, object]
) -> "psycopg.ClientCursor[tuple[Any, ...]]":
    """Run a statement about `days`, whose rows are locked before it begins: no proof under way overlooks it.

    One text is one transaction of PostgreSQL's own, whatever other threads do on the connection.
    """
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"{LOCK_DAYS}; {statement}".encode(), values)
    cursor.nextset()
    return cursor


def knows_anybody(connection: psycopg.Connection) -> bool:
    """Say whether the API has ever answered for any character."""
    row = connection.execute("SELECT FROM timeline.collection WHERE raw_key IS NOT NULL LIMIT 1").fetchone()
    return row is not None


WAS_THERE: Final = """
SELECT state <> 'missing' FROM timeline.collection
WHERE server_id = %s AND character_id = %s AND (raw_key IS NOT NULL OR state = 'missing')
ORDER BY CASE WHEN state = 'missing' THEN claimed_at ELSE asked_at END DESC NULLS LAST LIMIT 1
"""


def was_there(connection: psycopg.Connection, character: CharacterKey) -> bool | None:
    """Say whether the API knew a character when it was last asked, of whatever day; None if it never said anything."""
    row = connection.execute(WAS_THERE, character).fetchone()
    return row[0] if row else None


IS_FOUND_BY: Final = f"""
SELECT FROM timeline.collection c
WHERE server_id = %s AND character_id = %s AND {COLLECTED}
  AND asked_at >= (SELECT started_at FROM timeline.worker WHERE worker_id = %s)
LIMIT 1
""".encode()


def is_found_by(connection: psycopg.Connection, worker_id: int, character: CharacterKey) -> bool:
    """Say whether anything of a character has landed since a worker began."""
    return connection.execute(IS_FOUND_BY, (*character, worker_id)).fetchone() is not None


MAY_BE_DOUBTED: Final = """
SELECT coalesce(min(doubted_at) > clock_timestamp() - interval '2 days', true) FROM timeline.collection
WHERE day = ANY(%s) AND server_id = %s AND character_id = %s
"""


def may_be_doubted(connection: psycopg.Connection, claim: Claim) -> bool:
    """Say whether an absence was not doubted for two days yet: time enough to ask again before it is believed."""
    row = connection.execute(MAY_BE_DOUBTED, (list(claim.days), *claim.character)).fetchone()
    return bool(row and row[0])


RECORD_FAILURE: Final = f"""
WITH changed AS (
  SELECT day FROM timeline.collection
  WHERE day = ANY(%(days)s) AND server_id = %(server)s AND character_id = %(character)s AND worker_id = %(me)s
    AND state <> %(state)s
),
touched AS (
  {TOUCH}
  WHERE day IN (SELECT day FROM changed) AND verified_at IS NOT NULL
)
UPDATE timeline.collection
SET state = %(state)s, reason = %(reason)s, worker_id = NULL,
  next_try_at = CASE WHEN %(state)s = 'owed'
    THEN clock_timestamp() + least(attempts, {MOST_RETRY_STEPS}) * interval '{RETRY_STEP_MINUTES} minutes' END,
  doubted_at = CASE WHEN %(is_doubted)s THEN coalesce(doubted_at, clock_timestamp()) END
WHERE day = ANY(%(days)s) AND server_id = %(server)s AND character_id = %(character)s AND worker_id = %(me)s
"""


def record_failure(
    connection: psycopg.Connection,
    worker_id: int,
    claim: Claim,
    state: Literal["missing", "owed"],
    reason: str,
    *,
    is_doubted: bool = False,
) -> None:
    """Record that a character is missing, or owed with a next try that is later each time.

    `is_doubted` says that the API does not know it, and may be wrong. A day that was proven has changed with it: its
    page lists the character.
    """
    _execute_on_days(
        connection,
        RECORD_FAILURE,
        {
            "state": state,
            "reason": reason[:500],
            "is_doubted": is_doubted,
            "days": list(claim.days),
            "server": claim.character.server_id,
            "character": claim.character.character_id,
            "me": worker_id,
        },
    )


RECORD_DEAD_LETTER: Final = """
INSERT INTO timeline.dead_letter (first_day, last_day, server_id, character_id, object_key, reason)
VALUES (%s, %s, %s, %s, %s, %s)
"""


def record_dead_letter(connection: psycopg.Connection, claim: Claim, key: str, reason: str) -> None:
    """Note where the bytes of an answer are that could not be read."""
    values = (claim.days[0], claim.days[-1], *claim.character, key, reason[:500])
    connection.execute(RECORD_DEAD_LETTER, values)
