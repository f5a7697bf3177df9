"""The marts in a real lake and a real PostgreSQL: exactly the periods that the days touch are replaced."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from types import ModuleType

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg.errors import UniqueViolation
from stored_days import store_days

from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts import build, publish, spark_run
from neople_timeline.marts.build import build_marts
from neople_timeline.marts.check import check_marts
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.marts.periods import periods_of
from neople_timeline.marts.publish import MartBuilt, publish_results
from neople_timeline.marts.results import MartResult, encode_parquet
from neople_timeline.models import days_between
from neople_timeline.parts import list_objects
from neople_timeline.settings import Settings, make_settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.days import list_changed_days
from neople_timeline.warehouse.marts import replace_periods, take_generation

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)


@pytest.fixture
def settings(postgres_url: str, s3: dict[str, str]) -> Settings:
    return make_settings({"warehouse_url": postgres_url, **{name.lower(): value for name, value in s3.items()}})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = open_lake(settings)
    with connect(settings) as connection:
        store_days(lake, connection, days_between(date(2026, 11, 12), FRIDAY))
    return lake


def compute(lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> list[MartResult]:
    """Compute the marts of some days, published by nobody."""
    return list(run_marts(lambda table, some, folder: lake.fetch(list_objects(connection, table, some), folder), days))


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
        store_days(lake, connection, [THURSDAY], events=300, seed=2)
        build_marts(settings, lake, connection, [THURSDAY])
        changed = {key for key, digest in digest_lake(lake).items() if before.get(key) != digest}
        periods = {key.split("/")[2] for key in changed}
        assert {f"day={THURSDAY}", f"week={THURSDAY}"} <= periods
        assert periods <= {f"day={THURSDAY}", f"week={THURSDAY}", "month=2026-11-01"}
        total = connection.execute(
            "SELECT day, sum(events) FROM timeline.mart_activity_by_hour GROUP BY day ORDER BY day"
        ).fetchall()
        assert total == [(WEDNESDAY, 400), (THURSDAY, 300)]


def test_what_else_lies_in_the_lake_is_counted_nowhere(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        build_marts(settings, lake, connection, [THURSDAY])
        before = digest_lake(lake)
        for beside in ("bucket-01-of-02.parquet", "copy.parquet"):
            lake.put(f"events/day={FRIDAY}/{beside}", lake.get(f"events/day={THURSDAY}/bucket-00-of-01.parquet"))
        build_marts(settings, lake, connection, [THURSDAY])
        assert digest_lake(lake) == before


def test_an_object_that_is_gone_leaves_no_week_without_its_events(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        lake.delete([f"events/day={FRIDAY}/bucket-00-of-01.parquet"])
        with pytest.raises(DataError, match=rf"events/day={FRIDAY}.* is gone\. The next run of its day rebuilds it"):
            build_marts(settings, lake, connection, [THURSDAY])
        assert connection.execute("SELECT * FROM timeline.published_mart").fetchall() == []


def test_marts_that_differ_between_lake_and_warehouse_are_found_and_computed_anew(
    settings: Settings, lake: Lake
) -> None:
    spoilt = [
        "drops_by_day of 2026-11-18", "drops_by_item of 2026-11-18", "luck_by_week of 2026-11-12",
        "luck_by_month of 2026-11-01", "servers_by_day of 2026-11-18",
    ]  # fmt: skip
    with connect(settings) as connection:
        connection.execute("UPDATE timeline.day SET changed_in = nextval('timeline.mart_generation')")  # loaded
        build_marts(settings, lake, connection, [WEDNESDAY])
        assert list_changed_days(connection, [WEDNESDAY]) == []
        assert check_marts(lake, connection, [WEDNESDAY, FRIDAY]) == []
        before = digest_lake(lake), [sorted(read_rows(connection, mart), key=repr) for mart in MARTS]

        connection.execute("UPDATE timeline.mart_drops_by_day SET drops = drops + 1 WHERE route_code = 505")
        connection.execute("DELETE FROM timeline.mart_luck_by_month WHERE luck_rank = 1")
        lake.delete([f"marts/drops_by_item/day={WEDNESDAY}/part.parquet"])
        connection.execute("DELETE FROM timeline.mart_servers_by_day")  # on both sides alike
        lake.put(
            f"marts/servers_by_day/day={WEDNESDAY}/part.parquet",
            encode_parquet(next(mart for mart in MARTS if mart.name == "servers_by_day").schema.empty_table()),
        )
        lake.put("marts/luck_by_week/week=2026-11-12/part.parquet", b"not Parquet")
        found = check_marts(lake, connection, [WEDNESDAY])
        assert {str(finding).partition(" is not")[0] for finding in found} == {
            f"{WEDNESDAY} all characters: the mart {name}" for name in spoilt
        }
        assert check_marts(lake, connection, [WEDNESDAY]) == found  # until it is computed anew

        assert list_changed_days(connection, [WEDNESDAY]) == [WEDNESDAY]
        build_marts(settings, lake, connection, [WEDNESDAY])
        assert check_marts(lake, connection, [WEDNESDAY]) == []
        assert (digest_lake(lake), [sorted(read_rows(connection, mart), key=repr) for mart in MARTS]) == before


def test_an_older_computation_never_replaces_a_newer_one(settings: Settings, lake: Lake) -> None:
    with connect(settings) as connection:
        generation = take_generation(connection)
        paused = compute(lake, connection, [WEDNESDAY, THURSDAY])
        store_days(lake, connection, [THURSDAY], events=300, seed=2)
        build_marts(settings, lake, connection, [THURSDAY])
        before = digest_lake(lake)
        publish_results(lake, connection, [WEDNESDAY, THURSDAY], paused, generation)
        after = digest_lake(lake)
        total = "SELECT day, sum(events) FROM timeline.mart_activity_by_hour GROUP BY day ORDER BY day"
        assert connection.execute(total).fetchall() == [(WEDNESDAY, 400), (THURSDAY, 300)]
    assert {key: after[key] for key in before} == before
    assert len(after) > len(before)


OWN_TEXTS = {"server_id", "character_id", "kind", "item_family", "occurred_minute"}
"""Text keys that are checked before they are asked for, or written here; all others are written by strangers."""


def make_long_row(mart: Mart) -> pa.Table:
    """Make a row whose names no index could hold, however it compresses them."""
    texts = [column.name for column in mart.columns if column.sql == "text"]
    row = {name: "short" if name in OWN_TEXTS else secrets.token_hex(10_000) for name in texts}
    return pa.Table.from_pylist([{mart.period: THURSDAY, **row}], schema=mart.schema)


def test_no_name_is_too_long_for_a_mart_and_each_row_is_there_once(settings: Settings) -> None:
    with connect(settings) as connection:
        for mart in MARTS:
            table = make_long_row(mart)
            replace_periods(connection, mart, {THURSDAY: table}, take_generation(connection))
            assert read_rows(connection, mart) == [tuple(row.values()) for row in table.to_pylist()]
            with pytest.raises(UniqueViolation):
                replace_periods(connection, mart, {THURSDAY: pa.concat_tables([table, table])}, 0)


LONG = tuple(days_between(date(2026, 10, 26), date(2026, 11, 20)))
"""Of two months and of four weeks, of which the first begins before it, one has days of both months."""


class Publisher:
    """Publishes as the real one does, and notes what at once."""

    def __init__(self) -> None:
        self.most_days = 0
        self.periods: Counter[tuple[str, date]] = Counter()

    def publish(
        self,
        lake: Lake,
        connection: psycopg.Connection,
        days: Sequence[date],
        results: Iterable[MartResult],
        generation: int,
    ) -> tuple[MartBuilt, ...]:
        ready = list(results)
        for result in ready:
            self.periods.update((result.mart.name, period) for period in periods_of(days, result.mart.period))
            if result.mart.period == "day" and result.table.num_rows:
                self.most_days = max(self.most_days, len(result.table.column("day").unique()))
        return publish_results(lake, connection, days, ready, generation)


def watch_publishing(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> Publisher:
    publisher = Publisher()
    monkeypatch.setattr(module, "publish_results", publisher.publish)
    return publisher


def leave_run(lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> dict[str, int]:
    """Leave behind what a Spark job does, and give the rows by mart."""
    generation = take_generation(connection)
    objects: dict[str, tuple[str, ...]] = {}
    rows: dict[str, int] = {}
    for result in compute(lake, connection, days):
        key = f"{spark_run.run_prefix('run')}/attempt/{result.mart.name}/part-0.parquet"
        lake.put(key, encode_parquet(result.table))
        objects[result.mart.name], rows[result.mart.name] = (key,), result.table.num_rows
    manifest = spark_run.Manifest(tuple(days), generation, objects)
    lake.put(f"{spark_run.run_prefix('run')}/manifest.json", msgspec.json.encode(manifest))
    return rows


def test_many_days_are_published_a_week_at_a_time_and_every_week_and_month_once(
    settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(settings) as connection:
        store_days(lake, connection, LONG, events=100)
        rows = leave_run(lake, connection, LONG)
        expected = {(mart.name, period) for mart in MARTS for period in periods_of(LONG, mart.period)}

        publisher = watch_publishing(monkeypatch, spark_run)
        assert {mart.name: mart.rows for mart in spark_run.publish_run(lake, connection, "run")} == rows
        assert (publisher.most_days, publisher.periods) == (7, Counter(expected))
        by_spark = digest_lake(lake)

        publisher = watch_publishing(monkeypatch, build)
        assert {mart.name: mart.rows for mart in build_marts(settings, lake, connection, LONG)} == rows
        assert (publisher.most_days, publisher.periods) == (7, Counter(expected))
        assert digest_lake(lake) == by_spark
        for mart in MARTS:
            assert len(read_rows(connection, mart)) == rows[mart.name]


def test_what_was_published_before_a_crash_is_not_computed_again_and_no_day_is_there_before_its_week_and_month(
    settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, calls = publish_results, 0

    def crash_later(*given: object) -> tuple[MartBuilt, ...]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return publish(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "publish_results", crash_later)
    with connect(settings) as connection:
        store_days(lake, connection, LONG, events=100)
        with pytest.raises(KeyboardInterrupt):
            build_marts(settings, lake, connection, LONG)
        there = set(connection.execute("SELECT mart, period FROM timeline.published_mart").fetchall())
    days = [day for day in LONG if ("servers_by_day", day) in there]
    assert days == list(LONG[: len(days)])
    assert 0 < len(days) < len(LONG)
    assert there >= {(mart.name, period) for mart in MARTS for period in periods_of(days, mart.period)}


def test_a_publisher_that_was_paused_and_lost_its_lock_overwrites_no_newer_mart(
    settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest: dict[str, str] = {}

    def wake_up(table: pa.Table) -> bytes:
        monkeypatch.undo()
        with connect(settings) as newer:
            newer.execute("SELECT pg_terminate_backend(%s, 5000)", (paused.info.backend_pid,))
            build_marts(settings, lake, newer, [WEDNESDAY])
            newest.update(digest_lake(lake))
        return encode_parquet(table)

    with connect(settings) as paused:
        generation = take_generation(paused)
        results = compute(lake, paused, [WEDNESDAY])
        store_days(lake, paused, [WEDNESDAY], events=300, seed=2)
        monkeypatch.setattr(publish, "encode_parquet", wake_up)
        with pytest.raises(RetryLater, match="rewritten by another run"):
            publish_results(lake, paused, [WEDNESDAY], results, generation)
    assert newest
    assert digest_lake(lake) == newest
