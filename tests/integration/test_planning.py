"""Planning: which character-days there are to collect, and whose debts are whose."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from small_ledger import CHARACTERS, DAY, SHARD, follow, list_planned

from neople_timeline import pipeline
from neople_timeline.models import CharacterKey, Member, Shard, Usage
from neople_timeline.settings import make_settings
from neople_timeline.warehouse import ledger, planning
from neople_timeline.warehouse.roster import add_members
from neople_timeline.warehouse.state import is_provisional

pytestmark = pytest.mark.usefixtures("three_characters")


def test_a_long_range_is_planned_whole(connection: psycopg.Connection) -> None:
    days = [DAY - timedelta(days=offset) for offset in range(planning.DAYS_PLANNED_AT_ONCE * 2 + 3)]
    planning.plan_days(connection, days, again=False)
    assert planning.count_open(connection, days) == len(CHARACTERS) * len(days)


def test_a_month_is_made_room_for_while_others_read(connection: psycopg.Connection, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM timeline.event, timeline.collection, timeline.character")
        connection.execute("SET lock_timeout = '2s'")
        planning.create_partitions(connection, [date(2025, 1, 31), date(2024, 12, 1), date(2025, 1, 1)])
        planning.create_partitions(connection, [date(2025, 1, 31)])
    partitions = connection.execute(
        "SELECT part.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid"
        " WHERE part.relkind = 'r' ORDER BY 1"
    ).fetchall()
    assert [name for (name,) in partitions] == [
        f"{table}_{month}" for table in ("character", "collection", "event") for month in ("2024_12", "2025_01")
    ]
    assert connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def test_a_malformed_id_is_not_asked_for_again_either(connection: psycopg.Connection) -> None:
    add_members(connection, [Member(CharacterKey("cain", "../x"), None)])
    for again in (False, True):
        planning.plan_days(connection, [DAY], again=again)
        states = connection.execute("SELECT state FROM timeline.collection WHERE character_id = '../x'").fetchall()
        assert states == [("missing",)]


def test_who_was_missing_before_the_day_was_over_is_asked_for_again_once_it_is(connection: psycopg.Connection) -> None:
    over_at = datetime.now(UTC) - timedelta(minutes=1)
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    before, after, owed = ledger.claim_characters(connection, worker, SHARD, 10)
    ledger.record_failure(connection, worker, before, "missing", "DNF001")
    connection.execute(
        "UPDATE timeline.collection SET claimed_at = claimed_at - interval '1 hour' WHERE state = 'missing'"
    )
    ledger.record_failure(connection, worker, after, "missing", "DNF001")
    ledger.record_failure(connection, worker, owed, "owed", "timed out")
    assert is_provisional(connection, DAY, over_at)
    planning.reopen_unfinished(connection, DAY, over_at)
    assert not is_provisional(connection, DAY, over_at)
    rows = connection.execute("SELECT state, reason FROM timeline.collection ORDER BY character_id").fetchall()
    assert rows == [("planned", None), ("missing", "DNF001"), ("owed", "timed out")]


def test_days_that_the_schedule_left_out_are_planned_by_its_next_run(connection: psycopg.Connection) -> None:
    assert follow(connection, DAY) == [], "the first run misses nothing"
    missed = [DAY + timedelta(days=offset) for offset in range(1, 4)]
    next_run = DAY + timedelta(days=4)
    planning.plan_days(connection, [missed[1]], again=False)  # somebody has asked for it by hand
    assert follow(connection, next_run) == [missed[0], missed[2]]
    assert list_planned(connection) == [DAY, *missed, next_run]
    assert planning.list_indebted_days(connection, next_run) == [DAY, *missed]
    assert follow(connection, next_run) == follow(connection, DAY) == [], "run again, they leave nothing out"
    assert follow(connection, next_run + timedelta(days=1)) == []


def test_what_a_backfill_or_a_run_by_hand_collects_is_no_day_of_the_schedule(connection: psycopg.Connection) -> None:
    for day in (date(2024, 3, 1), DAY + timedelta(days=3)):
        planning.plan_days(connection, [day], again=False)
        ledger.start_worker(connection, Shard.whole(day), "daily", 1000)
    assert follow(connection, DAY) == []
    assert follow(connection, DAY + timedelta(days=1)) == []
    assert list_planned(connection) == [date(2024, 3, 1), DAY, DAY + timedelta(days=1), DAY + timedelta(days=3)]


def test_a_crash_while_the_missed_days_are_planned_leaves_the_others_missed(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(connection, DAY)
    missed = [DAY + timedelta(days=offset) for offset in range(1, 3 * planning.DAYS_PLANNED_AT_ONCE)]
    after, real, calls = missed[-1] + timedelta(days=1), planning._plan_at_once, iter(range(2))  # noqa: SLF001 - what is committed at once

    def crash_later(*given: Any, **flags: Any) -> None:
        real(*given, **flags)
        if next(calls) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(planning, "_plan_at_once", crash_later)
        with pytest.raises(KeyboardInterrupt):
            planning.plan_missed(connection, after)
    planned = list_planned(connection)
    assert planned == [DAY, *missed[: planning.DAYS_PLANNED_AT_ONCE]]
    assert follow(connection, after) == missed[planning.DAYS_PLANNED_AT_ONCE :]
    unreported = connection.execute("SELECT count(*) FROM timeline.day WHERE reported_in = 0").fetchone()
    assert unreported == (len(missed),)


def test_a_run_that_dies_before_its_own_day_is_planned_leaves_that_missed(
    postgres_url: str, tmp_path: Path, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings({"warehouse_url": postgres_url, "lake_url": f"file://{tmp_path}"})

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def plan(day: date) -> None:
        pipeline.plan_day(settings, day, follows=True)

    plan(DAY)
    with monkeypatch.context() as patch:
        patch.setattr(planning, "plan_days", die)
        with pytest.raises(KeyboardInterrupt):
            plan(DAY + timedelta(days=1))
    plan(DAY + timedelta(days=2))
    assert list_planned(connection) == [DAY + timedelta(days=offset) for offset in range(3)]


def test_no_day_is_missed_where_clocks_change_at_midnight(connection: psycopg.Connection) -> None:
    connection.execute("SET TimeZone = 'Africa/Cairo'")
    first, last = date(2024, 4, 22), date(2024, 5, 1)  # on 26 April at midnight it was one o'clock
    follow(connection, first)
    assert follow(connection, last) == [first + timedelta(days=offset) for offset in range(1, 9)]


def test_what_a_backfill_planned_is_no_debt_of_the_daily_run_for_half_a_day(connection: psycopg.Connection) -> None:
    first, last = DAY - timedelta(days=9), DAY - timedelta(days=1)
    days = [first + timedelta(days=offset) for offset in range(9)]
    planning.plan_days(connection, [first - timedelta(days=1), *days], again=False)
    planning.record_backfill(connection, days)  # its collectors are still in the queue
    assert planning.list_indebted_days(connection, DAY) == [first - timedelta(days=1)]
    worker = ledger.start_worker(connection, Shard(tuple(days), 0, 2), "backfill", 1000)
    ledger.finish_worker(connection, worker, Usage())  # and the next one is
    assert planning.list_indebted_days(connection, DAY) == [first - timedelta(days=1)]
    connection.execute("UPDATE timeline.backfill SET planned_at = planned_at - interval '12 hours'")
    assert planning.list_indebted_days(connection, DAY) == [first - timedelta(days=1)]
    connection.execute("UPDATE timeline.worker SET expires_at = expires_at - interval '12 hours'")
    connection.execute("UPDATE timeline.collection SET attempts = 1")
    assert planning.list_indebted_days(connection, last) == [first - timedelta(days=1), *days[:-1]]


def test_a_run_takes_all_debts_along_but_of_the_days_nobody_has_begun_only_the_newest(
    connection: psycopg.Connection,
) -> None:
    follow(connection, DAY)
    connection.execute("UPDATE timeline.collection SET attempts = 5, state = 'owed', reason = 'timed out'")
    after = DAY + timedelta(days=61)
    missed = follow(connection, after)
    assert len(missed) == 60
    for _ in range(60 // planning.UNTRIED_AT_ONCE):
        newest, missed = missed[-planning.UNTRIED_AT_ONCE :], missed[: -planning.UNTRIED_AT_ONCE]
        assert planning.list_indebted_days(connection, after) == [DAY, *newest]
        connection.execute(
            "UPDATE timeline.collection SET state = 'landed', attempts = 1 WHERE day = ANY(%s)", (newest,)
        )
    assert planning.list_indebted_days(connection, after) == [DAY, *missed]
    assert planning.make_debts_due(connection)[: len(missed) + 1] == [DAY, *missed], "`retry` takes all"
