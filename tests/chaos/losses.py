"""How parts of a cluster are taken away, and what can be asked of it meanwhile."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import psutil
import psycopg

from neople_timeline import pipeline
from neople_timeline.local import cluster
from neople_timeline.local.cluster import Cluster
from neople_timeline.local.processes import find
from sandbox_control import SandboxApi

LONG = os.environ.get("CHAOS") == "long"
CHARACTERS, SLOTS, RATE = (20_000, 2, 1_000) if LONG else (2_000, 1, 50)
BEGAN = time.monotonic()


def tell(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)  # noqa: T201 - shown when it fails, or with -s


def open_api(running: Cluster) -> SandboxApi:
    settings = running.local.settings
    return SandboxApi(settings.neople_api_url, settings.neople_api_key)


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
    ledger, _ = pipeline.count_ledger(running.local.settings, day)
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
        try:
            yield
        finally:
            send(running, f"airflow-worker-{number}", signal.SIGCONT, family=True)
        return
    cable = cluster.name_cable(running, number)
    subprocess.run(["ip", "link", "set", cable, "down"], check=True)  # noqa: S607
    tell(f"the cable of worker-{number} is pulled")
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", cable, "up"], check=True)  # noqa: S607
        tell("the cable is plugged in again")


@contextmanager
def full(running: Cluster, part: str) -> Iterator[None]:
    """Leave no room on a part's disk."""
    ballast = running.local.home / part / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            tell(f"the disk of {part} is full")
    try:
        yield
    finally:
        ballast.unlink()
        tell("the disk has room again")


def use_up_the_journal(running: Cluster) -> None:
    """Write what PostgreSQL has room for; when its journal can grow no more, it ends all its processes."""
    message = "SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 1000000))"
    with psycopg.connect(running.local.postgres.url("postgres"), autocommit=True) as connection:
        for _ in range(1_000):
            connection.execute(message.encode())


def read_state(running: Cluster, run_id: str) -> str:
    """Ask Airflow's own database: its API server is one of the parts that are lost."""
    with psycopg.connect(running.local.airflow.metastore_url, connect_timeout=5) as connection:
        row = connection.execute("SELECT state FROM dag_run WHERE run_id = %s", (run_id,)).fetchone()
    return str(row[0]) if row else ""


def explain(running: Cluster, run_id: str) -> None:
    """Tell which tasks of a run did not end well, after how many tries, and how the log of each ends."""
    with psycopg.connect(running.local.airflow.metastore_url, connect_timeout=5) as connection:
        tasks = connection.execute(
            "SELECT task_id, map_index, state, try_number FROM task_instance"
            " WHERE run_id = %s AND state NOT IN ('success', 'upstream_failed') ORDER BY start_date",
            (run_id,),
        ).fetchall()
    for task_id, map_index, state, tries in tasks:
        tell(f"{task_id}[{map_index}] is {state} after {tries} tries")
        for log in sorted((running.local.airflow.home / "logs").glob(f"**/run_id={run_id}/task_id={task_id}/**/*.log")):
            lines = log.read_text().splitlines()[-12:]
            tell("\n    ".join([f"{log.relative_to(log.parents[2])} ends with", *(line[:1000] for line in lines)]))
