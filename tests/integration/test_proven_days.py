"""The proof of a day: what it takes, what takes it back, and which rows and objects belong to nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Literal

import psycopg
import pytest
from small_ledger import CHARACTERS, DAY, SHARD, claim_all

from neople_timeline.catalogue import MARTS, period_of
from neople_timeline.settings import Settings
from neople_timeline.tables import CHARACTERS as CHARACTER_TABLE
from neople_timeline.warehouse import audit, ledger, planning
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.days import list_unpublished_days
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.parts import list_parts, record_part

OVER_AT = datetime(2026, 11, 16, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("three_characters")


def read_verified_at(connection: psycopg.Connection) -> datetime | None:
    row = connection.execute("SELECT verified_at FROM timeline.day WHERE day = %s", (DAY,)).fetchone()
    assert row
    return row[0]  # type: ignore[no-any-return]


def prove_all(connection: psycopg.Connection) -> None:
    """Have the day collected, loaded and proven."""
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'verified'")
    connection.execute("UPDATE timeline.day SET changed_in = 1")
    connection.cursor().executemany(
        "INSERT INTO timeline.published_mart (mart, period, generation, rows) VALUES (%s, %s, 2, 0)",
        [(mart.name, period_of(DAY, mart.period)) for mart in MARTS],
    )
    audit.mark_day_verified(connection, DAY, OVER_AT)
    assert read_verified_at(connection)
    assert list_unpublished_days(connection, DAY + timedelta(days=1)) == []


def test_an_answer_from_before_the_day_was_over_proves_no_day(connection: psycopg.Connection) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'verified'")
    audit.mark_day_verified(connection, DAY, datetime.now(UTC) + timedelta(minutes=1))
    assert read_verified_at(connection) is None
    audit.mark_day_verified(connection, DAY, OVER_AT)
    assert read_verified_at(connection) is not None


@pytest.mark.parametrize("ends", ["landed", "owed", "missing"])
def test_what_comes_of_a_character_after_the_proof_takes_the_proof_back(
    connection: psycopg.Connection, ends: Literal["landed", "owed", "missing"]
) -> None:
    prove_all(connection)
    planning.plan_days(connection, [DAY], again=True)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    claim, *_ = ledger.claim_characters(connection, worker, SHARD, 10)
    assert read_verified_at(connection)
    if ends == "landed":
        ledger.commit_landed(connection, worker, "raw/y", [Landed(DAY, claim.character, 2, 2)])
    else:
        ledger.record_failure(connection, worker, claim, ends, "x")
    assert read_verified_at(connection) is None
    assert list_unpublished_days(connection, DAY + timedelta(days=1)) == [DAY], "whose run would load and tell it"


def test_only_the_version_that_was_compared_is_called_verified(connection: psycopg.Connection) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'loaded'")
    none = {"events": "", "characters": ""}
    (old, other) = [replace(part, etags=none, hashes=none) for part in list_parts(connection, SHARD)]
    for part in (old, old, other):
        record_part(connection, part)
    connection.execute("UPDATE timeline.part SET loaded_version = version")
    for version, expected in ((1, "loaded"), (2, "verified")):
        audit.mark_verified(connection, replace(old, version=version), [])
        states = connection.execute("SELECT DISTINCT state FROM timeline.collection WHERE bucket = 0").fetchall()
        assert states == [(expected,)]


def test_what_lands_while_the_day_is_proven_is_waited_for(connection: psycopg.Connection, postgres_url: str) -> None:
    worker, last = claim_all(connection), CHARACTERS[-1]
    ledger.commit_landed(connection, worker, "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS[:2]])
    connection.execute("UPDATE timeline.collection SET state = 'verified' WHERE state = 'landed'")
    begun, ended = Event(), Event()

    def prove() -> None:
        with connect(Settings(warehouse_url=postgres_url)) as other:
            begun.set()
            audit.mark_day_verified(other, DAY, OVER_AT)
            ended.set()

    prover = Thread(target=prove)
    with connection.transaction():
        ledger.commit_landed(connection, worker, "raw/y", [Landed(DAY, last, 1, 1)])
        prover.start()
        assert begun.wait(30)
        assert not ended.wait(0.5), "nobody waited for what is being committed"
    prover.join(30)
    assert read_verified_at(connection) is None


def test_rows_of_a_character_without_an_answer_are_strays(connection: psycopg.Connection) -> None:
    worker = claim_all(connection)
    ledger.commit_landed(connection, worker, "raw/x", [Landed(DAY, CHARACTERS[0], 0, 0)])
    for key in CHARACTERS[:2]:
        connection.execute(
            "INSERT INTO timeline.character (day, server_id, character_id, collected_at, events, digest)"
            " VALUES (%s, %s, %s, now(), 0, 0)",
            (DAY, *key),
        )
    assert audit.count_strays(connection, CHARACTER_TABLE, DAY) == 1


def test_an_object_that_a_far_later_day_points_to_is_no_orphan(connection: psycopg.Connection) -> None:
    far = DAY + timedelta(days=95)
    planning.plan_days(connection, [DAY, far], again=False)
    used, left = f"raw/day={DAY}/used", f"raw/day={DAY}/left"
    connection.execute("UPDATE timeline.collection SET raw_key = %s WHERE day = %s", (used, far))
    assert audit.list_orphans(connection, DAY, [used, left]) == [left]
