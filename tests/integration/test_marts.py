"""The marts in a real lake and a real PostgreSQL: exactly the periods that the days touch are replaced."""

import hashlib
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plausible_month import make_characters, make_events

from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts.build import build_marts
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.marts.publish import publish_results
from neople_timeline.models import days_between
from neople_timeline.settings import Settings, make_settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.marts import take_generation

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)


@pytest.fixture
def settings(postgres_url: str, s3: dict[str, str]) -> Settings:
    return make_settings({"warehouse_url": postgres_url, **{name.lower(): value for name, value in s3.items()}})


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
    return connection.execute(f"SELECT {columns} FROM timeline.{mart.warehouse_name}").fetchall()


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


def test_an_older_computation_never_replaces_a_newer_one(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        generation = take_generation(connection)
        paused = list(run_marts(lake.fetch, [WEDNESDAY, THURSDAY]))
        write_day(lake, THURSDAY, events=300, seed=2)
        build_marts(settings, lake, connection, [THURSDAY])
        before = digest_lake(lake)
        publish_results(lake, connection, [WEDNESDAY, THURSDAY], paused, generation)
        after = digest_lake(lake)
        total = "SELECT day, sum(events) FROM timeline.mart_activity_by_hour GROUP BY day ORDER BY day"
        assert connection.execute(total).fetchall() == [(WEDNESDAY, 400), (THURSDAY, 300)]
    assert {key: after[key] for key in before} == before
    assert len(after) > len(before)
