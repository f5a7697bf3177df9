"""A day on two workers while its parts are lost one after the other: it ends by itself, and holds the truth.

CHAOS=short (some minutes, 2,000 characters) or CHAOS=long (20,000); `make chaos` sets it. Parts that end are started
again after a second, as Compose and Kubernetes do; nothing else helps the run along.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.request import urlopen

import msgspec
import psutil
import psycopg
import pytest

from neople_timeline.sandbox import airflow, cluster, day_run, local, stack
from neople_timeline.sandbox.cluster import Cluster
from neople_timeline.sandbox.processes import find

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from collector import collect_metrics
from compare_truth import compare, list_debts, read_truth

LONG = os.environ.get("CHAOS") == "long"
CHARACTERS, SLOTS, RATE = (20_000, 2, 1_000) if LONG else (2_000, 1, 50)
PATIENCE_SECONDS = 900 if LONG else 300
"""How long the day may take, all losses included."""
DISK_MEGABYTES = 400
DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nt-chaos-"))  # short, because it holds sockets
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def disk(home: Path) -> Iterator[Path | None]:
    """A small disk for the object store, or None where this user may not mount one."""
    path = home / "sandbox" / "objects"
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "none", str(path)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield path if mounted else None
    if mounted:
        subprocess.run(["umount", str(path)], check=True)  # noqa: S607


@pytest.fixture
def metrics() -> Iterator[tuple[str, dict[str, float]]]:
    with collect_metrics() as collected:
        yield collected


@pytest.fixture
def running(
    home: Path, disk: Path | None, metrics: tuple[str, dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    assert disk is None or disk.is_mount()
    monkeypatch.setenv("NEOPLE_API_RATE", str(RATE))
    # Any ports, so that it may run beside a stack.
    monkeypatch.setattr(local, "PORTS", dict.fromkeys(local.PORTS, 0))
    monkeypatch.setattr(cluster, "REDIS_PORT", 0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", metrics[0])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    opened = cluster.open_cluster(home, DAGS, slots=SLOTS, characters=CHARACTERS)
    over = threading.Event()
    keeper = threading.Thread(target=cluster.keep_up, args=(opened, over))
    try:
        cluster.up(opened)
        keeper.start()
        yield opened
    finally:
        over.set()
        if keeper.is_alive():
            keeper.join()
        stack.stop_home(opened.local.home)


BEGAN = time.monotonic()


def tell(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)  # noqa: T201 - shown when it fails, or with -s


def ask(running: Cluster, path: str) -> bytes:
    with urlopen(f"{running.local.settings.neople_api_url}/sandbox/{path}", timeout=120) as answer:  # noqa: S310
        data: bytes = answer.read()
    return data


def send(running: Cluster, name: str, number: signal.Signals, *, family: bool = False) -> psutil.Process:
    leader = find(name, running.local.home)
    assert leader, f"{name} does not run"
    for process in [leader, *(leader.children(recursive=True) if family else [])]:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    tell(f"{name}: {number.name}")
    return leader


def kill(running: Cluster, name: str) -> None:
    """Kill a part with everything that it started, as when its machine loses power."""
    psutil.wait_procs([send(running, name, signal.SIGKILL, family=True)], timeout=10)


def wait(what: str, is_so: Callable[[], object], patience_seconds: float = 180) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            if is_so():
                tell(what)
                return
        except psycopg.OperationalError:
            pass  # PostgreSQL is one of the parts that are lost
        assert time.monotonic() < deadline, f"not within {patience_seconds} s: {what}"
        time.sleep(0.3)


def count_landed(running: Cluster, day: date) -> int:
    ledger, _ = day_run.count_ledger(running.local.settings, day)
    return sum(count for state, count in ledger.items() if state in {"landed", "loaded", "verified"})


def query(running: Cluster, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(running.local.settings.warehouse_url, connect_timeout=5) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def list_collectors(running: Cluster) -> dict[int, int]:
    """Count what collectors that are alive have claimed and not landed, by the id of the collector."""
    statement = (
        "SELECT worker_id, count(*) FROM timeline.collection JOIN timeline.worker USING (worker_id)"
        " WHERE state = 'planned' AND finished_at IS NULL AND expires_at > clock_timestamp() GROUP BY 1"
    )
    return dict(query(running, statement))  # type: ignore[arg-type]


@contextmanager
def cut_off(running: Cluster, number: int) -> Iterator[None]:
    """Pull the cable of a worker's host; where there are no hosts, stop the worker with all that it started."""
    if not running.has_hosts:
        send(running, f"airflow-worker-{number}", signal.SIGSTOP, family=True)
        yield
        send(running, f"airflow-worker-{number}", signal.SIGCONT, family=True)
        return
    cable = cluster.name_cable(running, number)
    subprocess.run(["ip", "link", "set", cable, "down"], check=True)  # noqa: S607
    tell(f"the cable of worker-{number} is pulled")
    yield
    subprocess.run(["ip", "link", "set", cable, "up"], check=True)  # noqa: S607
    tell("the cable is plugged in again")


@contextmanager
def full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            tell("the object store's disk is full")
    yield
    ballast.unlink()
    tell("the disk has room again")


def read_state(running: Cluster, run_id: str) -> str:
    """Ask Airflow's own database: its API server is one of the parts that are lost."""
    with psycopg.connect(running.local.airflow.metastore_url, connect_timeout=5) as connection:
        row = connection.execute("SELECT state FROM dag_run WHERE run_id = %s", (run_id,)).fetchone()
    return str(row[0]) if row else ""


def test_a_day_survives_the_loss_of_its_parts(
    running: Cluster, disk: Path | None, metrics: tuple[str, dict[str, float]]
) -> None:
    settings = running.local.settings
    day = settings.calendar.last_over(datetime.now(UTC))
    api = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    run_id = day_run.ensure_run(api, settings, day)
    began = time.monotonic()
    tell(f"the run of {day} is started; workers are hosts of their own: {running.has_hosts}")

    wait("every worker collects", lambda: len(list_collectors(running)) == 2 * SLOTS)
    with cut_off(running, 1):
        time.sleep(10)  # shorter than what a request may take: what was sent is not given up
    wait("some characters have landed", lambda: count_landed(running, day) > 0.03 * CHARACTERS)
    kill(running, "airflow-worker-1")
    kill(running, "airflow-scheduler")
    kill(running, "redis")
    landed = count_landed(running, day)
    assert landed < CHARACTERS, "killed too late to prove anything"
    wait("the other worker goes on", lambda: count_landed(running, day) > landed)
    with cut_off(running, 2):
        assert count_landed(running, day) < CHARACTERS, "cut off too late to prove anything"
        lost = set(list_collectors(running))
        wait("its leases are gone", lambda: not lost & set(list_collectors(running)))
        wait("its characters are with another", lambda: list_collectors(running))
    kill(running, "airflow-api")
    if disk:
        with full(disk):
            time.sleep(20)
    send(running, "postgres", signal.SIGQUIT)

    wait("the run has ended", lambda: read_state(running, run_id) in day_run.ENDED, PATIENCE_SECONDS)
    tell(f"{read_state(running, run_id)} after {time.monotonic() - began:.0f} s")
    assert read_state(running, run_id) == "success"
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert list_debts(settings) == {}
    truth = read_truth(lambda path: ask(running, path), [day])
    compare(settings, truth, [day])
    stats = msgspec.json.decode(ask(running, "stats"))
    tell(f"contents are the sandbox's truth; its statistics: {stats}")
    assert stats["violations"] == 0
    assert len(list((running.local.maildir / "new").iterdir())) == 1
    assert query(running, "SELECT count(*) FROM timeline.day WHERE verified_at IS NULL") == [(0,)]
    figures = {name.removeprefix("airflow.timeline."): value for name, value in metrics[1].items()}
    assert (figures["events"], figures["characters"], figures["owed_in_all"]) == (truth.total(), CHARACTERS, 0)
    assert 0 < figures["wasted"] < figures["requests"]
    assert running.lineage.read_text().count('"eventType": "COMPLETE"') > len(day_run.STEPS)
    if not disk:
        pytest.skip("all was proven but the full disk: this user may not mount a small one")
