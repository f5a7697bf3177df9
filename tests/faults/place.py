"""A place to fail in: an empty lake, a warehouse with the world's roster, and the command line as processes."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from _pytest.mark.structures import ParameterSet

import compare_truth
from compare_truth import DayOfCharacter, Event
from neople_timeline.local import services
from neople_timeline.models import CharacterKey
from neople_timeline.settings import Settings, make_settings
from sandbox_control import SandboxApi

DAY = date(2026, 10, 17)
"""A Saturday on which 46 of the 60 characters play, 7 of them more than a page."""
CHARACTERS = 60
LOW_RATE = 25
"""Requests a second that six fetchers break at once if nothing holds them back."""
DRIVER = Path(__file__).with_name("crash_at.py")
COMPLETE, INDEBTED, WRONG, FAILED = range(4)


class World(SandboxApi):
    """The sandbox API of all places."""

    def truth(self, *days: date) -> Counter[Event]:
        return compare_truth.read_truth(self.read, days or (DAY,))


@dataclass
class Run:
    """The command line as a process of its own, wired to one place; `kill` it, or let it `stop` itself at a fault."""

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self, seconds: float = 300) -> int:
        """Give the exit code; negative for a signal. The time is a safety net, and says nothing."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s: {self.text}") from None

    def wait_until_stopped(self, seconds: float = 300) -> None:
        """Wait until the process stands still at its fault."""
        deadline = time.monotonic() + seconds
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            assert self.process.poll() is None, f"ended before its fault: {self.text}"
            assert time.monotonic() < deadline, f"never came to its fault: {self.text}"
            time.sleep(0.02)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def text(self) -> str:
        return self.output.read_text()


@dataclass
class Place:
    """An empty lake and a warehouse with the world's roster; runs of the command line between them and the world."""

    world: World
    environment: dict[str, str]
    folder: Path
    runs: list[Run] = field(default_factory=list)
    maildir: Path | None = None
    light: bool = True
    """Runs end with the proof, without marts and report."""

    @property
    def settings(self) -> Settings:
        return make_settings({name.lower(): value for name, value in self.environment.items()})

    def start(self, *arguments: str, fault: Mapping[str, Any] | None = None, **environment: str) -> Run:
        """Start `neople-timeline …`, with `fault` as crash_at.py takes it."""
        output = self.folder / f"run-{len(self.runs)}.txt"
        known = {**os.environ, **self.environment, "FAULT": json.dumps(fault or {}), **environment}
        if self.light:
            known["LIGHT"] = "1"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, DRIVER, *arguments], env=known, stdout=file, stderr=subprocess.STDOUT
            )
        self.runs.append(Run(process, output))
        return self.runs[-1]

    def day(self, day: date = DAY, *options: str) -> Run:
        """Run a day to its end."""
        run = self.start("day", str(day), *options)
        run.wait()
        return run

    def stop(self) -> None:
        """Kill what still runs."""
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()

    def lower_limit(self) -> None:
        """Let the API take, and runs send, so few requests a second that who keeps no limit is refused."""
        self.world.switch(rate=LOW_RATE)
        self.environment["NEOPLE_API_RATE"] = str(LOW_RATE)

    def assert_kept_the_limit(self) -> None:
        """Assert that the API was never asked more often than it allows, though there was more than that to ask."""
        stats = self.world.stats()
        requests, violations = stats["requests"], stats["violations"]
        assert requests > LOW_RATE, f"{requests} requests break no limit"
        assert not violations, f"{violations} of {requests} requests were above the limit"

    def assert_complete(self, *days: date) -> None:
        """Assert that the days are all there: nothing owed, and every row as the world has it."""
        days = days or (DAY,)
        assert self.debts() == {}
        compare_truth.compare(self.settings, self.world.truth(*days), days)

    def assert_indebted(self, owed: Mapping[DayOfCharacter, str], *days: date) -> None:
        """Assert that exactly these are owed, each with its reason, and everything else is as the world has it."""
        days, debts = days or (DAY,), self.debts()
        assert debts.keys() == owed.keys()
        wrong = {one: debts[one] for one, reason in owed.items() if reason not in debts[one]}
        assert not wrong, f"owed for another reason: {wrong}"
        compare_truth.compare(self.settings, self.world.truth(*days), days, unless=owed)

    def debts(self) -> dict[DayOfCharacter, str]:
        return compare_truth.list_debts(self.settings)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment["WAREHOUSE_URL"], autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def mails(self) -> list[Path]:
        """List the mails that were caught."""
        assert self.maildir
        return list((self.maildir / "new").iterdir())

    def committed(self) -> set[str]:
        """Name the characters whose answers are committed, by id."""
        rows = self.query("SELECT character_id FROM timeline.collection WHERE raw_key IS NOT NULL")
        return {row[0] for row in rows}


def params(cases: Mapping[str, Any], *quick: str) -> list[ParameterSet]:
    """Make a test's cases of these; all but the quick ones are for `make faults`."""
    assert cases.keys() >= set(quick)
    return [
        pytest.param(case, id=name, marks=() if name in quick else pytest.mark.slow) for name, case in cases.items()
    ]


def owe(characters: Iterable[CharacterKey], reason: str, days: Sequence[date] = (DAY,)) -> dict[DayOfCharacter, str]:
    """Say that these characters are owed on these days, for a reason."""
    return {(day, *character): reason for day in days for character in characters}


def make_template(server: services.Postgres, world: World) -> str:
    """Make a database with the schema and the world's roster on a server, and name it."""
    name = f"template_{secrets.token_hex(4)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(world.read("roster.csv"))
        file.flush()
        environment = {**os.environ, "WAREHOUSE_URL": server.url(name)}
        command = [sys.executable, "-c", "from neople_timeline.cli.main import main; main()"]
        subprocess.run([*command, "roster", "import", file.name], env=environment, check=True, capture_output=True)
    return name


def in_sessions(place: Place, action: str) -> None:
    """Let the server end all sessions of a place, as when their machines were cut off."""
    server, _, name = place.environment["WAREHOUSE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"SELECT {action}(pid) FROM pg_stat_activity WHERE datname = '{name}'".encode())
