"""A day through Airflow, on a standalone cluster and s3a://: it loses a worker, is exact, and tells no secret."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from standalone import Cluster, kill, wait_until
from through_airflow import World, open_world

from mail_catcher import Smtp
from neople_timeline import pipeline
from neople_timeline.lake import Lake, open_lake
from neople_timeline.local import processes, services
from neople_timeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = date(2026, 11, 15)

pytestmark = pytest.mark.spark


@pytest.fixture
def world(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: services.Postgres,
    object_store: dict[str, str],
    smtp: Smtp,
) -> "Iterator[World]":
    home = tmp_path_factory.mktemp("airflow")
    yield open_world(home, postgres_server, object_store, smtp.url, smtp.maildir)
    processes.stop(processes.list_recorded(home), home)


def test_a_cluster_that_loses_a_worker_in_mid_job_gives_exact_marts_and_tells_no_secret(
    world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARTS_ENGINE", "spark")
    host, _, port = cluster.master.rpartition(":")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", f'{{"conn_type": "spark", "host": "{host}", "port": {port}}}')
    pipeline.import_roster(world.settings, world.api.read("roster.csv"))
    lake = open_lake(world.settings)
    lake.ensure_id(world.settings.calendar)  # the bucket is there only once something is in it

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.run_day, DAY)
        wait_until(lambda: list_written(lake) or running.done())
        pages = cluster.read_pages()
        spoken = [*read_command_lines(), *pages]
        kill(cluster.workers[0])
        assert running.result() == "success", world.printed[-1][-5000:]

    assert any("spark_job.py" in line and "--master\0" + cluster.master in line for line in spoken)
    assert any("spark.executorEnv.AWS_SECRET_ACCESS_KEY" in page for page in pages), "the job's own page was not seen"
    assert any("Lost executor" in text for text in world.printed), "no worker was lost in mid-job"
    spoken += [*cluster.read_logs(), *world.printed]
    for secret in list_secrets(world.settings):
        assert not [text for text in spoken if secret in text]
    made_by_spark = read_marts(lake)
    lake.delete(made_by_spark)
    pipeline.build_marts(world.settings, [DAY])
    assert made_by_spark == read_marts(lake) != {}


def list_secrets(settings: Settings) -> list[str]:
    password = settings.warehouse_url.split(":")[2].split("@")[0]
    return [settings.aws_secret_access_key, settings.aws_access_key_id, password, settings.neople_api_key]


def list_written(lake: Lake) -> list[str]:
    return [key for key in lake.list_keys("marts/_runs") if key.endswith(".parquet")]


def read_marts(lake: Lake) -> dict[str, bytes]:
    return {key: lake.get(key) for key in lake.list_keys("marts") if not key.startswith("marts/_runs/")}


def read_command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_text(errors="replace"))
    return lines
