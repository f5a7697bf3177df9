"""A standalone Spark cluster from the pip package, all on this machine, and what can be seen of it from outside."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

FAST_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Half the time for jobs as short as these."""


@dataclass(frozen=True)
class Cluster:
    """A master and two workers, and where they write their logs."""

    folder: Path
    master: str
    page: str
    workers: list[subprocess.Popen[bytes]]

    def read_pages(self) -> list[str]:
        """Read the pages of master and workers, and all that the running application tells of its settings.

        Spark's own page of them is empty until a browser asks the REST API for what it shows.
        """
        pages = read_page(self.page)
        applications = set(re.findall(r"app-\d+-\d+", pages[0]))
        for address in set(re.findall(r'href="(http://127\.0\.0\.1:\d+)"', pages[0])):
            pages += read_page(address)
            for application in applications:
                pages += read_page(f"{address}/api/v1/applications/{application}/environment")
                pages += read_page(f"{address}/api/v1/applications/{application}/allexecutors")
        return pages

    def read_logs(self) -> list[str]:
        """Read what master, workers and executors wrote."""
        paths = self.folder.rglob("*")
        return [path.read_text() for path in paths if path.suffix == ".log" or path.name in {"stdout", "stderr"}]


def start_daemon(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    found = find_spec("pyspark")
    assert found
    assert found.origin
    home = Path(found.origin).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *arguments]
    settings = {
        "SPARK_HOME": str(home),
        "SPARK_DAEMON_MEMORY": "300m",
        "SPARK_DAEMON_JAVA_OPTS": FAST_START,
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
    }
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


def read_page(address: str) -> list[str]:
    try:
        with urlopen(address, timeout=10) as answer:  # noqa: S310 - loopback
            return [answer.read().decode()]
    except OSError:
        return []
