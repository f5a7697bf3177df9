"""Raw answers that are lost or damaged: what Parquet has of them is salvaged, if it is what the API had sent."""

from datetime import date
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from collected_day import take_through

import compare_truth
from neople_timeline import pipeline
from neople_timeline.digest import hash_bytes
from neople_timeline.errors import RetryLater
from neople_timeline.lake import Lake, open_lake
from neople_timeline.models import Plan, Shard
from neople_timeline.settings import Settings
from neople_timeline.verify import Verification
from sandbox_control import SandboxApi

DAY = date(2026, 10, 20)


@pytest.fixture
def proven(settings: Settings, sandbox_api: SandboxApi) -> Settings:
    """Settings with a proven day of forty characters, which are not to be asked for again."""
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    assert prove(settings, pipeline.plan_day(settings, DAY)).ok
    sandbox_api.forget_stats()
    return settings


@pytest.fixture
def lake(proven: Settings) -> Lake:
    """The lake, whose raw answers of the day are lost."""
    lake = open_lake(proven)
    lake.delete(lake.list_keys(f"raw/day={DAY}"))
    assert not pipeline.verify_days(proven, [DAY]).ok
    return lake


def prove(settings: Settings, plan: Plan) -> Verification:
    """Take a plan through all steps, as a run does."""
    take_through(settings, plan)
    return pipeline.prove_days(settings, plan.days)


def read_characters(settings: Settings) -> list[dict[str, Any]]:
    rows = compare_truth.read_postgres(settings, "character", [DAY])
    return sorted(rows, key=lambda row: (row["server_id"], row["character_id"]))


def test_lost_answers_are_salvaged_by_the_next_run_of_their_day_without_a_request(
    proven: Settings, lake: Lake, sandbox_api: SandboxApi
) -> None:
    before = read_characters(proven)
    assert prove(proven, pipeline.plan_day(proven, DAY)).ok
    compare_truth.compare(proven, compare_truth.read_truth(sandbox_api.read, [DAY]), [DAY])
    assert read_characters(proven) == before
    assert all("/salvaged-" in key for key in lake.list_keys(f"raw/day={DAY}"))
    assert sandbox_api.stats()["requests"] == 0


def test_a_character_that_was_deleted_keeps_what_it_did_when_its_answers_are_lost_and_asked_for_anew(
    proven: Settings, lake: Lake, sandbox_api: SandboxApi
) -> None:
    truth = compare_truth.read_truth(sandbox_api.read, [DAY])
    deleted = next(iter(truth))[2]
    sandbox_api.fail({"fault": "missing_character", "character": deleted})
    found = prove(proven, pipeline.plan_day(proven, DAY, again=True))
    assert (found.ok, found.missing) == (True, 1)
    compare_truth.compare(proven, truth, [DAY])
    assert any("/salvaged-" in key for key in lake.list_keys(f"raw/day={DAY}"))


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_answers_that_nobody_has_any_more_keep_no_day_that_is_asked_for_anew_from_being_proven(
    settings: Settings, sandbox_api: SandboxApi, harm: str
) -> None:
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    for shard in pipeline.plan_day(settings, DAY).shards:
        pipeline.collect_shard(settings, shard)
    lake = open_lake(settings)
    for key in lake.list_keys(f"raw/day={DAY}"):
        if harm == "lost":
            lake.delete([key])
        else:
            lake.put(key, b"?")
    deleted = next(iter(compare_truth.read_truth(sandbox_api.read, [DAY])))[2]
    sandbox_api.fail({"fault": "missing_character", "character": deleted})
    found = prove(settings, pipeline.plan_day(settings, DAY, again=True))
    assert (found.disagreements, found.missing) == ((), 1)


def test_what_an_older_version_refined_is_salvaged_too(proven: Settings, sandbox_api: SandboxApi) -> None:
    lake = open_lake(proven)
    with psycopg.connect(proven.warehouse_url, autocommit=True) as connection:
        for table, column in (("events", "npc_name"), ("characters", "guild_name")):
            for bucket, key in enumerate(lake.list_keys(f"{table}/day={DAY}")):
                file = pa.BufferOutputStream()
                pq.write_table(pq.read_table(pa.BufferReader(lake.get(key))).drop_columns([column]), file)
                older = file.getvalue().to_pybytes()
                statement = f"UPDATE timeline.part SET sources = '', {table}_etag = %s, {table}_hash = %s"
                marks = (lake.put(key, older), hash_bytes(older), DAY, bucket)
                connection.execute(f"{statement} WHERE day = %s AND bucket = %s".encode(), marks)
    lake.delete(lake.list_keys(f"raw/day={DAY}"))
    with pytest.raises(RetryLater, match="answers salvaged from Parquet: refine again"):
        pipeline.refine_shard(proven, Shard.whole(DAY))
    assert prove(proven, pipeline.plan_day(proven, DAY)).ok
    compare_truth.compare(proven, compare_truth.read_truth(sandbox_api.read, [DAY]), [DAY])
    assert sandbox_api.stats()["requests"] == 0


def test_what_is_gone_everywhere_is_told_and_never_waited_for(proven: Settings) -> None:
    lake = open_lake(proven)
    lake.delete(key for kind in ("raw", "events", "characters") for key in lake.list_keys(f"{kind}/day={DAY}"))
    with psycopg.connect(proven.warehouse_url, autocommit=True) as connection:
        connection.execute("UPDATE timeline.part SET loaded_version = NULL")
    assert pipeline.load_shard(proven, Shard.whole(DAY)).events == 0
    found = pipeline.prove_days(proven, [DAY])
    assert {finding.is_final for finding in found.disagreements} == {True}
    assert any("is gone" in finding.finding for finding in found.disagreements)


@pytest.mark.parametrize("harm", ["another event", "another object"])
def test_what_parquet_has_otherwise_than_it_was_sent_is_not_salvaged(proven: Settings, lake: Lake, harm: str) -> None:
    key, *_ = lake.list_keys(f"events/day={DAY}")
    table = pq.read_table(pa.BufferReader(lake.get(key)))
    if harm == "another event":
        names = pa.array(["altered", *table["name"].to_pylist()[1:]], pa.string())
        table = table.set_column(table.schema.get_field_index("name"), table.schema.field("name"), names)
    file = pa.BufferOutputStream()
    pq.write_table(table, file)
    etag = lake.put(key, file.getvalue().to_pybytes())
    if harm == "another event":
        with psycopg.connect(proven.warehouse_url, autocommit=True) as connection:
            statement = "UPDATE timeline.part SET events_etag = %s, events_hash = %s WHERE day = %s AND bucket = 0"
            connection.execute(statement, (etag, hash_bytes(file.getvalue().to_pybytes()), DAY))
    found = pipeline.prove_days(proven, [DAY])
    assert {finding.where for finding in found.disagreements if finding.character is None} == {"bucket 0"}


@pytest.mark.parametrize("harm", ["cut", "garbage", "altered", "another"])
def test_damaged_answers_are_salvaged_too_and_the_damaged_object_is_kept(
    harm: str, proven: Settings, sandbox_api: SandboxApi
) -> None:
    lake = open_lake(proven)
    key, other, *_ = lake.list_keys(f"raw/day={DAY}")
    whole = lake.get(key)
    altered = zstandard.compress(zstandard.decompress(whole, 2**30).replace("획득".encode(), "획덕".encode()))
    lake.put(key, {"cut": whole[:-100], "garbage": b"?", "altered": altered, "another": lake.get(other)}[harm])
    assert not pipeline.verify_days(proven, [DAY]).ok
    found = pipeline.prove_days(proven, [DAY])
    assert (found.disagreements, found.orphans) == ((), (key,))
    for salvaged in lake.list_keys(f"raw/day={DAY}"):
        lake.put(salvaged, b"damaged once more")
    assert pipeline.prove_days(proven, [DAY]).ok
    compare_truth.compare(proven, compare_truth.read_truth(sandbox_api.read, [DAY]), [DAY])
    assert sandbox_api.stats()["requests"] == 0


def test_altered_answers_never_reach_parquet_though_their_part_is_refined_anew(proven: Settings) -> None:
    lake = open_lake(proven)
    before = {key: lake.get(key) for key in lake.list_keys(f"events/day={DAY}")}
    for key in lake.list_keys(f"raw/day={DAY}"):
        plain = zstandard.decompress(lake.get(key), 2**30)
        lake.put(key, zstandard.compress(plain.replace("획득".encode(), "획덕".encode())))
    lake.delete(lake.list_keys(f"characters/day={DAY}"))  # so that all parts have to be refined
    pipeline.refine_shard(proven, Shard.whole(DAY))
    assert {key: lake.get(key) for key in before} == before
    found = pipeline.prove_days(proven, [DAY])
    assert {finding.raw_key for finding in found.disagreements if finding.raw_key} == set(
        lake.list_keys(f"raw/day={DAY}")
    )
