"""The roster in PostgreSQL."""

from collections.abc import Sequence
from typing import Final

import psycopg

from neople_timeline.models import CharacterKey, Member, Reject
from neople_timeline.tables import TABLES
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.predicates import IS_STORED, LIVE, LOCK_DAYS, OPEN, TOUCH

_ALONE: Final = "LOCK TABLE timeline.roster IN SHARE ROW EXCLUSIVE MODE"
"""Lets nobody else change the roster until the transaction ends: two imports would wait for each other's rows."""


ADD_NEWCOMERS: Final = """
INSERT INTO timeline.roster (server_id, character_id, name)
SELECT DISTINCT ON (server_id, character_id) server_id, character_id, name FROM newcomer
ON CONFLICT (server_id, character_id) DO UPDATE SET name = coalesce(EXCLUDED.name, roster.name)
"""


def add_members(connection: psycopg.Connection, members: Sequence[Member]) -> int:
    """Put characters on the roster; return how many were not there before."""
    with connection.transaction():
        connection.execute(_ALONE)
        before = count_members(connection)
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMPORARY TABLE newcomer (server_id text, character_id text, name text) ON COMMIT DROP"
            )
            with cursor.copy("COPY newcomer FROM STDIN") as copy:
                for member in members:
                    copy.write_row((*member.character, member.name))
            cursor.execute(ADD_NEWCOMERS)
        return count_members(connection) - before


def count_members(connection: psycopg.Connection) -> int:
    """Count the characters on the roster."""
    return ask_number(connection, "SELECT count(*) FROM timeline.roster")


MEMBERS: Final = """
SELECT r.server_id, r.character_id, coalesce(seen.character_name, r.name)
FROM timeline.roster r
LEFT JOIN LATERAL (
  SELECT character_name FROM timeline.character c
  WHERE c.server_id = r.server_id AND c.character_id = r.character_id
    AND c.day = (SELECT max(day) FROM timeline.day)
) AS seen ON true
ORDER BY r.server_id, r.character_id
"""


def list_members(connection: psycopg.Connection) -> list[Member]:
    """List the roster, by server and character, with the names of the newest day, or else those it was put on with."""
    rows = connection.execute(MEMBERS)
    return [Member(CharacterKey(server, character), name) for server, character, name in rows]


_NAMED: Final = "(server_id, character_id) IN (SELECT * FROM unnest(%(servers)s::text[], %(characters)s::text[]))"
_DROPPED: Final = f"{OPEN} AND (worker_id IS NULL OR worker_id NOT IN {LIVE}) AND {_NAMED}"

DROPPED_DAYS: Final = f"SELECT DISTINCT day FROM timeline.collection c WHERE {_DROPPED}".encode()

DROP_UNCOLLECTED: Final = f"""
DELETE FROM timeline.collection c
WHERE {_DROPPED} AND day = ANY(%(days)s) AND raw_key IS NULL
""".encode()

# A lost answer of theirs was forgotten, and what PostgreSQL has of it still would be nobody's.
DELETE_DROPPED: Final = f"""
DELETE FROM timeline.{{table}} WHERE (day, server_id, character_id) IN (
  SELECT day, server_id, character_id FROM timeline.collection c
  WHERE {_DROPPED} AND day = ANY(%(days)s) AND raw_key IS NULL)
"""

# What was loaded of them already is not loaded again.
SETTLE_COLLECTED: Final = f"""
UPDATE timeline.collection c
SET reason = NULL, next_try_at = NULL, doubted_at = NULL,
  state = CASE WHEN {IS_STORED} THEN 'loaded' ELSE 'landed' END
WHERE {_DROPPED} AND day = ANY(%(days)s) AND raw_key IS NOT NULL
""".encode()


def remove_members(connection: psycopg.Connection, characters: Sequence[CharacterKey]) -> tuple[int, int]:
    """Take characters off the roster and drop what is still owed of them; what was collected stays, as it was.

    So does what a collector is at: a character that is put back meanwhile would be in no plan. Return how many were
    taken off, and how many of their character-days will not be collected now.
    """
    named = {"servers": [key.server_id for key in characters], "characters": [key.character_id for key in characters]}
    with connection.transaction():
        connection.execute(_ALONE)
        days = [row[0] for row in connection.execute(DROPPED_DAYS, named)]
        connection.execute(LOCK_DAYS, {"days": days})
        for table in TABLES:
            delete = DELETE_DROPPED.format(table=table.warehouse_name)
            connection.execute(delete.encode(), {**named, "days": days})
        dropped = connection.execute(DROP_UNCOLLECTED, {**named, "days": days}).rowcount
        connection.execute(SETTLE_COLLECTED, {**named, "days": days})
        # A day that was proven has changed with it: its page lists the character.
        connection.execute(f"{TOUCH} WHERE day = ANY(%s) AND verified_at IS NOT NULL".encode(), (days,))
        removed = connection.execute(f"DELETE FROM timeline.roster WHERE {_NAMED}".encode(), named).rowcount
        return removed, dropped


def replace_rejects(connection: psycopg.Connection, rejects: Sequence[Reject]) -> None:
    """Remember the lines of the last roster file that could not be used, for the report."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_ALONE)
        cursor.execute("DELETE FROM timeline.roster_reject")
        cursor.executemany(
            "INSERT INTO timeline.roster_reject VALUES (%s, %s, %s)",
            [(reject.line_number, reject.line.replace("\x00", "\ufffd"), reject.reason) for reject in rejects],
        )
