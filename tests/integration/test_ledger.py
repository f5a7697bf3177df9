"""The ledger in a real PostgreSQL: who may commit what, and whose debts are whose."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from neople_timeline import pipeline
from neople_timeline.errors import ConfigError
from neople_timeline.models import CharacterKey, Shard, Usage
from neople_timeline.settings import Settings, make_settings
from neople_timeline.tables import CHARACTERS as CHARACTER_TABLE
from neople_timeline.warehouse import audit, ledger, planning
from neople_timeline.warehouse.connection import ask_number, connect
from neople_timeline.warehouse.days import list_unpublished_days
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.parts import list_parts, record_part
from neople_timeline.warehouse.predicates import DAILY_MARTS
from neople_timeline.warehouse.roster import Member, add_members, remove_members
from neople_timeline.warehouse.state import is_provisional, read_state

DAY = date(2026, 11, 15)
SHARD = Shard((DAY,), 0, 1)
OVER_AT = datetime(2026, 11, 16, tzinfo=UTC)
CHARACTERS = [CharacterKey("cain", letter * 32) for letter in "abc"]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        add_members(connection, [Member(key, None) for key in CHARACTERS])
        yield connection


def test_imports_of_one_roster_at_the_same_time_wait_for_each_other(postgres_url: str) -> None:
    settings = Settings(warehouse_url=postgres_url)
    lines = ["serverId,characterId", *(f"cain,{number:032x}" for number in range(2000)), "nowhere,x"]
    orders = [[lines[0], *lines[:0:-1]], lines] * 3
    pipeline.import_roster(settings, b"serverId,characterId\n")  # makes the schema
    with ThreadPoolExecutor(6) as pool:
        imports = pool.map(lambda order: pipeline.import_roster(settings, "\n".join(order).encode()), orders)
        assert sorted(added for _, added in imports) == [0, 0, 0, 0, 0, 2000]
    with connect(settings) as connection:
        assert connection.execute("SELECT line FROM timeline.roster_reject").fetchall() == [("nowhere,x",)]


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


def test_who_was_missing_before_the_day_was_over_is_asked_for_again_once_it_is(connection: psycopg.Connection) -> None:
    over_at = datetime.now(UTC) - timedelta(minutes=1)
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    before, after, owed = ledger.claim_characters(connection, worker, SHARD, 10)
    ledger.record_failure(connection, worker, before, "missing", "DNF001")
    connection.execute("UPDATE timeline.collection SET asked_at = asked_at - interval '1 hour' WHERE state = 'missing'")
    ledger.record_failure(connection, worker, after, "missing", "DNF001")
    ledger.record_failure(connection, worker, owed, "owed", "timed out")
    assert is_provisional(connection, DAY, over_at)
    planning.reopen_unfinished(connection, DAY, over_at)
    assert not is_provisional(connection, DAY, over_at)
    rows = connection.execute("SELECT state, reason FROM timeline.collection ORDER BY character_id").fetchall()
    assert rows == [("planned", None), ("missing", "DNF001"), ("owed", "timed out")]


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


def test_a_long_range_is_planned_whole(connection: psycopg.Connection) -> None:
    days = [DAY - timedelta(days=offset) for offset in range(planning.DAYS_PLANNED_AT_ONCE * 2 + 3)]
    planning.plan_days(connection, days, again=False)
    assert planning.count_open(connection, days) == len(CHARACTERS) * len(days)


def list_planned(connection: psycopg.Connection) -> list[date]:
    return [row[0] for row in connection.execute("SELECT day FROM timeline.day ORDER BY day")]


def follow(connection: psycopg.Connection, day: date) -> list[date]:
    missed = planning.plan_missed(connection, day)
    planning.plan_days(connection, [day], again=False)
    planning.mark_followed(connection, day)
    return missed


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


def test_without_a_roster_nothing_is_planned(postgres_url: str, tmp_path: Path) -> None:
    settings = make_settings({"warehouse_url": postgres_url, "lake_url": f"file://{tmp_path}"})
    with pytest.raises(ConfigError, match="the roster is empty"):
        pipeline.plan_day(settings, DAY, follows=True)
    with connect(settings) as connection:
        assert list_planned(connection) == []
        assert connection.execute("SELECT count(*) FROM timeline.setting").fetchone() == (0,)


def test_dates_and_texts_are_spelt_as_the_program_reads_them(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, connection: psycopg.Connection
) -> None:
    for name, value in {"PGDATESTYLE": "SQL, DMY", "PGCLIENTENCODING": "UHC", "PGTZ": "America/Santiago"}.items():
        monkeypatch.setenv(name, value)
    with connect(Settings(warehouse_url=postgres_url)) as other:
        follow(other, DAY)
        assert other.execute("SELECT '태초', '2026-11-15'::date::text").fetchone() == ("태초", "2026-11-15")
    noted = connection.execute("SELECT value FROM timeline.setting WHERE name = 'followed_to'").fetchone()
    assert noted == (f"{DAY}",)


def test_a_database_in_another_encoding_is_refused(postgres_url: str, connection: psycopg.Connection) -> None:
    connection.execute("DROP DATABASE IF EXISTS korean")
    connection.execute("CREATE DATABASE korean TEMPLATE template0 ENCODING 'EUC_KR' LOCALE 'C'")
    try:
        with pytest.raises(ConfigError, match="encoding EUC_KR"):
            connect(Settings(warehouse_url=make_conninfo(postgres_url, dbname="korean")))
    finally:
        connection.execute("DROP DATABASE korean")


def test_no_day_is_missed_where_clocks_change_at_midnight(connection: psycopg.Connection) -> None:
    connection.execute("SET TimeZone = 'Africa/Cairo'")
    first, last = date(2024, 4, 22), date(2024, 5, 1)  # on 26 April at midnight it was one o'clock
    follow(connection, first)
    assert follow(connection, last) == [first + timedelta(days=offset) for offset in range(1, 9)]


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


def read_verified_at(connection: psycopg.Connection) -> datetime | None:
    row = connection.execute("SELECT verified_at FROM timeline.day WHERE day = %s", (DAY,)).fetchone()
    assert row
    return row[0]  # type: ignore[no-any-return]


def claim_all(connection: psycopg.Connection) -> int:
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    assert len(ledger.claim_characters(connection, worker, SHARD, 10)) == 3
    return worker


def test_an_answer_from_before_the_day_was_over_proves_no_day(connection: psycopg.Connection) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'verified'")
    audit.mark_day_verified(connection, DAY, datetime.now(UTC) + timedelta(minutes=1))
    assert read_verified_at(connection) is None
    audit.mark_day_verified(connection, DAY, OVER_AT)
    assert read_verified_at(connection) is not None


def prove_all(connection: psycopg.Connection) -> None:
    """Have the day collected, loaded and proven."""
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'verified'")
    connection.execute("UPDATE timeline.day SET changed_in = 1")
    connection.cursor().executemany(
        "INSERT INTO timeline.published_mart (mart, period, generation, rows) VALUES (%s, %s, 2, 0)",
        [(mart, DAY) for mart in DAILY_MARTS],
    )
    audit.mark_day_verified(connection, DAY, OVER_AT)
    assert read_verified_at(connection)
    assert list_unpublished_days(connection, DAY + timedelta(days=1)) == []


@pytest.mark.parametrize("ends", ["landed", "owed", "missing"])
def test_what_comes_of_a_character_after_the_proof_takes_the_proof_back(
    connection: psycopg.Connection, ends: str
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
    (old, other) = [replace(part, etags={"events": "", "characters": ""}) for part in list_parts(connection, SHARD)]
    for part in (old, old, other):
        record_part(connection, part)
    connection.execute("UPDATE timeline.part SET loaded_version = version")
    for version, expected in ((1, "loaded"), (2, "verified")):
        audit.mark_verified(connection, replace(old, version=version), [])
        states = connection.execute("SELECT DISTINCT state FROM timeline.collection WHERE bucket = 0").fetchall()
        assert states == [(expected,)]


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


def test_an_object_that_a_far_later_day_points_to_is_no_orphan(connection: psycopg.Connection) -> None:
    far = DAY + timedelta(days=95)
    planning.plan_days(connection, [DAY, far], again=False)
    used, left = f"raw/day={DAY}/used", f"raw/day={DAY}/left"
    connection.execute("UPDATE timeline.collection SET raw_key = %s WHERE day = %s", (used, far))
    assert audit.list_orphans(connection, DAY, [used, left]) == [left]


def test_what_was_collected_of_a_character_stays_when_it_is_removed_before_it_is_collected_anew(
    connection: psycopg.Connection,
) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, CHARACTERS[0], 1, 1)])
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    planning.plan_days(connection, [DAY], again=True)
    remove_members(connection, CHARACTERS)
    assert connection.execute("SELECT character_id, raw_key, state FROM timeline.collection").fetchall() == [
        (CHARACTERS[0].character_id, "raw/x", "landed")
    ]


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
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    assert ledger.claim_characters(connection, worker, SHARD, 10) == []


def test_a_malformed_id_is_not_asked_for_again_either(connection: psycopg.Connection) -> None:
    add_members(connection, [Member(CharacterKey("cain", "../x"), None)])
    for again in (False, True):
        planning.plan_days(connection, [DAY], again=again)
        states = connection.execute("SELECT state FROM timeline.collection WHERE character_id = '../x'").fetchall()
        assert states == [("missing",)]


def test_a_character_that_a_collector_is_at_stays_in_the_plan_when_it_is_removed(
    connection: psycopg.Connection,
) -> None:
    worker = claim_all(connection)
    remove_members(connection, CHARACTERS[:1])
    assert planning.count_open(connection, [DAY]) == 3
    ledger.finish_worker(connection, worker, Usage())
    add_members(connection, [Member(CHARACTERS[0], None)])
    remove_members(connection, CHARACTERS[:1])
    assert planning.count_open(connection, [DAY]) == 2
