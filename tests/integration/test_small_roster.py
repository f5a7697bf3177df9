"""What is believed of a small roster, and what its runs prove while others are at work on the same days."""

from datetime import timedelta
from typing import Any

import pytest
from collected_day import take_through, work_off
from small_roster import CHARACTERS, THURSDAY, WEDNESDAY, change, collect, count, read_generations

from neople_timeline import pipeline, verify
from neople_timeline.errors import RetryLater
from neople_timeline.models import days_between
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.profiles import read_profiles
from neople_timeline.warehouse.state import Gaps
from sandbox_control import SandboxApi


def test_a_small_roster_of_whom_nobody_is_known_any_more_is_doubted_for_two_days_and_one_of_them_not(
    small: Settings, small_api: SandboxApi
) -> None:
    day = WEDNESDAY - timedelta(days=2)
    work_off(small, pipeline.plan_day(small, day))
    (gone,) = pipeline.list_members(small)[:1]
    small_api.fail({"fault": "missing_character", "character": gone.character.character_id})
    assert collect(small, pipeline.plan_day(small, day + timedelta(days=1))) == (1, 0)
    small_api.fail({"fault": "missing_character"})
    assert collect(small, pipeline.plan_day(small, WEDNESDAY)) == (1, CHARACTERS - 1)  # the one is missing for long
    change(small, "UPDATE timeline.roster SET name = 'called ' || character_id WHERE character_id < '8'")
    owed = pipeline.list_owed(small)
    assert "the API knew it the last time" in owed[0].reason
    names = {member.character: member.name or "" for member in pipeline.list_members(small)}
    assert {one.name == "" for one in owed} == {True, False}
    assert {one.character: one.name for one in owed}.items() <= names.items()
    assert collect(small, pipeline.plan_debts(small)) == (0, CHARACTERS - 1)
    change(small, "UPDATE timeline.collection SET doubted_at = doubted_at - interval '3 days'")
    assert collect(small, pipeline.plan_debts(small)) == (CHARACTERS - 1, 0)


def test_an_outage_while_a_day_of_long_ago_is_collected_anew_makes_nobody_missing(
    small: Settings, small_api: SandboxApi
) -> None:
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    change(small, "UPDATE timeline.day SET planned_at = planned_at - interval '9 days'")
    small_api.fail({"fault": "missing_character"})
    assert collect(small, pipeline.plan_day(small, WEDNESDAY, again=True)) == (0, CHARACTERS)
    change(small, "UPDATE timeline.collection SET doubted_at = doubted_at - interval '3 days'")
    small_api.fail()
    assert collect(small, pipeline.plan_debts(small)) == (0, 0)
    assert count(small, "doubted_at IS NOT NULL") == 0


def land_anew(settings: Settings) -> None:
    """Do what `retry` has done when it is killed, or is still at work."""
    one = f"day = '{WEDNESDAY}' AND character_id = (SELECT min(character_id) FROM timeline.collection WHERE events > 0)"
    assert change(settings, f"UPDATE timeline.collection SET state = 'owed', reason = 'x' WHERE {one}")
    for shard in pipeline.plan_debts(settings).shards:
        pipeline.collect_shard(settings, shard, kind="retry")


@pytest.fixture
def proven(small: Settings) -> Settings:
    """Settings with a day that is collected, loaded and proven."""
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    return small


def prove_while_others_land(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a run's proof come back later, because an answer landed while it compared."""
    compare = verify.verify_days

    def compare_late(*arguments: Any) -> verify.Verification:
        land_anew(settings)
        return compare(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(verify, "verify_days", compare_late)
        with pytest.raises(RetryLater, match="another run is at work on it"):
            pipeline.prove_days(settings, [WEDNESDAY])


def test_a_run_loads_what_others_landed_before_it_proves(proven: Settings) -> None:
    land_anew(proven)
    half_done = pipeline.verify_days(proven, [WEDNESDAY])
    assert (half_done.ok, half_done.unfinished) == (True, (WEDNESDAY,))
    assert pipeline.prove_days(proven, [WEDNESDAY]).ok


def test_a_run_comes_back_while_others_are_at_work_on_its_day(
    proven: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_while_others_land(proven, monkeypatch)
    assert pipeline.prove_days(proven, [WEDNESDAY]).ok


def test_what_a_run_loaded_before_it_came_back_is_in_the_marts(
    proven: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_while_others_land(proven, monkeypatch)
    before = read_generations(proven)[WEDNESDAY]
    pipeline.prove_days(proven, [WEDNESDAY])
    assert read_generations(proven)[WEDNESDAY] > before


def test_what_is_disproved_is_not_verified_any_more_until_the_next_run_has_mended_it(proven: Settings) -> None:
    assert change(proven, f"UPDATE timeline.event SET name = 'x' WHERE day = '{WEDNESDAY}'")
    played = count(proven, f"day = '{WEDNESDAY}' AND events > 0")
    for _ in range(2):  # however often it is asked
        assert not pipeline.verify_days(proven, [WEDNESDAY]).ok
        assert count(proven, f"day = '{WEDNESDAY}' AND state = 'loaded'") == played > 0
    assert pipeline.prove_days(proven, [WEDNESDAY]).ok
    assert count(proven, f"day = '{WEDNESDAY}' AND state = 'verified'") == CHARACTERS


def test_what_is_lacking_of_some_days_is_told_beside_their_rows(small: Settings, small_api: SandboxApi) -> None:
    owing, *_ = small_api.characters()
    tuesday = WEDNESDAY - timedelta(days=1)
    work_off(small, pipeline.plan_day(small, tuesday))
    small_api.fail({"fault": "status_500", "character": owing.character_id})
    take_through(small, pipeline.plan_day(small, WEDNESDAY))
    monday = tuesday - timedelta(days=1)
    assert pipeline.find_gaps(small, "event", monday, WEDNESDAY) == Gaps(
        absent=(monday,), unproven=(WEDNESDAY,), owed=1
    )
    with connect(small) as connection:
        profiles = read_profiles(connection, WEDNESDAY, ())
    told = {(one.person.server_id, one.person.character_id): one.owed for one in profiles if one.owed}
    assert told == {owing: (WEDNESDAY,)}
    small_api.fail()
    work_off(small, pipeline.plan_day(small, WEDNESDAY))
    assert pipeline.find_gaps(small, "event", WEDNESDAY, WEDNESDAY) == Gaps((), (), 0)
    never_planned = tuple(days_between(THURSDAY, monday))
    assert pipeline.find_gaps(small, "luck_by_week", WEDNESDAY, WEDNESDAY) == Gaps(never_planned, (), 0)
