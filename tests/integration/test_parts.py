"""A part is published once and whole, whoever else refines or loads it at the same time."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from collected_day import collect_day

from neople_timeline import parts, pipeline
from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, open_lake
from neople_timeline.models import Shard
from neople_timeline.part_objects import object_key
from neople_timeline.settings import Settings
from neople_timeline.tables import CHARACTERS, EVENTS
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.connection import connect


@pytest.fixture
def day(settings: Settings) -> date:
    """A proven day."""
    return collect_day(settings)


@pytest.fixture
def connection(settings: Settings, day: date) -> Iterator[psycopg.Connection]:  # noqa: ARG001 - it has the schema then
    with connect(settings) as connection:
        yield connection


def open_parquet(lake: Lake, key: str) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(lake.get(key)))


def test_an_older_version_of_a_part_replaces_nothing(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    part, lake = part_rows.list_parts(connection, Shard.whole(day))[0], open_lake(settings)
    events, characters = (open_parquet(lake, object_key(part, table)) for table in (EVENTS, CHARACTERS))
    part_rows.record_part(connection, part)  # somebody has refined it anew
    connection.execute("UPDATE timeline.event SET name = 'newer'")
    assert not part_rows.replace_part(connection, part, events, characters)
    assert connection.execute("SELECT DISTINCT name FROM timeline.event").fetchall() == [("newer",)]
    assert part_rows.replace_part(connection, replace(part, version=part.version + 1), events, characters)
    assert len(connection.execute("SELECT DISTINCT name FROM timeline.event").fetchall()) > 1


def test_an_object_that_is_not_the_recorded_one_is_refined_anew_before_it_is_loaded(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    part, lake = part_rows.list_parts(connection, Shard.whole(day))[0], open_lake(settings)
    emptied = io.BytesIO()
    pq.write_table(EVENTS.schema.empty_table(), emptied)
    lake.put(object_key(part, EVENTS), emptied.getvalue())
    connection.execute("UPDATE timeline.part SET loaded_version = NULL")
    with pytest.raises(RetryLater, match="refined anew"):
        pipeline.load_shard(settings, Shard.whole(day))
    pipeline.load_shard(settings, Shard.whole(day))
    assert pipeline.verify_days(settings, [day]).ok


def test_a_shard_whose_object_is_gone_leaves_the_other_shards_of_its_day_alone(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    (part, *others), lake = part_rows.list_parts(connection, Shard.whole(day)), open_lake(settings)
    assert others
    lake.delete([object_key(part, EVENTS)])
    connection.execute("UPDATE timeline.part SET loaded_version = NULL WHERE bucket = 0")
    with pytest.raises(RetryLater, match="refined anew"):
        pipeline.load_shard(settings, Shard((day,), part.bucket, part.buckets))
    assert part_rows.list_parts(connection, Shard.whole(day))[1:] == others


def test_who_refines_a_part_waits_for_who_does_already(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    connection.execute("UPDATE timeline.part SET sources = ''")
    listed = part_rows.list_parts(connection, Shard.whole(day))
    with ThreadPoolExecutor(1) as pool:
        with part_rows.hold_parts(connection, listed):
            waiting = pool.submit(pipeline.refine_shard, settings, Shard.whole(day))
            with pytest.raises(TimeoutError):
                waiting.result(1)
        assert waiting.result(60).objects == 2 * len(listed)


def test_an_answer_that_lands_after_its_part_was_refined_is_not_called_loaded(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    part, lake = part_rows.list_parts(connection, Shard.whole(day))[0], open_lake(settings)
    changed = connection.execute(
        "UPDATE timeline.collection SET state = 'landed', digest = digest + 1 WHERE bucket = 0 AND events > 0"
        " AND character_id = (SELECT min(character_id) FROM timeline.collection WHERE bucket = 0 AND events > 0)"
    ).rowcount
    connection.execute("UPDATE timeline.part SET loaded_version = NULL")
    events, characters = (open_parquet(lake, object_key(part, table)) for table in (EVENTS, CHARACTERS))
    assert part_rows.replace_part(connection, part, events, characters)
    left = connection.execute("SELECT count(*) FROM timeline.collection WHERE state = 'landed'").fetchone()
    assert left == (changed,) == (1,)


def test_parquet_that_is_gone_is_written_anew_and_told_where_its_answers_are_gone_too(
    settings: Settings, connection: psycopg.Connection, day: date
) -> None:
    lake = open_lake(settings)
    before = {key: lake.get(key) for key in lake.list_keys(f"events/day={day}")}
    lake.delete(before)
    parts.mend_parts(settings.calendar, lake, connection, [day])
    assert {key: lake.get(key) for key in lake.list_keys(f"events/day={day}")} == before
    assert pipeline.verify_days(settings, [day]).ok

    for folder in ("raw", "events", "characters"):
        lake.delete(lake.list_keys(f"{folder}/day={day}"))
    with pytest.raises(DataError, match=f"{day}, bucket 0, is gone or another's.*--again"):
        parts.mend_parts(settings.calendar, lake, connection, [day])


def test_parquet_that_another_run_is_writing_is_waited_for(
    settings: Settings, connection: psycopg.Connection, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(settings)
    lake.delete(lake.list_keys(f"events/day={day}"))
    found = part_rows.list_parts(connection, Shard.whole(day))

    def refine_parts(*_: Any) -> list[part_rows.Part]:
        for part in found:
            part_rows.record_part(connection, part)
        return found

    monkeypatch.setattr(parts, "refine_parts", refine_parts)
    monkeypatch.setattr(parts, "load_parts", lambda *_: [])
    with pytest.raises(RetryLater, match="another run"):
        parts.mend_parts(settings.calendar, lake, connection, [day])
