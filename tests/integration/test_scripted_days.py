"""Days on which the API says, in an unlucky order, what would once have led to a false proof."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from collected_day import take_through, work_off
from scripted_api import UNKNOWN, ScriptedApi, run_scripted_api

from neople_timeline import pipeline
from neople_timeline.catalogue import MARTS
from neople_timeline.models import CharacterKey, Member, Plan
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect

DAY = date(2026, 10, 17)
ONE, OTHER = (CharacterKey("cain", letter * 32) for letter in "ab")


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with run_scripted_api() as api:
        yield api


@pytest.fixture
def two(settings: Settings, api: ScriptedApi) -> Settings:
    """Settings with two characters on the roster."""
    settings = replace(settings, neople_api_url=api.url, neople_api_key="k" * 32)
    pipeline.add_members(settings, [Member(ONE, None), Member(OTHER, None)])
    return settings


def ask(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.warehouse_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def change(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.warehouse_url, autocommit=True) as connection:
        connection.execute(statement.encode())


def raid(minute: str, phase: str) -> tuple[str, int, object]:
    names = {"raidName": "새 레이드", "raidPartyName": "p", "modeName": "m", "phaseName": phase}
    return minute, 201, names


def read_marts(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    return {
        mart.name: ask(settings, f"SELECT * FROM timeline.{mart.warehouse_name} ORDER BY {', '.join(mart.keys)}")
        for mart in MARTS
    }


def assert_whole(settings: Settings, *days: date) -> None:
    for day in days:
        gaps = pipeline.find_gaps(settings, "event", day, day)
        assert (gaps.absent, gaps.unproven, gaps.owed) == ((), (), 0)
        assert pipeline.verify_days(settings, [day]).ok


def test_what_a_paid_debt_tells_of_raids_is_in_the_marts_of_later_days_and_of_the_next_week(
    two: Settings, api: ScriptedApi
) -> None:
    before, week_after = DAY - timedelta(days=1), DAY + timedelta(days=5)
    api.rows = {
        ONE.character_id: [
            raid(f"{before} 10:00", "1단계"),
            raid(f"{before} 10:20", "2단계"),
            raid(f"{DAY} 10:00", "1단계"),
        ],
        OTHER.character_id: [raid(f"{week_after} 10:00", "1단계")],
    }
    api.interrupt = lambda character, start: (
        (500, b"{}") if character == ONE.character_id and start < f"{DAY} 06:00" else None
    )
    for day in (before, DAY, week_after):
        take_through(two, pipeline.plan_day(two, day))
        pipeline.prove_days(two, [day])
    assert len(pipeline.list_owed(two)) == 1
    assert ask(two, f"SELECT sum(raid_clears) FROM timeline.mart_characters_by_day WHERE day = '{DAY}'") == [(1,)]

    api.interrupt = lambda *_: None
    work_off(two, pipeline.plan_debts(two))  # from now on the first phase is known not to be the last
    assert_whole(two, before, DAY, week_after)
    assert ask(two, f"SELECT sum(raid_clears) FROM timeline.mart_characters_by_day WHERE day = '{DAY}'") == [(0,)]
    kept = read_marts(two)
    change(two, "UPDATE timeline.published_mart SET generation = 0")
    for day in (before, DAY, week_after):
        pipeline.build_marts(two, [day])
    assert read_marts(two) == kept


def test_a_mart_by_month_that_was_changed_is_renewed_by_a_later_run(two: Settings, api: ScriptedApi) -> None:
    october = "SELECT * FROM timeline.mart_luck_by_month WHERE month = '2026-10-01' ORDER BY server_id, character_id"
    api.rows = {ONE.character_id: [(f"{DAY} 10:00", 505, {})], OTHER.character_id: []}
    for day in (DAY, DAY + timedelta(days=1)):
        work_off(two, pipeline.plan_day(two, day))
    kept = ask(two, october)
    for table in ("luck_by_month", "luck_by_week"):
        change(two, f"UPDATE timeline.mart_{table} SET dungeon_runs = dungeon_runs + 1000")
    assert not pipeline.verify_days(two, [DAY]).ok
    assert pipeline.find_gaps(two, "event", DAY, DAY).unproven == (DAY,)
    plan = pipeline.plan_day(two, DAY + timedelta(days=20))
    assert plan.days == (DAY, DAY + timedelta(days=20))
    work_off(two, plan)
    assert_whole(two, DAY, DAY + timedelta(days=1))
    assert ask(two, october) == kept


def test_one_wrong_answer_makes_nobody_missing_who_was_found_since(two: Settings, api: ScriptedApi) -> None:
    api.rows = {OTHER.character_id: []}
    work_off(two, pipeline.plan_day(two, DAY))  # the API does not know one of them: it is missing
    api.rows[ONE.character_id] = [(f"2026-0{month}-10 10:00", 505, {}) for month in (3, 4, 5)]
    work_off(two, pipeline.plan_backfill(two, date(2026, 3, 10), date(2026, 3, 12)))  # and finds it
    wrong = [UNKNOWN]
    api.interrupt = lambda character, _: wrong.pop() if character == ONE.character_id and wrong else None
    work_off(two, pipeline.plan_backfill(two, date(2026, 4, 1), date(2026, 6, 20)))
    assert not wrong
    assert ask(two, "SELECT day FROM timeline.collection WHERE state = 'missing'") == [(DAY,)]
    assert ask(two, "SELECT count(*) FROM timeline.event") == [(3,)]


def test_again_takes_no_answer_from_before_it(two: Settings, api: ScriptedApi) -> None:
    api.rows = {ONE.character_id: [(f"{DAY} 10:00", 505, {})], OTHER.character_id: []}
    again: list[Plan] = []

    def bring_a_late_event(character: str, _: str) -> None:
        """While the answer without it is on its way, it comes, and somebody asks for the day again."""
        if character == ONE.character_id and not again:
            api.rows[character].append((f"{DAY} 11:00", 505, {}))
            again.append(pipeline.plan_day(two, DAY, again=True))

    api.interrupt = bring_a_late_event
    for shard in pipeline.plan_day(two, DAY).shards:
        pipeline.collect_shard(two, shard)
    work_off(two, again[0])
    assert_whole(two, DAY)
    assert ask(two, "SELECT count(*) FROM timeline.event") == [(2,)]


def test_an_answer_of_another_server_is_nobodys(two: Settings, api: ScriptedApi) -> None:
    namesake = CharacterKey("bakal", ONE.character_id)
    pipeline.add_members(two, [Member(namesake, None)])
    api.rows = {ONE.character_id: [(f"{DAY} 10:00", 505, {})], OTHER.character_id: []}
    api.server = "cain"
    take_through(two, pipeline.plan_day(two, DAY))
    (owed,) = pipeline.list_owed(two)
    assert (owed.character, owed.reason) == (namesake, "the answer is about another character")
    assert ask(two, "SELECT server_id FROM timeline.event") == [("cain",)]


def test_sequences_that_begin_anew_after_a_restore_make_nothing_old(two: Settings, api: ScriptedApi) -> None:
    api.rows = {ONE.character_id: [(f"{DAY} 10:00", 505, {})], OTHER.character_id: []}
    for _ in range(3):
        work_off(two, pipeline.plan_day(two, DAY, again=True))
    change(two, "ALTER SEQUENCE timeline.mart_generation RESTART")
    change(two, "ALTER TABLE timeline.worker ALTER worker_id RESTART")
    api.rows[ONE.character_id].append((f"{DAY} 11:00", 505, {}))
    work_off(two, pipeline.plan_day(two, DAY, again=True))
    assert_whole(two, DAY)
    assert ask(two, "SELECT sum(events) FROM timeline.mart_servers_by_day") == [(2,)]


@pytest.mark.parametrize(
    ("name", "preferred", "used"),
    [("extra_float_digits", "-15", "1"), ("default_transaction_isolation", "repeatable read", "read committed")],
)
def test_what_the_database_prefers_changes_no_proof(
    two: Settings, api: ScriptedApi, name: str, preferred: str, used: str
) -> None:
    ((database,),) = ask(two, "SELECT current_database()")
    change(two, f"ALTER DATABASE \"{database}\" SET {name} = '{preferred}'")
    drops: list[tuple[str, int, object]] = [(f"{DAY} 10:{minute}0", 505, {}) for minute in range(3)]
    api.rows = {ONE.character_id: drops, OTHER.character_id: []}
    work_off(two, pipeline.plan_day(two, DAY))
    assert_whole(two, DAY)
    with connect(two) as connection:
        assert connection.execute(f"SHOW {name}".encode()).fetchone() == (used,)
