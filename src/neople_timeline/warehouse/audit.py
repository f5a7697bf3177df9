"""What PostgreSQL holds, for comparison with the lake; and the lists of what is owed or orphaned."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from neople_timeline.checks import DERIVED_SQL, EventText
from neople_timeline.models import CharacterKey
from neople_timeline.tables import CHARACTERS, Table
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.parts import Part
from neople_timeline.warehouse.predicates import LOCK_DAYS, OPEN, TOO_EARLY


@dataclass(frozen=True)
class Owed:
    """A character-day that is still to be collected, and why; `name` is the roster's, if it has one."""

    day: date
    character: CharacterKey
    name: str
    reason: str
    attempts: int
    next_try_at: datetime | None


@dataclass(frozen=True)
class Marks:
    """By what one tells whether a day's rows changed between two looks."""

    day: date
    is_settled: bool
    """Everything that landed is loaded."""
    changes: tuple[int, int, int]
    """The number of its last change, the versions of its parts, and how many character-days wait to be loaded."""


MARKS: Final = """
SELECT day, loaded, coalesce(changed_in, 0), versions, landed
FROM timeline.day d,
LATERAL (
  SELECT coalesce(bool_and(version = coalesce(loaded_version, 0)), true), coalesce(sum(version), 0)
  FROM timeline.part p WHERE p.day = d.day
) AS parts(loaded, versions),
LATERAL (
  SELECT count(*) FROM timeline.collection c WHERE c.day = d.day AND state = 'landed'
) AS c(landed)
WHERE day = ANY(%s) ORDER BY day
"""


def read_marks(connection: psycopg.Connection, days: Sequence[date]) -> list[Marks]:
    """Read what tells of changes of some days; of days that were never planned there is nothing."""
    rows = connection.execute(MARKS, (list(days),))
    return [
        Marks(day, loaded and not landed, (change, versions, landed)) for day, loaded, change, versions, landed in rows
    ]


PART_EVENTS: Final = f"""
SELECT e.server_id, e.character_id, occurred_minute, code, name, data::text, {DERIVED_SQL}
FROM timeline.event e JOIN timeline.collection c
  ON c.day = e.day AND c.server_id = e.server_id AND c.character_id = e.character_id
WHERE e.day = %s AND c.day = %s AND c.bucket = %s
""".encode()


def stream_events(connection: psycopg.Connection, part: Part) -> Iterator[EventText]:
    """Read a part's events, some thousand at a time."""
    with connection.transaction(), connection.cursor("events") as cursor:
        cursor.itersize = 20_000
        cursor.execute(PART_EVENTS, (part.day, part.day, part.bucket))
        yield from map(EventText._make, cursor)


PART_CHARACTERS: Final = f"""
SELECT {", ".join(f"h.{column.name}" for column in CHARACTERS.columns)}
FROM timeline.character h JOIN timeline.collection c USING (day, server_id, character_id)
WHERE day = %s AND c.bucket = %s
""".encode()


def read_characters(connection: psycopg.Connection, part: Part) -> dict[CharacterKey, dict[str, Any]]:
    """Read a part's rows of characters, with the columns of `tables.CHARACTERS` by name."""
    rows = connection.cursor(row_factory=dict_row).execute(PART_CHARACTERS, (part.day, part.bucket))
    return {CharacterKey(row["server_id"], row["character_id"]): row for row in rows}


def count_strays(connection: psycopg.Connection, table: Table, day: date) -> int:
    """Count a day's rows of a table that belong to no character-day of the ledger."""
    query = f"""
        SELECT count(*) FROM timeline.{table.warehouse_name} e
        WHERE day = %s AND NOT EXISTS (
          SELECT FROM timeline.collection c
          WHERE c.day = %s AND c.server_id = e.server_id AND c.character_id = e.character_id AND raw_key IS NOT NULL)
    """.encode()
    return ask_number(connection, query, (day, day))


def mark_verified(connection: psycopg.Connection, part: Part, failed: Sequence[CharacterKey]) -> None:
    """Note that a part's character-days are proven, and those that failed are not; nothing if it changed meanwhile."""
    for state, was, which in (("verified", "loaded", "NOT IN"), ("loaded", "verified", "IN")):
        statement = f"""
            UPDATE timeline.collection AS c SET state = %s
            FROM timeline.part AS p
            WHERE c.day = %s AND c.bucket = %s AND c.state = %s AND p.day = c.day AND p.bucket = c.bucket
              AND p.version = %s AND (p.loaded_version = p.version OR c.state = 'verified')
              AND (c.server_id, c.character_id) {which} (SELECT * FROM unnest(%s::text[], %s::text[]))
        """.encode()
        connection.execute(
            statement,
            (
                state,
                part.day,
                part.bucket,
                was,
                part.version,
                [key.server_id for key in failed],
                [key.character_id for key in failed],
            ),
        )


MARK_DAY_VERIFIED: Final = f"""
UPDATE timeline.day AS d
SET verified_at = clock_timestamp(),
  proven_in = CASE WHEN verified_at IS NULL THEN nextval('timeline.mart_generation') ELSE proven_in END
WHERE day = %(day)s
  AND NOT EXISTS (
    SELECT FROM timeline.collection c
    WHERE c.day = d.day AND (c.state IN ('landed', 'loaded') OR {TOO_EARLY}))
  AND (SELECT coalesce(bool_or(c.state <> 'planned'), true) FROM timeline.collection c WHERE c.day = d.day)
""".encode()


def mark_day_verified(connection: psycopg.Connection, day: date, over_at: datetime) -> None:
    """Note when a whole day was proven.

    Not if more has landed meanwhile, nobody has asked for anything of it yet, or an answer is from before it was over.
    What was reported of a day before its proof is outdated, so it takes a number when it becomes proven.
    """
    with connection.transaction():
        connection.execute(LOCK_DAYS, {"days": [day]})
        connection.execute(MARK_DAY_VERIFIED, {"day": day, "over_at": over_at})


FORGET_PROOF: Final = """
UPDATE timeline.day SET verified_at = NULL, proven_in = nextval('timeline.mart_generation')
WHERE day = %s AND verified_at IS NOT NULL
"""


def forget_proof(connection: psycopg.Connection, day: date) -> None:
    """Note that a day is not proven any more; what was reported of it is outdated too."""
    connection.execute(FORGET_PROOF, (day,))


OWED: Final = f"""
SELECT day, server_id, character_id, coalesce(r.name, ''), coalesce(reason, 'not collected yet'), attempts, next_try_at
FROM timeline.collection c LEFT JOIN timeline.roster r USING (server_id, character_id)
WHERE {OPEN} AND day BETWEEN coalesce(%s, '-infinity'::date) AND coalesce(%s, 'infinity'::date)
ORDER BY day, server_id, character_id
""".encode()


def list_owed(connection: psycopg.Connection, first: date | None = None, last: date | None = None) -> list[Owed]:
    """List the character-days that are still to be collected."""
    rows = connection.execute(OWED, (first, last))
    return [Owed(day, CharacterKey(server, character), *told) for day, server, character, *told in rows]


def list_known_days(connection: psycopg.Connection, days: Sequence[date]) -> list[date]:
    """Pick from some days those that were ever planned."""
    rows = connection.execute("SELECT day FROM timeline.day WHERE day = ANY(%s) ORDER BY day", (list(days),))
    return [row[0] for row in rows]


HOLDINGS: Final = """
SELECT count(raw_key), coalesce(sum(events) FILTER (WHERE raw_key IS NOT NULL), 0),
  count(*) FILTER (WHERE state = 'missing')
FROM timeline.collection WHERE day = ANY(%s)
"""


def count_holdings(connection: psycopg.Connection, days: Sequence[date]) -> tuple[int, int, int]:
    """Count the character-days with an answer, their events, and those whose character the API does not know."""
    row = connection.execute(HOLDINGS, (list(days),)).fetchone()
    checked, events, missing = row or (0, 0, 0)
    return int(checked), int(events), int(missing)


def list_orphans(connection: psycopg.Connection, day: date, keys: Sequence[str]) -> list[str]:
    """Pick from the answers whose first day this is those that no character-day and no dead letter points to."""
    letters = connection.execute("SELECT object_key FROM timeline.dead_letter WHERE first_day = %s", (day,))
    known: set[str] = {row[0] for row in letters}
    # The day itself knows nearly all. An object is named after its first day: what that does not know, a later one may.
    for last in (day, date.max):
        if left := [key for key in keys if key not in known]:
            rows = connection.execute(
                "SELECT DISTINCT raw_key FROM timeline.collection WHERE day BETWEEN %s AND %s AND raw_key = ANY(%s)",
                (day, last, left),
            )
            known |= {row[0] for row in rows}
    return [key for key in keys if key not in known]
