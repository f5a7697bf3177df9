"""A day on two workers while its parts are lost one after the other: it ends by itself, and holds the truth.

CHAOS=short (some minutes) or CHAOS=long; `make chaos` sets it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.request import urlopen

import msgspec
import psutil
import psycopg
import pytest

from neople_timeline import pipeline
from neople_timeline.sandbox import airflow, cluster, day_run
from neople_timeline.sandbox.cluster import Cluster
from neople_timeline.sandbox.processes import find, start

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from compare_truth import compare, list_debts, read_truth

LONG = os.environ.get("CHAOS") == "long"
CHARACTERS = 20_000 if LONG else 3_000
PATIENCE_SECONDS = 1_200 if LONG else 300
DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    opened = cluster.open_cluster(tmp_path_factory.mktemp("cluster"), DAGS, characters=CHARACTERS)
    try:
        cluster.up(opened)
        yield opened
    finally:
        cluster.down(opened.local.home)


def ask(running: Cluster, path: str) -> bytes:
    with urlopen(f"{running.local.settings.neople_api_url}/sandbox/{path}", timeout=120) as answer:  # noqa: S310
        data: bytes = answer.read()
    return data


def kill(running: Cluster, name: str) -> None:
    """Kill a part with everything that it started, as when its machine loses power."""
    leader = find(name, running.local.home)
    assert leader, f"{name} does not run"
    for process in [leader, *leader.children(recursive=True)]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs([leader], timeout=10)


def restart(running: Cluster, name: str) -> None:
    everything = [*cluster.list_stores(running), *cluster.list_airflow(running)]
    start(next(service for service in everything if service.name == name), running.local.home)


def count_landed(running: Cluster, day: date) -> int:
    ledger, _ = day_run.count_ledger(running.local.settings, day)
    return sum(count for state, count in ledger.items() if state in {"landed", "loaded", "verified"})


def wait_until_landed(running: Cluster, day: date, share: float) -> None:
    deadline = time.monotonic() + 120
    while count_landed(running, day) < share * CHARACTERS:
        assert time.monotonic() < deadline, "nothing is being collected"
        time.sleep(0.2)


def read_state(running: Cluster, run_id: str) -> str:
    api = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    return str(api.call("GET", f"{day_run.DAG_URL}/dagRuns/{run_id}")["state"])


def wait_for_end(running: Cluster, run_id: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := read_state(running, run_id)) not in day_run.ENDED:
        assert time.monotonic() < deadline, f"still {state} after {PATIENCE_SECONDS} s"
        time.sleep(2)
    return state


def test_a_day_survives_the_loss_of_its_parts(running: Cluster) -> None:
    settings = running.local.settings
    day = pipeline.last_day(settings, datetime.now(UTC))
    api = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    run_id = day_run.ensure_run(api, settings, day)

    wait_until_landed(running, day, 0.05)
    kill(running, "worker-1")
    assert count_landed(running, day) < CHARACTERS, "killed too late to prove anything"
    for name in ("redis", "airflow-scheduler"):
        kill(running, name)
        restart(running, name)
    postgres = find("postgres", running.local.home)
    assert postgres
    postgres.send_signal(signal.SIGINT)
    psutil.wait_procs([postgres], timeout=20)
    restart(running, "postgres")
    restart(running, "worker-1")
    restart(running, "airflow-scheduler")

    assert wait_for_end(running, run_id) == "success"
    assert list_debts(settings) == {}
    compare(settings, read_truth(lambda path: ask(running, path), [day]), [day])
    assert msgspec.json.decode(ask(running, "stats"))["violations"] == 0
    assert len(list((running.local.maildir / "new").iterdir())) == 1
    with psycopg.connect(settings.warehouse_url) as connection:
        assert connection.execute("SELECT count(*) FROM timeline.day WHERE verified_at IS NULL").fetchone() == (0,)
