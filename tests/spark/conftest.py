"""Spark as a person sets it up: spark-defaults.conf, and a standalone cluster."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standalone import FAST_START, Cluster, kill, read_page, start_daemon, wait_until

from neople_timeline.local.processes import choose_port
from optional_spark import JARS

TESTS = Path(__file__).parents[1]
# Their makers of events and of an Airflow.
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "e2e")]


@pytest.fixture
def configure_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write spark-defaults.conf: `configure_spark(master="local[2]")`."""
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")

    def configure(*, master: str) -> None:
        lines = {
            "spark.master": master,
            "spark.driver.extraClassPath": f"{JARS}/*",
            "spark.executor.extraClassPath": f"{JARS}/*",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": FAST_START,
            "spark.executor.extraJavaOptions": FAST_START,
            "spark.executor.memory": "600m",
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.port": str(choose_port()),
            "spark.ui.showConsoleProgress": "false",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        (tmp_path / "spark-defaults.conf").write_text(text)

    return configure


@pytest.fixture
def cluster(configure_spark: Callable[..., None], tmp_path: Path) -> Iterator[Cluster]:
    port, page = choose_port(), choose_port()
    master = f"spark://127.0.0.1:{port}"
    # The master of a submission is another's business: the Connection's.
    configure_spark(master="local[1]")
    processes = [start_daemon(tmp_path, "master.Master", "--port", str(port), "--webui-port", str(page))]
    try:
        wait_until(lambda: read_page(f"http://127.0.0.1:{page}"))
        for number in range(2):
            place = str(tmp_path / f"work{number}")
            options = ("-c", "1", "-m", "700m", "-d", place, "--webui-port", str(choose_port()))
            processes.append(start_daemon(tmp_path, "worker.Worker", *options, master))
        yield Cluster(tmp_path, master, f"http://127.0.0.1:{page}", processes[1:])
    finally:
        for process in processes:
            kill(process)
