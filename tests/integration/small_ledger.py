"""A day of three characters in the ledger, for tests of what becomes of its rows."""

from datetime import date

import psycopg

from neople_timeline.models import CharacterKey, Shard
from neople_timeline.warehouse import ledger, planning

DAY = date(2026, 11, 15)
SHARD = Shard((DAY,), 0, 1)
CHARACTERS = [CharacterKey("cain", letter * 32) for letter in "abc"]


def claim_all(connection: psycopg.Connection) -> int:
    """Have a worker claim all of the day; give its id."""
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, worker, SHARD, 10)) == 3
    return worker


def follow(connection: psycopg.Connection, day: date) -> list[date]:
    """Plan a day as the scheduled run does; list the days that it found missed."""
    missed = planning.plan_missed(connection, day)
    planning.plan_days(connection, [day], again=False)
    planning.mark_followed(connection, day)
    return missed


def list_planned(connection: psycopg.Connection) -> list[date]:
    return [row[0] for row in connection.execute("SELECT day FROM timeline.day ORDER BY day")]
