"""The ledger in a real PostgreSQL: who may commit what, and whose debts are whose."""

from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest

from neople_timeline.models import CharacterKey, Shard, Usage
from neople_timeline.settings import Settings
from neople_timeline.warehouse import ledger
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.roster import Member, add_members

DAY = date(2026, 11, 15)
SHARD = Shard((DAY,), 0, 1)
CHARACTERS = [CharacterKey("cain", letter * 32) for letter in "abc"]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        add_members(connection, [Member(key, None) for key in CHARACTERS])
        yield connection


def test_only_what_is_still_the_workers_is_committed_and_counted(connection: psycopg.Connection) -> None:
    ledger.plan_days(connection, [DAY], again=False)
    slow = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, slow, SHARD, 10)) == 3
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    quick = ledger.start_worker(connection, SHARD, "daily", 1000)
    connection.execute(
        "UPDATE timeline.collection SET worker_id = %s WHERE character_id <> %s", (quick, CHARACTERS[0].character_id)
    )
    landed = [Landed(DAY, character, 10 + number, 7) for number, character in enumerate(CHARACTERS)]
    assert ledger.commit_landed(connection, slow, "raw/slow", landed, 1.5) == (1, 10)
    assert ledger.commit_landed(connection, quick, "raw/quick", landed, 1.5) == (2, 11 + 12)
    assert ledger.commit_landed(connection, slow, "raw/late", landed, 1.5) == (0, 0)


def test_what_a_backfill_planned_is_no_debt_of_the_daily_run_for_half_a_day(connection: psycopg.Connection) -> None:
    first, last = DAY - timedelta(days=9), DAY - timedelta(days=1)
    days = [first + timedelta(days=offset) for offset in range(9)]
    ledger.plan_days(connection, [first - timedelta(days=1), *days], again=False)
    ledger.announce_backfill(connection, days, 1000)  # its collectors are still in the queue
    assert ledger.list_indebted_days(connection, DAY) == [first - timedelta(days=1)]
    worker = ledger.start_worker(connection, Shard(tuple(days), 0, 2), "backfill", 1000)
    ledger.finish_worker(connection, worker, Usage())  # and the next one is
    assert ledger.list_indebted_days(connection, DAY) == [first - timedelta(days=1)]
    connection.execute("UPDATE timeline.worker SET expires_at = expires_at - interval '12 hours'")
    assert ledger.list_indebted_days(connection, last) == [first - timedelta(days=1), *days[:-1]]


def test_a_month_is_made_room_for_while_others_read(connection: psycopg.Connection, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM timeline.event, timeline.collection, timeline.character")
        connection.execute("SET lock_timeout = '2s'")
        ledger.create_partitions(connection, [date(2025, 1, 31), date(2024, 12, 1), date(2025, 1, 1)])
        ledger.create_partitions(connection, [date(2025, 1, 31)])
    partitions = connection.execute(
        "SELECT part.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid"
        " WHERE part.relkind = 'r' ORDER BY 1"
    ).fetchall()
    assert [name for (name,) in partitions] == [
        f"{table}_{month}" for table in ("character", "collection", "event") for month in ("2024_12", "2025_01")
    ]
    assert connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def test_who_claims_holds_no_lock_between_two_statements(connection: psycopg.Connection, postgres_url: str) -> None:
    ledger.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, worker, SHARD, 2)) == 2
    assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    with psycopg.connect(postgres_url) as paused:
        paused.execute("SELECT pg_advisory_xact_lock(%s)", (ledger.CLAIM_LOCK,))
        connection.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ledger.claim_characters(connection, worker, SHARD, 2)
    assert len(ledger.claim_characters(connection, worker, SHARD, 2)) == 1


def test_a_long_range_is_planned_whole(connection: psycopg.Connection) -> None:
    days = [DAY - timedelta(days=offset) for offset in range(ledger.DAYS_PLANNED_AT_ONCE * 2 + 3)]
    assert ledger.plan_days(connection, days, again=False) == len(CHARACTERS) * len(days)
