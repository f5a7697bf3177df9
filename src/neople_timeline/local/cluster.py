"""`make cluster`: the production topology as processes on this machine, everything on 127.0.0.1.

CeleryExecutor with Redis, metastore and warehouse on PostgreSQL, S3, and FAB's login. Each worker is a host of its own
where the machine allows namespaces (`local.host`), else a process like the others. Parts that end are started again,
as Compose and Kubernetes do. Workers write their logs to one folder: Airflow's log server listens on every interface.
"""

import argparse
import json
import os
import secrets
import shutil
import threading
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path

import redis  # the group `cluster` brings it

from neople_timeline.errors import ConfigError
from neople_timeline.local import airflow, day_run, host, screen, services, stack
from neople_timeline.local.home import MAIL_USER, Local, hide_settings_from_children, open_local
from neople_timeline.local.processes import (
    LOOPBACK,
    LocalError,
    Service,
    choose_port,
    find,
    read_since_start,
    refuse_starts,
    remember,
    start,
    write_private,
)
from neople_timeline.roster import HEADERS

ROOT = Path(".local/cluster")
REDIS_PORT = 16379
"""Preferred."""
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
HOSTS = IPv4Network("198.18.0.0/16")
"""Addresses of workers' hosts: for benchmarks in laboratories, and nobody's on the Internet."""


@dataclass(frozen=True)
class Cluster:
    """A local stack whose Airflow runs its tasks on workers."""

    local: Local
    redis_port: int
    redis_password: str = field(repr=False)
    workers: int = 2
    slots: int = 2
    characters: int = 500
    has_hosts: bool = False
    """Whether workers are hosts of their own; these reach the sandbox, but not the real API."""

    @property
    def environment(self) -> dict[str, str]:
        """Give what all of Airflow's processes must agree on; passwords stay off command lines."""
        metastore = self.local.airflow.metastore_url.replace("postgresql://", "postgresql+psycopg://")
        return self.local.airflow.environment | {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__AUTH_MANAGER": FAB,
            "AIRFLOW__CORE__PARALLELISM": str(self.workers * self.slots),
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:{self.redis_password}@{LOOPBACK}:{self.redis_port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metastore}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(self.slots),
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "259200",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "10",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "1000",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
            # Where OpenTelemetry's own variables say where to.
            "AIRFLOW__METRICS__OTEL_ON": str("OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(self.lineage), "append": True}
            ),
        }

    @property
    def lineage(self) -> Path:
        """Say where OpenLineage's events are written, one JSON object a line."""
        return self.local.home / "lineage.jsonl"


def open_cluster(root: Path, dags: Path, *, workers: int = 2, slots: int = 2, characters: int = 500) -> Cluster:
    """Open the cluster under `root`, or make a new one."""
    if not shutil.which("redis-server"):
        raise ConfigError("redis-server is not installed: apt-get install redis-server (or your system's package)")
    if not (airflow.has_provider("celery") and airflow.has_provider("fab")):
        raise ConfigError("the group `cluster` is not installed: uv sync --frozen --inexact --group cluster")
    own_key = hide_settings_from_children()
    local = open_local(root, dags, own_key)
    password = local.home / "redis.password"
    if not password.exists():
        write_private(password, secrets.token_hex(24))
    port = local.home / "redis.port"
    if not find("redis", local.home):
        port.write_text(str(choose_port(REDIS_PORT)))
    has_hosts = not own_key and host.can_make_hosts()
    return Cluster(local, int(port.read_text()), password.read_text(), workers, slots, characters, has_hosts)


def up(cluster: Cluster, roster: bytes | None = None) -> None:
    """Start whatever does not run, migrate, and make the admin, the pool, the Connections and the roster."""
    local, home = cluster.local, cluster.local.home
    screen.say_opened(services.prepare_postgres(home, local.secrets["postgres"]))
    if cluster.has_hosts:
        let_hosts_in(home / "postgres" / "pg_hba.conf")
    for service in list_stores(cluster):
        start(service, home)
    services.create_database(local.postgres, "airflow", "airflow", local.secrets["metastore"])
    services.create_database(local.postgres, "warehouse", "timeline", local.secrets["warehouse"])
    _prepare_airflow(cluster)
    stack.fill_roster(local, roster)
    for service in list_airflow(cluster):
        start(service, home)
        screen.say(f"  {service.name} is up")
    api = airflow.RestApi(local.airflow.port, local.airflow.password)
    stack.ensure_connections(local, api)
    day_run.wait_for_dag(api)
    day_run.ensure_pools(api, cluster.workers * cluster.slots)


def keep_up(cluster: Cluster, until: threading.Event) -> None:
    """Start again whatever ended, about once a second, until told to stop."""
    everything = [*list_stores(cluster), *list_airflow(cluster)]
    while not until.wait(1):
        for service in everything:
            if find(service.name, cluster.local.home) is None and not until.is_set():
                screen.say(f"  {service.name} ended: starting it again")
                try:
                    start(service, cluster.local.home)
                except LocalError as error:
                    screen.complain(error)


def list_stores(cluster: Cluster) -> list[Service]:
    """Describe what Airflow and the pipeline keep things in, and the API."""
    local, home = cluster.local, cluster.local.home
    rate = str(local.settings.neople_api_rate)
    world = ("--characters", str(cluster.characters), "--seed", "1", "--rate", rate, "--latency", "30ms")
    found = [
        services.postgres(home, local.postgres),
        describe_redis(cluster),
        services.object_store(home, local.ports["objects"], local.secrets["s3_id"], local.secrets["s3"]),
        services.mail_catcher(local.maildir, local.ports["mail"], MAIL_USER, local.secrets["mail"]),
    ]
    return found if local.own_key else [*found, services.sandbox_api(local.ports["api"], local.secrets["api"], *world)]


def describe_redis(cluster: Cluster) -> Service:
    """Describe a Redis that keeps nothing on disk, as the worst one would; its password is in a private file."""
    config = cluster.local.home / "redis.conf"
    where = f"bind {LOOPBACK}\nport {cluster.redis_port}\nrequirepass {cluster.redis_password}\n"
    write_private(config, f'{where}save ""\nappendonly no\n')

    def answers() -> bool:
        try:
            client = redis.Redis(LOOPBACK, cluster.redis_port, password=cluster.redis_password)
            return bool(client.ping())
        except redis.RedisError:
            return False

    return Service("redis", ["redis-server", str(config)], answers, cluster.redis_port)


def list_airflow(cluster: Cluster) -> list[Service]:
    """Describe Airflow's processes, the workers last."""
    home = cluster.local.home
    parts = [
        replace(part, environment=cluster.environment) for part in airflow.list_services(cluster.local.airflow, home)
    ]
    return [*parts, *(describe_worker(cluster, number) for number in range(1, cluster.workers + 1))]


def describe_worker(cluster: Cluster, number: int) -> Service:
    """Describe a worker, on a host of its own where there are such."""
    host_name, name, home = f"worker-{number}", f"airflow-worker-{number}", cluster.local.home
    command = [
        airflow.AIRFLOW,
        "celery",
        "worker",
        "--skip-serve-logs",
        "--celery-hostname",
        f"{host_name}@{host_name}",
    ]
    if cluster.has_hosts:
        start = 256 * (cluster.redis_port % 256) + 4 * number  # by port, so that stacks do not meet
        network = IPv4Network((HOSTS[start], 30))
        command = host.describe(host_name, name_cable(cluster, number), network, command)

    def is_ready() -> bool:
        return " ready." in read_since_start(name, home)

    return Service(name, command, is_ready, None, cluster.environment, patience_seconds=180)


def name_cable(cluster: Cluster, number: int) -> str:
    """Name the network interface through which a worker's host is reached."""
    return f"nt-{cluster.redis_port}-{number}"


def let_hosts_in(pg_hba: Path) -> None:
    """Have PostgreSQL accept passwords from workers' hosts as well, once it reads this file."""
    line = f"host all all {HOSTS} scram-sha-256\n"
    if line not in pg_hba.read_text():
        with pg_hba.open("a") as file:
            file.write(line)


def _prepare_airflow(cluster: Cluster) -> None:
    own, environment = cluster.local.airflow, cluster.environment
    airflow.prepare(own, environment)
    stamp = own.home / "admin-made"
    if stamp.exists():
        return
    name = ("--firstname", "neople", "--lastname", "timeline", "--email", "admin@example.org")
    # Typed twice on standard input, as a person would: no process list shows it.
    create = ("users", "create", "--role", "Admin", "--username", airflow.USER, *name)
    airflow.run_command(own, *create, environment=environment, typed=f"{own.password}\n" * 2)
    stamp.touch()


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m neople_timeline.local cluster", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the day has been run")
    parser.add_argument("--roster", type=Path, help=f"a CSV with the header {HEADERS}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=2, help="tasks at once on each worker")
    parser.add_argument("--characters", type=int, default=500, help="in the sandbox's world")
    given = parser.parse_args()
    stack.exit_with(lambda: _stay_up(given), once=given.once)


def _stay_up(given: argparse.Namespace) -> int:
    with stack.lock(ROOT):
        cluster = open_cluster(
            ROOT, Path("dags"), workers=given.workers, slots=given.slots, characters=given.characters
        )
        roster = stack.read_roster(given.roster, cluster.local.own_key)
        home = cluster.local.home
        if find(stack.SUPERVISOR, home):
            raise ConfigError("the cluster is up already: `make stop` ends it")
        remember(stack.SUPERVISOR, home)
    over = threading.Event()
    keeper = threading.Thread(target=keep_up, args=(cluster, over))
    try:
        up(cluster, roster)
        keeper.start()
        api = airflow.RestApi(cluster.local.airflow.port, cluster.local.airflow.password)
        code = stack.run_last_day(cluster.local, api, lambda: None)  # what ends is started again
        if not given.once:
            screen.say("\nEverything stays up until Ctrl-C.")
            keeper.join()
    finally:
        stack.ignore_signals()
        over.set()
        refuse_starts()
        if keeper.is_alive():
            keeper.join()
        stack.stop_home(home)
    return code
