"""The cluster that all tests share, on small disks where this user may mount any."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collector import collect_metrics
from losses import CHARACTERS, LONG, RATE, SLOTS

from neople_timeline.lake import open_lake
from neople_timeline.local import cluster, processes, services, stack
from neople_timeline.local.cluster import Cluster
from neople_timeline.local.home import PORTS

DISK_MEGABYTES = {"objects": 400, "postgres": 2_500 if LONG else 600}
DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session")
def mount(home: Path) -> Iterator[Callable[[Path, int], bool]]:
    """Mount a small disk on a folder below `home` until all tests have ended; False where this user may not."""
    mounted: list[Path] = []

    def mount_there(path: Path, megabytes: int) -> bool:
        assert path.is_relative_to(home)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(path)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False
        mounted.append(path)
        return True

    yield mount_there
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)  # noqa: S607


@pytest.fixture(scope="session")
def metrics() -> Iterator[tuple[str, dict[str, float]]]:
    with collect_metrics() as collected:
        yield collected


@pytest.fixture(scope="session")
def running(
    home: Path,
    mount: Callable[[Path, int], bool],
    metrics: tuple[str, dict[str, float]],
) -> Iterator[Cluster]:
    """A cluster that is kept up, for all tests: the first takes its parts away, the others use what is left of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEOPLE_API_RATE", str(RATE))
        # Any ports, so that it may run beside a stack.
        patch.setattr("neople_timeline.local.home.PORTS", dict.fromkeys(PORTS, 0))
        patch.setattr(cluster, "REDIS_PORT", 0)
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", metrics[0])
        patch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        opened = cluster.open_cluster(home, DAGS, slots=SLOTS, characters=CHARACTERS)
        put_on_small_disks(opened, mount)
        begin_the_lake(opened)
        read_connections_from_a_file_too(opened)
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


def put_on_small_disks(opened: Cluster, mount: Callable[[Path, int], bool]) -> None:
    """Give the object store and PostgreSQL a small disk each, where this user may mount one."""
    home = opened.local.home
    services.prepare_postgres(home, opened.local.secrets["postgres"])
    with (home / "postgres" / "postgresql.conf").open("a") as file:
        file.write("max_wal_size = 256MB\n")
    (home / "objects").mkdir()
    if not mount(home / "objects", DISK_MEGABYTES["objects"]):
        return
    made = (home / "postgres").rename(home / "postgres.made")
    (home / "postgres").mkdir()
    assert mount(home / "postgres", DISK_MEGABYTES["postgres"])
    subprocess.run(["cp", "-a", f"{made}/.", home / "postgres"], check=True)  # noqa: S607
    shutil.rmtree(made)


def begin_the_lake(opened: Cluster) -> None:
    """Have the object store give the lake its first volume, of which a small disk has room for one or two.

    A minute after its start it would give that to a journal of its own.
    """
    service = next(one for one in cluster.list_stores(opened) if one.name == "objects")
    processes.start(service, opened.local.home)
    lake = open_lake(opened.local.settings)
    lake.put_new("doctor/first", bytes(100_000))
    lake.delete(["doctor/first"])


def read_connections_from_a_file_too(opened: Cluster) -> None:
    """Have Airflow look into connections.json first, as with Compose; nothing is in there yet."""
    folder = opened.local.airflow.home
    folder.mkdir()
    file = folder / "file.json"
    processes.write_private(file, "{}")
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    kwargs = json.dumps({"connections_file_path": str(file)})
    (folder / "airflow.cfg").write_text(f"[secrets]\nbackend = {backend}\nbackend_kwargs = {kwargs}\n")
