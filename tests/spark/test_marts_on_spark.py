"""The marts on real Spark: the same answers as DuckDB's, byte for byte, and nothing half-written if the driver dies."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from standalone import kill, wait_until
from stored_days import store_days

from neople_timeline.catalogue import MARTS
from neople_timeline.doctor import examine
from neople_timeline.errors import ConfigError, DataError
from neople_timeline.lake import Lake, open_lake
from neople_timeline.local.processes import choose_port
from neople_timeline.marts import spark_run
from neople_timeline.marts.build import build_marts
from neople_timeline.models import days_between
from neople_timeline.settings import Settings, make_settings
from neople_timeline.warehouse.connection import connect

MONTH = tuple(days_between(date(2026, 10, 1), date(2026, 10, 31)))
EVENTS_A_DAY = 1500

pytestmark = pytest.mark.spark


@pytest.fixture
def settings(postgres_url: str, s3: dict[str, str]) -> Settings:
    return make_settings({"warehouse_url": postgres_url, **{name.lower(): value for name, value in s3.items()}})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = open_lake(settings)
    with connect(settings) as connection:
        store_days(lake, connection, MONTH, events=EVENTS_A_DAY)
    return lake


@pytest.fixture
def expected(settings: Settings, lake: Lake) -> dict[str, bytes]:
    """What DuckDB publishes; it is deleted again."""
    with connect(settings) as connection:
        build_marts(settings, lake, connection, MONTH)
        marts = read_marts(lake)
        lake.delete(marts)
        for mart in MARTS:
            connection.execute(f"TRUNCATE timeline.{mart.warehouse_name}".encode())
    return marts


def read_marts(lake: Lake) -> dict[str, bytes]:
    return {key: lake.get(key) for key in lake.list_keys("marts") if not key.startswith("marts/_runs/")}


def count_rows(connection: psycopg.Connection) -> dict[str, int]:
    counts = {}
    for mart in MARTS:
        found = connection.execute(f"SELECT count(*) FROM timeline.{mart.warehouse_name}".encode()).fetchone()
        counts[mart.name] = found[0] if found else 0
    return counts


def test_a_driver_killed_in_mid_write_leaves_nothing_to_be_seen_and_the_second_run_is_duckdbs_to_the_last_byte(
    settings: Settings, lake: Lake, expected: dict[str, bytes], configure_spark: Callable[..., None], tmp_path: Path
) -> None:
    configure_spark(master="local[2]")
    kill_driver_in_mid_write(settings, lake, tmp_path)
    with connect(settings) as connection:
        with pytest.raises(DataError, match=r"no complete marts"):
            spark_run.publish_run(lake, connection, "run")
        assert read_marts(lake) == {}

        spark_run.submit_run(settings, "run", MONTH)

        assert read_marts(lake) == {}
        built = spark_run.publish_run(lake, connection, "run")
        assert {mart.name for mart in built if mart.rows} == {mart.name for mart in MARTS}
        assert read_marts(lake) == expected
        assert spark_run.publish_run(lake, connection, "run") == built
        assert count_rows(connection) == {mart.name: mart.rows for mart in built}
    assert lake.list_keys("marts/_runs") == ["marts/_runs/run/manifest.json"]


def kill_driver_in_mid_write(settings: Settings, lake: Lake, folder: Path) -> None:
    environment = {**os.environ, **spark_run.make_environment(settings)}
    command = ["spark-submit", str(spark_run.JOB), *spark_run.make_arguments("run", MONTH)]
    with (folder / "driver.log").open("wb") as log:
        driver = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: [key for key in lake.list_keys("marts/_runs") if key.endswith(".parquet")])
        os.killpg(driver.pid, signal.SIGKILL)
    finally:
        kill(driver)


def test_the_doctor_runs_a_job_that_reads_the_lake(settings: Settings, configure_spark: Callable[..., None]) -> None:
    configure_spark(master="local[1]")
    (found,) = (
        finding for finding in examine(lambda: replace(settings, marts_engine="spark")) if finding.part == "spark"
    )
    assert found.ok, found.message
    assert "read an object of the lake" in found.message
    assert open_lake(settings).list_keys("marts") == []


def test_an_object_that_is_gone_is_told_with_what_to_do(
    settings: Settings, lake: Lake, configure_spark: Callable[..., None]
) -> None:
    configure_spark(master="local[2]")
    lake.delete([f"events/day={MONTH[9]}/bucket-00-of-01.parquet"])
    with pytest.raises(DataError, match="an object of the ledger is gone from the lake: `neople-timeline verify`"):
        spark_run.submit_run(settings, "run", MONTH[:3])


def test_a_dead_cluster_is_named_by_its_address(settings: Settings, configure_spark: Callable[..., None]) -> None:
    master = f"spark://127.0.0.1:{choose_port()}"
    configure_spark(master=master)
    with pytest.raises(DataError, match=f"no Spark master answers at {master}"):
        spark_run.submit_run(settings, "run", MONTH)


def test_without_spark_submit_it_says_how_to_get_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ConfigError, match="make install-spark"):
        spark_run.submit_run(settings, "run", MONTH)
