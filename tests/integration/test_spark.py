"""The marts on real Spark: the same answers as DuckDB's, byte for byte, and nothing half-written, whoever is killed.

They need Java 17 or newer, Maven (for 13 MB of jars, once) and the dependency group `spark`.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plausible_month import make_characters, make_events

from neople_timeline.catalogue import MARTS
from neople_timeline.errors import ConfigError, DataError
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts import spark_run
from neople_timeline.marts.build import build_marts
from neople_timeline.models import days_between
from neople_timeline.sandbox.processes import choose_port
from neople_timeline.settings import Settings, make_settings
from neople_timeline.warehouse.connection import connect

ROOT = Path(__file__).parents[2]
JARS = Path(os.environ.get("NEOPLE_SPARK_JARS", ROOT / ".local" / "spark-jars"))
DAYS = tuple(days_between(date(2026, 10, 20), date(2026, 11, 20)))
EVENTS_A_DAY = 1500


def find_missing() -> str:
    """Name what is missing to run Spark, or nothing."""
    if not importlib.util.find_spec("pyspark"):
        return "pyspark (uv sync --group spark)"
    java = shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < 17:
        return "Java 17 or newer (apt-get install openjdk-17-jre-headless)"
    if not shutil.which("mvn") and not list(JARS.glob("hadoop-aws-*.jar")):
        return "Maven (apt-get install maven)"
    return ""


MISSING = find_missing()
pytestmark = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("NEOPLE_REQUIRE_SPARK") != "1", reason=f"Spark is left out, there is no {MISSING}"
)


@dataclass(frozen=True)
class Cluster:
    """A master and two workers, and where they write their logs."""

    folder: Path
    page: str
    workers: list[subprocess.Popen[bytes]]

    def read_pages(self) -> list[str]:
        """Read the master's page and, of the application running on it, the page that lists its settings."""
        pages = read_page(self.page)
        for address in set(re.findall(r'href="(http://127\.0\.0\.1:\d+)"', pages[0])):
            pages += read_page(f"{address}/environment/")
        return pages


@pytest.fixture(scope="module")
def jars() -> Path:
    assert not MISSING, f"NEOPLE_REQUIRE_SPARK=1, but there is no {MISSING}"
    if not list(JARS.glob("hadoop-aws-*.jar")):
        pom = ROOT / "deploy" / "spark" / "pom.xml"
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
        subprocess.run(command, check=True)
    return JARS


@pytest.fixture
def settings(postgres_url: str, s3: dict[str, str]) -> Settings:
    return make_settings({"warehouse_url": postgres_url, **{name.lower(): value for name, value in s3.items()}})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = open_lake(settings)
    for day in DAYS:
        for name, table in (("events", make_events(day, EVENTS_A_DAY)), ("characters", make_characters(day))):
            buffer = pa.BufferOutputStream()
            pq.write_table(table, buffer)
            lake.put(f"{name}/day={day}/bucket-00-of-01.parquet", buffer.getvalue().to_pybytes())
    return lake


@pytest.fixture
def expected(settings: Settings, lake: Lake) -> dict[str, bytes]:
    """What DuckDB publishes; it is deleted again."""
    with connect(settings) as connection:
        build_marts(settings, lake, connection, DAYS)
        marts = read_marts(lake)
        lake.delete(marts)
        for mart in MARTS:
            connection.execute(f"TRUNCATE timeline.{mart.warehouse_name}".encode())
    return marts


def read_marts(lake: Lake) -> dict[str, bytes]:
    return {key: lake.get(key) for key in lake.list_keys("marts") if not key.startswith("marts/_runs/")}


@pytest.fixture
def spark(jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set up the environment in which spark-submit is called: `spark(master="local[2]")`."""
    import pyspark  # noqa: PLC0415 - not installed everywhere

    home = Path(pyspark.__file__).parent
    environment = {
        "SPARK_CONF_DIR": str(tmp_path),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def configure(*, master: str) -> None:
        lines = {
            "spark.master": master,
            "spark.driver.extraClassPath": f"{jars}/*",
            "spark.executor.extraClassPath": f"{jars}/*",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "600m",
            "spark.sql.shuffle.partitions": "4",
            "spark.ui.port": str(choose_port()),
            "spark.ui.showConsoleProgress": "false",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        (tmp_path / "spark-defaults.conf").write_text(text)

    return configure


@pytest.fixture
def cluster(spark: Callable[..., None], tmp_path: Path) -> Iterator[Cluster]:
    port, page = choose_port(), choose_port()
    master = f"spark://127.0.0.1:{port}"
    spark(master=master)
    processes = [start_daemon(tmp_path, "master.Master", "--port", str(port), "--webui-port", str(page))]
    try:
        wait_until(lambda: read_page(f"http://127.0.0.1:{page}"))
        for number in range(2):
            place = str(tmp_path / f"work{number}")
            options = ("-c", "1", "-m", "700m", "-d", place, "--webui-port", str(choose_port()))
            processes.append(start_daemon(tmp_path, "worker.Worker", *options, master))
        yield Cluster(tmp_path, f"http://127.0.0.1:{page}", processes[1:])
    finally:
        for process in processes:
            kill(process)


def count_rows(connection: psycopg.Connection) -> dict[str, int]:
    counts = {}
    for mart in MARTS:
        found = connection.execute(f"SELECT count(*) FROM timeline.{mart.warehouse_name}".encode()).fetchone()
        counts[mart.name] = found[0] if found else 0
    return counts


def test_every_mart_is_the_same_on_both_engines_to_the_last_byte(
    settings: Settings, lake: Lake, expected: dict[str, bytes], spark: Callable[..., None]
) -> None:
    spark(master="local[2]")
    with connect(settings) as connection:
        built = build_marts(replace(settings, marts_engine="spark"), lake, connection, DAYS)
        assert count_rows(connection) == {mart.name: mart.rows for mart in built}
    assert all(mart.rows for mart in built)
    assert read_marts(lake) == expected


def test_a_driver_killed_in_mid_write_leaves_nothing_to_be_seen_and_a_second_run_is_exact(
    settings: Settings, lake: Lake, expected: dict[str, bytes], spark: Callable[..., None]
) -> None:
    spark(master="local[2]")
    with submitted(settings, "run") as driver:
        wait_until(lambda: len(list_written(lake)) >= 3)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    with connect(settings) as connection:
        with pytest.raises(DataError, match=r"no complete marts"):
            spark_run.publish_run(lake, connection, "run")
        assert read_marts(lake) == {}
        spark_run.submit_run(settings, "run", DAYS)
        assert read_marts(lake) == {}
        built = spark_run.publish_run(lake, connection, "run")
        assert read_marts(lake) == expected
        assert spark_run.publish_run(lake, connection, "run") == built
        assert count_rows(connection) == {mart.name: mart.rows for mart in built}
    assert lake.list_keys("marts/_runs") == ["marts/_runs/run/manifest.json"]


def test_a_cluster_that_loses_a_worker_in_mid_job_gives_exact_marts_and_tells_no_secret(
    settings: Settings, lake: Lake, expected: dict[str, bytes], cluster: Cluster
) -> None:
    with submitted(settings, "run") as driver:
        wait_until(lambda: list_written(lake))
        spoken = [*read_command_lines(), *cluster.read_pages()]
        os.killpg(cluster.workers[0].pid, signal.SIGKILL)
        assert driver.wait(timeout=400) == 0
    logs = [path for path in cluster.folder.rglob("*") if path.suffix == ".log" or path.name in {"stdout", "stderr"}]
    assert len(logs) >= 5
    spoken += [path.read_text() for path in logs]
    for secret in (settings.aws_secret_access_key, settings.aws_access_key_id, settings.warehouse_url):
        assert not [text for text in spoken if secret in text]
    with connect(settings) as connection:
        spark_run.publish_run(lake, connection, "run")
    assert read_marts(lake) == expected


def test_a_dead_cluster_is_named_by_its_address(settings: Settings, spark: Callable[..., None]) -> None:
    master = f"spark://127.0.0.1:{choose_port()}"
    spark(master=master)
    with pytest.raises(DataError, match=f"no Spark master answers at {master}"):
        spark_run.submit_run(settings, "run", DAYS)


def test_without_spark_submit_it_says_how_to_get_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="group spark"):
        spark_run.submit_run(settings, "run", DAYS)


@contextmanager
def submitted(settings: Settings, run: str) -> Iterator[subprocess.Popen[bytes]]:
    """Submit the job as another process would, in a process group of its own."""
    program = shutil.which("spark-submit")
    assert program
    command = [program, str(spark_run.JOB), *spark_run.make_arguments(run, DAYS)]
    environment = {**os.environ, **spark_run.make_environment(settings)}
    log = Path(os.environ["SPARK_CONF_DIR"]) / "driver.log"
    with log.open("wb") as stream:
        driver = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        try:
            yield driver
        finally:
            kill(driver)


def start_daemon(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    program = shutil.which("spark-class")
    assert program
    command = [program, f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *arguments]
    settings = {"SPARK_DAEMON_MEMORY": "300m", "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"}
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)


def list_written(lake: Lake) -> list[str]:
    return [key for key in lake.list_keys("marts/_runs") if key.endswith(".parquet")]


def read_command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_text(errors="replace"))
    return lines


def read_page(address: str) -> list[str]:
    try:
        with urlopen(address, timeout=10) as answer:  # noqa: S310 - loopback
            return [answer.read().decode()]
    except OSError:
        return []
