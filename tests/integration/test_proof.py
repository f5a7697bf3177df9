"""What counts as proven and as missing, where others work at the same days or the API errs."""

import json
from datetime import date, timedelta
from email import message_from_bytes, policy

import psycopg
import pytest

from mail_catcher import Smtp
from neople_timeline import pipeline
from neople_timeline.errors import RetryLater
from neople_timeline.lake import open_lake
from neople_timeline.models import CharacterKey, Kind, Plan
from neople_timeline.settings import Settings
from neople_timeline.verify import Verification
from sandbox_control import SandboxApi

DAY = date(2026, 10, 20)


@pytest.fixture
def guild(settings: Settings, sandbox_api: SandboxApi) -> Settings:
    """Settings with forty characters, of whom nothing is collected yet."""
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    return settings


def collect(settings: Settings, plan: Plan, kind: Kind = "daily") -> None:
    for shard in plan.shards:
        pipeline.collect_shard(settings, shard, kind=kind)


def publish(settings: Settings, plan: Plan) -> None:
    for shard in plan.shards:
        pipeline.refine_shard(settings, shard)
        pipeline.load_shard(settings, shard)
    pipeline.build_marts(settings, plan.days)


def work_off(settings: Settings, plan: Plan) -> Verification:
    collect(settings, plan)
    publish(settings, plan)
    return pipeline.prove_days(settings, plan.days)


def find_busiest(api: SandboxApi, day: date) -> tuple[CharacterKey, int, int]:
    """Name the character with most events of a day, with their number, and that of everybody's."""
    counts = json.loads(api.read(f"truth/counts?start={day}%2006:00&end={day + timedelta(days=1)}%2005:59"))
    name = max(counts["by_character"], key=counts["by_character"].get)
    return CharacterKey(*name.split("/")), counts["by_character"][name], counts["events"]


def test_what_another_run_landed_before_the_proof_is_in_the_mail(
    guild: Settings, sandbox_api: SandboxApi, smtp: Smtp
) -> None:
    busiest, _, events = find_busiest(sandbox_api, DAY)
    sandbox_api.fail({"fault": "status_500", "character": busiest.character_id})
    plan = pipeline.plan_day(guild, DAY)
    collect(guild, plan)
    publish(guild, plan)
    sandbox_api.fail()
    collect(guild, pipeline.plan_debts(guild), "retry")  # and its process dies
    assert pipeline.prove_days(guild, plan.days).ok
    assert pipeline.publish_report(guild, DAY).mailed
    (path,) = (smtp.maildir / "new").iterdir()
    body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
    assert body is not None
    assert f"타임라인 기록: {events:,}" in body.get_content()


def test_a_character_that_is_lost_in_the_middle_of_its_pages_is_asked_for_again(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    days = (DAY - timedelta(days=back) for back in range(60))
    day, character = next((day, found[0]) for day in days if (found := find_busiest(sandbox_api, day))[1] > 100)
    sandbox_api.fail({"fault": "missing_character", "character": character.character_id, "after": 1, "times": 1})
    proof = work_off(guild, pipeline.plan_day(guild, day))
    assert (proof.ok, proof.owed, proof.missing) == (True, (), 0)
    assert proof.events == find_busiest(sandbox_api, day)[2]


@pytest.mark.parametrize("is_new", [True, False])
def test_one_wrong_answer_makes_nobody_missing(guild: Settings, sandbox_api: SandboxApi, *, is_new: bool) -> None:
    if not is_new:
        work_off(guild, pipeline.plan_day(guild, DAY - timedelta(days=1)))
    character = find_busiest(sandbox_api, DAY)[0]
    sandbox_api.fail({"fault": "missing_character", "character": character.character_id, "times": 1})
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert (found.ok, found.owed, found.missing) == (True, (), 0)
    assert sandbox_api.stats()["by_fault"] == {"missing_character": 1}


def test_a_character_is_not_missing_on_some_days_that_is_found_on_others(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    collect(guild, pipeline.plan_day(guild, DAY - timedelta(days=1)))
    character = pipeline.list_members(guild)[0].character
    sandbox_api.fail({"fault": "missing_character", "character": character.character_id, "after": 1})
    collect(guild, pipeline.plan_backfill(guild, DAY - timedelta(days=2), DAY), "backfill")  # two windows of a day each
    owed = pipeline.list_owed(guild)
    assert {one.character for one in owed} == {character}
    assert {one.reason.split(",")[0] for one in owed} == {"the API knows it on other days"}
    sandbox_api.fail()
    collect(guild, pipeline.plan_debts(guild), "retry")
    assert pipeline.list_owed(guild) == []


def test_who_was_missing_long_ago_and_is_there_again_is_asked_for_by_a_backfill_of_those_days(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    long_ago = DAY - timedelta(days=60)
    character = find_busiest(sandbox_api, DAY)[0]
    sandbox_api.fail({"fault": "missing_character", "character": character.character_id})
    collect(guild, pipeline.plan_backfill(guild, long_ago, long_ago), "backfill")
    sandbox_api.fail()
    plan = pipeline.plan_day(guild, DAY)
    assert plan.days == (DAY,)
    collect(guild, plan)
    assert pipeline.plan_backfill(guild, long_ago, long_ago).pending == 1


def test_an_api_that_finds_nobody_from_the_first_day_on_is_not_believed(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    sandbox_api.fail({"fault": "missing_character"})
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert (len(found.owed), found.missing) == (40, 0)
    assert {owed.reason.split(",")[0] for owed in found.owed} == {"the API has found nobody"}


def test_an_api_that_loses_many_who_were_there_is_not_believed(guild: Settings, sandbox_api: SandboxApi) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY - timedelta(days=1)))
    sandbox_api.fail({"fault": "missing_character", "probability": 0.5})
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert found.owed
    assert found.missing == 0
    sandbox_api.fail()
    collect(guild, pipeline.plan_debts(guild), "retry")
    assert pipeline.list_owed(guild) == []


def test_who_was_missing_for_a_day_and_is_there_again_is_asked_for_that_day(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    character, events, _ = find_busiest(sandbox_api, DAY)
    sandbox_api.fail({"fault": "missing_character", "character": character.character_id})
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert (found.ok, found.missing) == (True, 1)
    sandbox_api.fail()
    assert work_off(guild, pipeline.plan_day(guild, DAY + timedelta(days=1))).missing == 0
    plan = pipeline.plan_day(guild, DAY + timedelta(days=2))
    assert plan.days == (DAY, DAY + timedelta(days=2))
    assert work_off(guild, plan).ok
    with psycopg.connect(guild.warehouse_url) as connection:
        statement = "SELECT count(*) FROM timeline.event WHERE day = %s AND character_id = %s"
        assert connection.execute(statement, (DAY, character.character_id)).fetchone() == (events,)


@pytest.mark.parametrize("whose", ["PostgreSQL's", "this machine's"])
def test_nothing_is_collected_by_a_clock_that_is_ahead(
    guild: Settings, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    plan = pipeline.plan_day(guild, DAY)
    monkeypatch.setattr("neople_timeline.collect.LONGEST_LEAD_SECONDS", -10.0)  # as if the others were behind
    if whose != "PostgreSQL's":
        monkeypatch.setattr("neople_timeline.warehouse.ledger.read_clock", lambda _: 0.0)
    with pytest.raises(RetryLater, match=f"{whose} clock is .* ahead of"):
        collect(guild, plan)
    assert pipeline.count_ledger(guild, DAY) == ({"planned": 40}, 0)


def test_what_was_asked_for_by_a_clock_that_was_ahead_proves_nothing_and_is_asked_for_again(guild: Settings) -> None:
    assert work_off(guild, pipeline.plan_day(guild, DAY)).ok
    with psycopg.connect(guild.warehouse_url, autocommit=True) as connection:
        connection.execute("UPDATE timeline.collection SET asked_at = clock_timestamp() + interval '9 hours'")
        connection.execute("UPDATE timeline.day SET verified_at = NULL")
    assert pipeline.verify_days(guild, [DAY]).provisional == (DAY,)
    assert pipeline.plan_day(guild, DAY).pending == 40


def test_a_lost_answer_of_one_day_keeps_no_other_day_from_being_loaded(guild: Settings) -> None:
    collect(guild, pipeline.plan_day(guild, DAY))  # and its run dies
    lake = open_lake(guild)
    lake.delete(lake.list_keys(f"raw/day={DAY}"))
    plan = pipeline.plan_day(guild, DAY + timedelta(days=1))
    assert plan.days == (DAY, DAY + timedelta(days=1))
    found = work_off(guild, plan)
    assert {finding.day for finding in found.disagreements} == {DAY}
    assert any("cannot be published: " in str(finding) and "is gone" in str(finding) for finding in found.disagreements)
    assert pipeline.verify_days(guild, [DAY + timedelta(days=1)]).ok
    assert work_off(guild, pipeline.plan_day(guild, DAY, again=True)).ok


@pytest.mark.parametrize("harm", ["deleted", "another's"])
def test_marts_are_made_of_what_was_recorded_whatever_came_of_the_lake(guild: Settings, harm: str) -> None:
    assert work_off(guild, pipeline.plan_day(guild, DAY)).ok
    lake = open_lake(guild)
    key, other = lake.list_keys(f"events/day={DAY}")
    if harm == "deleted":
        lake.delete([key])
    else:
        lake.put(key, lake.get(other))
    totals = "SELECT sum(events) FROM timeline.mart_activity_by_hour"
    with psycopg.connect(guild.warehouse_url, autocommit=True) as connection:
        before = connection.execute(totals).fetchone()
        connection.execute("DELETE FROM timeline.mart_activity_by_hour")
        assert work_off(guild, pipeline.plan_day(guild, DAY + timedelta(days=1))).ok  # which has the week of the day
        pipeline.build_marts(guild, [DAY])
        assert connection.execute(f"{totals} WHERE day = '{DAY}'").fetchone() == before
    assert pipeline.verify_days(guild, [DAY]).ok


def test_a_lost_answer_of_a_character_that_is_missing_by_now_holds_nobody_else_up(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY))
    busiest, lost, events = find_busiest(sandbox_api, DAY)
    lake = open_lake(guild)
    for folder in ("raw", "events", "characters"):
        lake.delete(lake.list_keys(f"{folder}/day={DAY}"))
    sandbox_api.fail({"fault": "missing_character", "character": busiest.character_id})
    plan = pipeline.plan_day(guild, DAY, again=True)
    collect(guild, plan)
    publish(guild, plan)
    found = pipeline.prove_days(guild, [DAY])
    assert (found.ok, found.missing, found.events) == (True, 1, events - lost)


def test_who_leaves_the_roster_as_a_debtor_of_a_day_that_is_asked_for_anew_keeps_it_from_no_proof(
    guild: Settings, sandbox_api: SandboxApi
) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY))
    busiest, *_ = find_busiest(sandbox_api, DAY)
    sandbox_api.fail({"fault": "html_200", "character": busiest.character_id})
    plan = pipeline.plan_day(guild, DAY, again=True)
    collect(guild, plan)
    publish(guild, plan)
    assert pipeline.remove_members(guild, [busiest]) == (1, 0)
    assert pipeline.prove_days(guild, [DAY]).ok
    assert pipeline.plan_day(guild, DAY + timedelta(days=1)).days == (DAY + timedelta(days=1),)


def test_what_is_wrong_is_told_each_time_that_it_is_looked_for(guild: Settings) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY))
    lake = open_lake(guild)
    with psycopg.connect(guild.warehouse_url, autocommit=True) as warehouse:
        ((lost,),) = warehouse.execute("SELECT min(raw_key) FROM timeline.collection WHERE bucket = 1").fetchall()
        lake.delete([lost])
        warehouse.execute(
            "UPDATE timeline.event e SET name = 'x' FROM timeline.collection c WHERE bucket = 0"
            " AND c.character_id = e.character_id"
        )
    for _ in range(2):
        found = pipeline.verify_days(guild, [DAY])
        assert any("is gone" in finding.finding for finding in found.disagreements)
        assert any(finding.where == "PostgreSQL" for finding in found.disagreements)
        assert found.unfinished == ()
    assert work_off(guild, pipeline.plan_day(guild, DAY)).ok


def test_what_can_never_be_published_is_told_and_not_waited_for(guild: Settings, sandbox_api: SandboxApi) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY))
    busiest, *_ = find_busiest(sandbox_api, DAY)
    with psycopg.connect(guild.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute(
            "UPDATE timeline.collection SET events = events + 1, digest = digest + 1 WHERE character_id = %s",
            (busiest.character_id,),
        )
    found = pipeline.prove_days(guild, [DAY])
    assert [(finding.character, finding.where) for finding in found.disagreements] == [(busiest, "raw answers")]
