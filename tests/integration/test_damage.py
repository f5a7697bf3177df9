"""Objects of the lake that are away, or changed without a new entity tag; and half days: none of it is proven."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from collected_day import take_through
from small_roster import THURSDAY, change, count
from small_roster import WEDNESDAY as DAY

import compare_truth
from neople_timeline import pipeline
from neople_timeline.errors import RetryLater
from neople_timeline.lake import open_lake
from neople_timeline.models import CharacterKey, Member, Shard
from neople_timeline.settings import Settings
from sandbox_control import SandboxApi

KINDS = ("raw", "events", "characters")


def find_busy(api: SandboxApi) -> CharacterKey:
    """Find a character with events on both days."""
    busy = [{event[2] for event in compare_truth.read_truth(api.read, [day])} for day in (THURSDAY, DAY)]
    return next(one for one in api.characters() if all(one.character_id in ids for ids in busy))


def lose_character(settings: Settings, api: SandboxApi, character: CharacterKey) -> None:
    """Have a proven day asked for anew after a character was deleted, whose events stay."""
    api.fail({"fault": "missing_character", "character": character.character_id})
    take_through(settings, pipeline.plan_day(settings, DAY, again=True))
    found = pipeline.prove_days(settings, [DAY])
    assert (found.ok, found.missing) == (True, 1)


def flip(path: Path) -> None:
    """Change one bit of a file, as its medium may: size, time and number, of which its entity tag is made, stay."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(stat.st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def folder(small: Settings, tmp_path: Path) -> Settings:
    """Settings with a lake in a folder."""
    return replace(small, lake_url=f"file://{tmp_path}/lake")


def flip_objects(settings: Settings, kind: str) -> None:
    root = Path(settings.lake_url.removeprefix("file://"))
    lake = open_lake(settings)
    for key in lake.list_keys(f"{kind}/day={DAY}"):
        etag = lake.etag(key)
        flip(root / key)
        assert lake.etag(key) == etag


@pytest.mark.parametrize("kind", KINDS)
def test_a_bit_that_flips_after_the_proof_is_found_and_mended_from_another_holder(
    folder: Settings, small_api: SandboxApi, kind: str
) -> None:
    take_through(folder, pipeline.plan_day(folder, DAY))
    assert pipeline.prove_days(folder, [DAY]).ok
    rows = compare_truth.read_postgres(folder, "character", [DAY])
    small_api.forget_stats()
    flip_objects(folder, kind)
    assert not pipeline.verify_days(folder, [DAY]).ok
    assert pipeline.prove_days(folder, [DAY]).ok
    assert pipeline.verify_days(folder, [DAY]).ok
    compare_truth.compare(folder, compare_truth.read_truth(small_api.read, [DAY]), [DAY])
    assert sorted(map(repr, compare_truth.read_postgres(folder, "character", [DAY]))) == sorted(map(repr, rows))
    assert small_api.stats()["requests"] == 0


@pytest.mark.parametrize("kind", ["events", "characters"])
def test_a_bit_that_flips_before_the_load_never_reaches_postgresql(
    folder: Settings, small_api: SandboxApi, kind: str
) -> None:
    plan = pipeline.plan_day(folder, DAY)
    for shard in plan.shards:
        pipeline.collect_shard(folder, shard)
        pipeline.refine_shard(folder, shard)
    flip_objects(folder, kind)
    with pytest.raises(RetryLater, match="refined anew"):
        pipeline.load_shard(folder, Shard.whole(DAY))
    take_through(folder, pipeline.plan_day(folder, DAY))
    assert pipeline.prove_days(folder, [DAY]).ok
    compare_truth.compare(folder, compare_truth.read_truth(small_api.read, [DAY]), [DAY])


def test_what_a_lost_object_held_of_another_day_is_not_forgotten_with_it(
    small: Settings, small_api: SandboxApi
) -> None:
    truth = compare_truth.read_truth(small_api.read, [DAY])
    plan = pipeline.plan_backfill(small, THURSDAY, DAY)  # one chain, and one object, for all days
    take_through(small, plan)
    assert pipeline.prove_days(small, plan.days).ok
    lose_character(small, small_api, find_busy(small_api))
    lake = open_lake(small)
    lake.delete(key for kind in KINDS for key in lake.list_keys(f"{kind}/day={THURSDAY}"))
    plan = pipeline.plan_day(small, THURSDAY, again=True)
    take_through(small, plan)
    assert pipeline.prove_days(small, [THURSDAY, DAY]).ok
    compare_truth.compare(small, truth, [DAY])


def test_what_was_away_for_a_while_and_is_put_back_counts_as_before(small: Settings, small_api: SandboxApi) -> None:
    truth = compare_truth.read_truth(small_api.read, [DAY])
    take_through(small, pipeline.plan_day(small, DAY))
    lose_character(small, small_api, find_busy(small_api))
    lake = open_lake(small)
    away = {key: lake.get(key) for kind in KINDS for key in lake.list_keys(f"{kind}/day={DAY}")}
    lake.delete(away)
    pipeline.refine_shard(small, Shard.whole(DAY))  # as a run in the meantime, which changes nothing
    pipeline.load_shard(small, Shard.whole(DAY))
    assert not pipeline.prove_days(small, [DAY]).ok
    for key, data in away.items():
        lake.put(key, data)
    take_through(small, pipeline.plan_day(small, DAY))
    assert pipeline.prove_days(small, [DAY]).ok
    compare_truth.compare(small, truth, [DAY])


def test_who_is_taken_off_the_roster_with_lost_answers_leaves_no_rows(small: Settings, small_api: SandboxApi) -> None:
    take_through(small, pipeline.plan_day(small, DAY))
    lake = open_lake(small)
    lake.delete(key for kind in KINDS for key in lake.list_keys(f"{kind}/day={DAY}"))
    busy = find_busy(small_api)
    small_api.fail({"fault": "status_500", "character": busy.character_id})
    for shard in pipeline.plan_day(small, DAY, again=True).shards:
        pipeline.collect_shard(small, shard)
        pipeline.refine_shard(small, shard)
    assert pipeline.remove_members(small, [busy]) == (1, 1)
    take_through(small, pipeline.plan_day(small, DAY))
    assert pipeline.prove_days(small, [DAY]).ok
    assert busy.character_id not in {row["character_id"] for row in compare_truth.read_postgres(small, "event", [DAY])}


@pytest.mark.parametrize("fault", ["status_500", "missing_character"])
def test_half_a_day_is_never_a_whole_one_whatever_becomes_of_the_second_question(
    small: Settings, small_api: SandboxApi, fault: str
) -> None:
    busy = find_busy(small_api)
    take_through(small, pipeline.plan_day(small, DAY))
    change(small, f"UPDATE timeline.collection SET asked_at = '{DAY} 15:00+09'")  # as `--unfinished` in the afternoon
    small_api.fail({"fault": "unknown_code"}, {"fault": fault, "character": busy.character_id})  # the evening
    take_through(small, pipeline.plan_day(small, DAY))
    assert count(small, "state IN ('owed', 'missing')") == 1
    pipeline.plan_day(small, DAY, again=True)  # and its run dies
    pipeline.remove_members(small, [busy])
    pipeline.add_members(small, [Member(busy, None)])  # by mistake
    assert pipeline.prove_days(small, [DAY]).provisional == (DAY,)

    small_api.fail({"fault": "unknown_code"})
    take_through(small, pipeline.plan_day(small, DAY))
    found = pipeline.prove_days(small, [DAY])
    assert (found.ok, found.provisional) == (True, ())
    compare_truth.compare(small, compare_truth.read_truth(small_api.read, [DAY]), [DAY])
    assert DAY not in pipeline.plan_day(small, DAY + timedelta(days=1)).days
