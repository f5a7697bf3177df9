"""What the benchmarks run against: PostgreSQL, S3 and the sandbox, started on free ports and stopped afterwards."""

import itertools
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from neople_timeline.local import services
from neople_timeline.local.processes import choose_port, find, start, stop

HERE = Path(__file__).parent
DAY_BEFORE, DAY = "2026-11-14", "2026-11-15"
WINDOW = {"start": "2026-11-15 06:00", "end": "2026-11-16 05:59"}


@dataclass(frozen=True)
class Sandbox:
    """A running imitation of the API; it counts arrivals and violations itself."""

    url: str

    def ask(self, path: str, **query: str) -> Any:
        """Read one of its control routes."""
        return json.loads(self.read(path, **query))

    def read(self, path: str, **query: str) -> bytes:
        """Read the bytes of a control route."""
        text = "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in query.items())
        with urllib.request.urlopen(f"{self.url}/sandbox/{path}?{text}") as answer:  # noqa: S310 - our own sandbox
            body: bytes = answer.read()
        return body

    def reset(self) -> None:
        """Begin its counts anew."""
        request = urllib.request.Request(f"{self.url}/sandbox/stats/reset", method="POST")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310

    def count_events(self) -> dict[str, int]:
        """Count what it holds for the benchmarks' day, by `server/character`."""
        counts: dict[str, int] = self.ask("truth/counts", **WINDOW)["by_character"]
        return counts

    def roster(self, characters: int) -> str:
        """Give its first characters as CSV with a header."""
        return "\n".join(self.read("roster.csv").decode().splitlines()[: characters + 1]) + "\n"


@dataclass
class Ground:
    """The servers; each contender gets a database and a folder of the bucket for itself."""

    home: Path
    postgres: services.Postgres
    s3_port: int
    secret: str
    used: int = field(default=0)

    @contextmanager
    def prepared_sandbox(self, characters: int, *options: str) -> Iterator[Sandbox]:
        """Run a sandbox that has made the day's events before anybody asks: a remote API takes no CPU from us."""
        with self.sandbox(characters, f"--kept-days={characters}", *options) as sandbox:
            sandbox.count_events()
            yield sandbox

    @contextmanager
    def sandbox(self, characters: int, *options: str) -> Iterator[Sandbox]:
        """Run a sandbox of so many characters."""
        port = choose_port()
        service = services.sandbox_api(port, self.secret, f"--characters={characters}", "--seed=1", *options)
        start(service, self.home)
        try:
            yield Sandbox(f"http://127.0.0.1:{port}")
        finally:
            stop(["api"], self.home)

    def prepare(self, sandbox: Sandbox, characters: int) -> dict[str, str]:
        """Make a place to write to, empty and of its own, and the environment that tells of it."""
        self.used += 1
        name = f"bench{self.used}"
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute("CHECKPOINT")
        roster = self.home / f"{name}.csv"
        roster.write_text(sandbox.roster(characters))
        return {
            "NEOPLE_API_URL": sandbox.url,
            "NEOPLE_API_KEY": self.secret,
            "LAKE_URL": f"s3://bench/{name}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.s3_port}",
            "AWS_REGION": "us-east-1",
            "WAREHOUSE_URL": self.postgres.url(name),
            "BENCH_ROSTER": str(roster),
            "BENCH_HOME": str(self.home / name),
            "BENCH_DAY": DAY,
        }

    def cpu_seconds(self, name: str) -> float:
        """Sum the CPU time of a server, its processes that ended included."""
        leader = find(name, self.home)
        if leader is None:
            return 0.0
        times = leader.cpu_times()
        total: float = times.user + times.system + times.children_user + times.children_system
        for child in leader.children(recursive=True):
            try:
                total += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return total


@contextmanager
def open_ground() -> Iterator[Ground]:
    """Start PostgreSQL and S3 in a temporary folder; everything is stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        home, secret = Path(folder), secrets.token_hex(16)
        home.chmod(0o711)  # PostgreSQL runs as another user when root starts it
        ground = Ground(home, services.Postgres(choose_port(), secret), choose_port(), secret)
        try:
            services.prepare_postgres(home, secret)
            start(services.postgres(home, ground.postgres), home)
            start(services.object_store(home, ground.s3_port, "bench", secret), home)
            yield ground
        finally:
            stop(["api", "objects", "postgres"], home)


def launch(script: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a contender in a process of its own."""
    return subprocess.Popen(  # noqa: S603 - our own scripts
        [sys.executable, str(HERE / script), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def collect_result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a contender and read the figures in its last line."""
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed, see above")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


class Watch(threading.Thread):
    """Notes ten times a second how many requests the sandbox has had."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(daemon=True)
        self.notes: list[tuple[float, int]] = []
        self._sandbox = sandbox
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Begin to watch."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Watch until it is over."""
        while not self._over.wait(0.1):
            self.notes.append((time.monotonic(), self._sandbox.ask("stats")["requests"]))

    def busy_rate(self) -> float:
        """Give the requests a second between the first and the last second in which there were any.

        Both are left out: in the first a limit lets a full second's worth through at once, in the last the work runs
        out. Of what is between only whole seconds count, since requests come in waves of a second.
        """
        last = self.notes[-1][1]
        busy = [note for note in self.notes if 0 < note[1] < last]
        start_at, end_at = busy[0][0] + 1, busy[-1][0] - 1
        seconds = int(end_at - start_at)
        return (self._count_until(start_at + seconds) - self._count_until(start_at)) / seconds

    def _count_until(self, moment: float) -> float:
        """Count the requests up to a moment, evenly between two notes."""
        for (before_at, before), (after_at, after) in itertools.pairwise(self.notes):
            if before_at <= moment <= after_at:
                return before + (after - before) * (moment - before_at) / (after_at - before_at)
        raise ValueError(moment)
