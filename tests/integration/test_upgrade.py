"""Days that an older version of the program left, or another warehouse on the same lake."""

import io
from dataclasses import replace

import psycopg
import pyarrow.parquet as pq
import pytest
from collected_day import collect_day

from neople_timeline import pipeline
from neople_timeline.digest import hash_bytes
from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.lake import Lake, open_lake
from neople_timeline.models import Shard
from neople_timeline.settings import Settings
from neople_timeline.tables import EVENTS

COUNT_NAMES = "SELECT count(npc_name) FROM timeline.event"


def rewrite(lake: Lake, key: str) -> tuple[str, str]:
    """Write an object as the older version did, and give its entity tag and hash."""
    older = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(lake.get(key))).drop_columns(["npc_name"]), older)
    return lake.put(key, older.getvalue()), hash_bytes(older.getvalue())


def test_they_are_refined_and_loaded_anew_without_asking_the_api(settings: Settings) -> None:
    day = collect_day(settings)
    shard, lake = Shard.whole(day), open_lake(settings)
    keys = lake.list_keys(f"events/day={day}")
    with psycopg.connect(settings.warehouse_url, autocommit=True) as warehouse:
        (names,) = warehouse.execute(COUNT_NAMES).fetchone() or (0,)
        assert names > 0
        for bucket, key in enumerate(keys):
            warehouse.execute(
                "UPDATE timeline.part SET sources = 'as the older version had it', events_etag = %s, events_hash = %s"
                " WHERE day = %s AND bucket = %s",
                (*rewrite(lake, key), day, bucket),
            )
        warehouse.execute("UPDATE timeline.event SET npc_name = NULL")

        assert pipeline.verify_days(settings, [day]).unfinished == (day,)
        assert pipeline.plan_day(settings, day).pending == 0
        pipeline.refine_shard(settings, shard)
        pipeline.load_shard(settings, shard)

        assert pipeline.verify_days(settings, [day]).ok
        assert warehouse.execute(COUNT_NAMES).fetchone() == (names,)
    for key in keys:
        assert pq.read_schema(io.BytesIO(lake.get(key))).equals(EVENTS.schema)


def test_what_was_refined_and_not_loaded_yet_is_refined_anew_first(settings: Settings) -> None:
    day = collect_day(settings)
    shard, lake = Shard.whole(day), open_lake(settings)
    key = lake.list_keys(f"events/day={day}")[0]
    with psycopg.connect(settings.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute(
            "UPDATE timeline.part SET sources = '', events_etag = %s, events_hash = %s, loaded_version = NULL"
            " WHERE day = %s AND bucket = 0",
            (*rewrite(lake, key), day),
        )
    with pytest.raises(RetryLater, match="refined anew"):
        pipeline.load_shard(settings, shard)
    pipeline.load_shard(settings, shard)
    assert pipeline.verify_days(settings, [day]).ok


def test_a_step_that_is_pointed_to_another_lake_in_the_middle_of_a_run_touches_neither(settings: Settings) -> None:
    day = collect_day(settings)
    other = replace(settings, lake_url=f"{settings.lake_url}-other")
    lake = open_lake(other)
    lake.ensure_id(settings.calendar)
    foreign = f"events/day={day}/bucket-03-of-04.parquet"
    lake.put(foreign, b"another warehouse's")
    with psycopg.connect(settings.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute("UPDATE timeline.collection SET state = 'owed', reason = 'x' WHERE events > 0")
    steps = (
        lambda settings: pipeline.collect_shard(settings, Shard.whole(day)),
        lambda settings: pipeline.refine_shard(settings, Shard.whole(day)),
        lambda settings: pipeline.load_shard(settings, Shard.whole(day)),
        lambda settings: pipeline.build_marts(settings, [day]),
        lambda settings: pipeline.publish_marts(settings, "run"),
        lambda settings: pipeline.prove_days(settings, [day]),
        lambda settings: pipeline.publish_report(settings, day),
        pipeline.republish_reports,
        pipeline.plan_debts,
    )
    for step in steps:
        with pytest.raises(ConfigError, match="do not belong together"):
            step(other)
    assert lake.get(foreign) == b"another warehouse's"
    assert [
        shard for shard in pipeline.plan_debts(settings).shards if pipeline.collect_shard(settings, shard).owed
    ] == []


def test_what_another_warehouse_cut_otherwise_is_found_and_deleted(settings: Settings) -> None:
    day = collect_day(settings)
    lake = open_lake(settings)
    before = {key: lake.get(key) for table in ("events", "characters") for key in lake.list_keys(f"{table}/day={day}")}
    strays = [key.replace("-of-02", "-of-04").replace("bucket-01", "bucket-03") for key in before]
    for key, stray in zip(before, strays, strict=True):
        lake.put(stray, before[key])
    foreign = f"events/day={day}/somebody-elses.parquet"
    lake.put(foreign, b"")

    said = [str(finding) for finding in pipeline.verify_days(settings, [day]).disagreements]
    assert sorted(line.split("has ")[1].split(",")[0] for line in said) == sorted([*strays, foreign])
    for index in range(2):
        pipeline.refine_shard(settings, Shard((day,), index, 2))
    lake.delete([foreign])

    assert pipeline.verify_days(settings, [day]).ok
    assert before == {
        key: lake.get(key) for table in ("events", "characters") for key in lake.list_keys(f"{table}/day={day}")
    }
