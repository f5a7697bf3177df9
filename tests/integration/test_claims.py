"""Claims and commits: who may collect what, and what of it counts."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from small_ledger import CHARACTERS, DAY, SHARD, claim_all

from neople_timeline.models import Shard, Usage
from neople_timeline.warehouse import ledger, planning
from neople_timeline.warehouse.connection import ask_number
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.state import read_state

pytestmark = pytest.mark.usefixtures("three_characters")


def test_only_what_is_still_the_workers_is_committed_and_counted(connection: psycopg.Connection) -> None:
    planning.plan_days(connection, [DAY], again=False)
    slow = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, slow, SHARD, 10)) == 3
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    quick = ledger.start_worker(connection, SHARD, "daily", 1000)
    connection.execute(
        "UPDATE timeline.collection SET worker_id = %s WHERE character_id <> %s", (quick, CHARACTERS[0].character_id)
    )
    landed = [Landed(DAY, character, 10 + number, 7) for number, character in enumerate(CHARACTERS)]
    assert ledger.commit_landed(connection, slow, "raw/slow", landed) == (1, 10)
    assert ledger.commit_landed(connection, quick, "raw/quick", landed) == (2, 11 + 12)
    assert ledger.commit_landed(connection, slow, "raw/late", landed) == (0, 0)


def test_what_is_due_in_a_shard_is_counted_whoever_has_claimed_it(connection: psycopg.Connection) -> None:
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert ledger.count_due(connection, SHARD) == 3
    claim = ledger.claim_characters(connection, worker, SHARD, 10)[0]
    assert ledger.count_due(connection, SHARD) == 3
    assert sum(ledger.count_due(connection, Shard((DAY,), index, 2)) for index in range(2)) == 3
    ledger.record_failure(connection, worker, claim, "owed", "the connection failed")
    assert ledger.count_due(connection, SHARD) == 2


def test_what_a_dead_collector_had_fetched_and_not_landed_is_wasted(connection: psycopg.Connection) -> None:
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    ledger.keep_alive(connection, worker, Usage(100, retried=1, repeated=2, throttled=3, unlanded=40))

    def read_usage() -> Usage:
        spending = read_state(connection, DAY, DAY).spending
        assert spending
        return spending.usage

    alive = read_usage()
    assert (alive.requests, alive.unlanded, alive.wasted) == (100, 0, 6)
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    dead = read_usage()
    assert (dead.requests, dead.unlanded, dead.wasted) == (100, 40, 46)
    assert 0 < dead.seconds < 60  # its lease is not its time
    assert dead.least_seconds(1000) == pytest.approx(0.054)


def test_who_claims_holds_no_lock_between_two_statements(connection: psycopg.Connection, postgres_url: str) -> None:
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, worker, SHARD, 2)) == 2
    assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    with psycopg.connect(postgres_url) as paused:
        paused.execute("SELECT pg_advisory_xact_lock(%s)", (ledger.CLAIM_LOCK,))
        connection.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ledger.claim_characters(connection, worker, SHARD, 2)
    assert len(ledger.claim_characters(connection, worker, SHARD, 2)) == 1


def test_who_is_due_for_older_days_is_claimed_first(connection: psycopg.Connection) -> None:
    yesterday = DAY - timedelta(days=1)
    shard = Shard((yesterday, DAY), 0, 1)
    planning.plan_days(connection, shard.days, again=False)
    debtor = CHARACTERS[-1]  # the last in the order of a day
    connection.execute(
        "UPDATE timeline.collection SET state = 'owed', reason = 'timed out' WHERE day = %s AND character_id = %s",
        (yesterday, debtor.character_id),
    )
    connection.execute(
        "UPDATE timeline.collection SET state = 'missing', reason = 'DNF001' WHERE day = %s AND character_id <> %s",
        (yesterday, debtor.character_id),
    )
    worker = ledger.start_worker(connection, shard, "daily", 1000)
    claimed = [one.character for _ in CHARACTERS for one in ledger.claim_characters(connection, worker, shard, 1)]
    assert claimed == [debtor, debtor, *CHARACTERS[:-1]]  # for its debt and for the day: two runs of days


def test_who_was_asked_for_in_vain_is_asked_for_day_by_day(connection: psycopg.Connection) -> None:
    days = tuple(DAY + timedelta(days=offset) for offset in range(4))
    shard = Shard(days, 0, 1)
    planning.plan_days(connection, days, again=False)
    worker = ledger.start_worker(connection, shard, "backfill", 1000)
    together, *_ = ledger.claim_characters(connection, worker, shard, 1)
    assert together.days == days
    ledger.record_failure(connection, worker, replace(together, days=days[:2]), "owed", "one row cannot be read")
    ledger.finish_worker(connection, worker, Usage())
    planning.plan_days(connection, days, again=False)
    worker = ledger.start_worker(connection, shard, "backfill", 1000)
    claims = [claim.days for claim in ledger.claim_characters(connection, worker, shard, 1)]
    assert claims == [days[:1], days[1:2], days[2:]]


def test_a_worker_is_never_given_its_own_claims_again(connection: psycopg.Connection) -> None:
    worker = claim_all(connection)
    assert ledger.claim_characters(connection, worker, SHARD, 10) == []


@pytest.mark.parametrize("ends", ["landed", "missing"])
def test_a_dead_letter_is_unread_as_long_as_one_of_its_days_is_owed(connection: psycopg.Connection, ends: str) -> None:
    days, who = (DAY, DAY + timedelta(days=1)), CHARACTERS[0]
    planning.plan_days(connection, days, again=False)
    worker = ledger.start_worker(connection, Shard(days, 0, 1), "backfill", 1000)
    claim, *_ = ledger.claim_characters(connection, worker, Shard(days, 0, 1), 10)
    assert (claim.character, claim.days) == (who, days)
    ledger.record_dead_letter(connection, claim, "dead/x", "not JSON")
    ledger.record_failure(connection, worker, claim, "owed", "not JSON")
    assert count_unread(connection) == 1
    planning.plan_days(connection, days, again=False)
    *_, again = [
        one for one in ledger.claim_characters(connection, worker, Shard(days, 0, 1), 10) if one.character == who
    ]
    assert ledger.commit_landed(connection, worker, "raw/1", [Landed(days[0], who, 1, 1)]) == (1, 1)
    assert count_unread(connection) == 1
    if ends == "landed":
        ledger.commit_landed(connection, worker, "raw/2", [Landed(days[1], who, 1, 1)])
    else:
        ledger.record_failure(connection, worker, again, "missing", "DNF001")
    assert count_unread(connection) == 0


def count_unread(connection: psycopg.Connection) -> int:
    return ask_number(connection, "SELECT count(*) FROM timeline.unread_letter")


def test_a_week_lists_who_is_owed_for_the_same_reason_once(connection: psycopg.Connection) -> None:
    days = [DAY + timedelta(days=offset) for offset in range(3)]
    planning.plan_days(connection, days, again=False)
    worker = ledger.start_worker(connection, Shard(tuple(days), 0, 1), "daily", 1000)
    first, second, _ = ledger.claim_characters(connection, worker, Shard(tuple(days), 0, 1), 10)
    ledger.record_failure(connection, worker, first, "owed", "timed out")
    ledger.record_failure(connection, worker, second, "missing", "DNF001")
    state = read_state(connection, days[0], days[-1])
    assert [(line.day, line.days, line.character_id[0], line.reason) for line in state.debts] == [
        (DAY, 3, "a", "timed out"),
        (DAY, 3, "c", "not collected yet"),
    ]
    assert [(line.day, line.days, line.character_id[0]) for line in state.missing_characters] == [(DAY, 3, "b")]
    assert (state.owed, state.missing) == (6, 3)
