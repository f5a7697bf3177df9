"""A collector's lease in a real PostgreSQL: who stood still for too long lives no more, whatever the others did."""

from datetime import timedelta

import psycopg
import pytest
from small_ledger import CHARACTERS, DAY, SHARD, claim_all

from neople_timeline.errors import RetryLater
from neople_timeline.models import Usage
from neople_timeline.warehouse import ledger
from neople_timeline.warehouse.ledger import Landed

pytestmark = pytest.mark.usefixtures("three_characters")

LANDED = [Landed(DAY, character, 1, 7) for character in CHARACTERS]


@pytest.fixture
def paused(connection: psycopg.Connection) -> int:
    """A collector that has claimed everything and stood still until its lease had run out."""
    worker = claim_all(connection)
    connection.execute("UPDATE timeline.worker SET expires_at = clock_timestamp() - interval '1 second'")
    return worker


def test_who_stood_still_past_its_lease_can_neither_prolong_it_nor_claim(
    connection: psycopg.Connection, paused: int
) -> None:
    with pytest.raises(RetryLater, match="lost its lease"):
        ledger.keep_alive(connection, paused, Usage())
    connection.execute("UPDATE timeline.collection SET worker_id = NULL")
    assert ledger.claim_characters(connection, paused, SHARD, 10) == []


def test_a_heartbeat_moves_the_end_of_the_lease(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = claim_all(connection)
    monkeypatch.setattr(ledger, "LEASE_SECONDS", 3600)
    (asked_at,) = connection.execute("SELECT clock_timestamp()").fetchone() or ()
    ledger.keep_alive(connection, worker, Usage())
    (ends_at,) = connection.execute("SELECT expires_at FROM timeline.worker").fetchone() or ()
    assert ends_at >= asked_at + timedelta(hours=1)


def test_what_it_had_claimed_and_nobody_took_over_it_may_still_land(
    connection: psycopg.Connection, paused: int
) -> None:
    assert ledger.commit_landed(connection, paused, "raw/paused", LANDED) == (3, 3)


def test_old_answers_do_not_pass_for_new_ones_where_another_had_the_claims_and_left(
    connection: psycopg.Connection, paused: int
) -> None:
    other = claim_all(connection)
    ledger.finish_worker(connection, other, Usage())  # without an answer: the game is down
    assert ledger.claim_characters(connection, paused, SHARD, 10) == []
    assert ledger.commit_landed(connection, paused, "raw/old", LANDED) == (0, 0)


def test_what_was_spent_is_noted_at_the_end_whoever_lives(connection: psycopg.Connection, paused: int) -> None:
    ledger.finish_worker(connection, paused, Usage(requests=9))
    row = connection.execute("SELECT requests, expires_at < finished_at FROM timeline.worker").fetchone()
    assert row == (9, True)
