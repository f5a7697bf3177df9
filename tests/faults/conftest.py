"""One world for all fault tests: a sandbox API with 60 characters, and a place of its own for every test."""

import ast
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from frail_server import FrailServer
from place import CHARACTERS, Place, World, make_template

from neople_timeline.local import processes, services


@pytest.fixture(scope="session")
def sandbox_world(home: Path) -> World:
    port, key = processes.choose_port(), secrets.token_hex(16)
    processes.start(services.sandbox_api(port, key, f"--characters={CHARACTERS}", "--latency=0"), home)
    return World(f"http://127.0.0.1:{port}", key)


@pytest.fixture
def world(sandbox_world: World) -> Iterator[World]:
    """The world without faults, limits and latency as at its start."""
    yield sandbox_world
    sandbox_world.fail()
    sandbox_world.switch(
        rate=1000, latency_seconds=0, latency_jitter_seconds=0, key_error=None, maintenance=False, retry_after=None,
        key=sandbox_world.key, statuses={}, full_page_goes_on=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def template(postgres_server: services.Postgres, sandbox_world: World) -> str:
    """A database with the schema and the world's roster, to copy."""
    return make_template(postgres_server, sandbox_world)


@pytest.fixture(scope="session")
def borrow_place(
    postgres_server: services.Postgres,
    template: str,
    object_store: dict[str, str],
    sandbox_world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., AbstractContextManager[Place]]:
    """Make a place that is gone at the end of a `with`, on the usual server or on another one with its template."""

    @contextmanager
    def borrow(server: services.Postgres = postgres_server, template: str = template) -> Iterator[Place]:
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        environment = {
            "NEOPLE_API_URL": sandbox_world.url,
            "NEOPLE_API_KEY": sandbox_world.key,
            "WAREHOUSE_URL": server.url(name),
            "LAKE_URL": f"s3://lake/{name}",
            **object_store,
        }
        place = Place(sandbox_world, environment, tmp_path_factory.mktemp(name))
        sandbox_world.forget_stats()
        try:
            yield place
        finally:
            _take_down(place, server)

    return borrow


@pytest.fixture
def place(borrow_place: Callable[..., AbstractContextManager[Place]], world: World) -> Iterator[Place]:
    """One place, in a world without faults."""
    del world  # asked for, so that its faults end with the test
    with borrow_place() as place:
        yield place


@pytest.fixture(scope="session")
def frail_server(home: Path, sandbox_world: World) -> Iterator[FrailServer]:
    folder = home / "frail"
    folder.mkdir(mode=0o711)
    yield FrailServer(folder, sandbox_world)
    processes.stop(["postgres"], folder)


def _take_down(place: Place, server: services.Postgres) -> None:
    place.stop()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        name = place.environment["WAREHOUSE_URL"].rpartition("/")[2]
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in a line per file what was done to the pipeline, in how many cases it held, and how long that took."""
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            path = report.nodeid.partition("::")[0]
            mine = Path(__file__).parent == (terminalreporter.config.rootpath / path).parent
            if mine and isinstance(report, pytest.TestReport):  # a file that cannot be read has none
                lines[path] += Counter({outcome: 1, "seconds": round(report.duration)})
    if not lines:
        return
    terminalreporter.section("what was done to the pipeline, and whether every row was true in the end")
    for path, found in sorted(lines.items()):
        text = ast.get_docstring(ast.parse((terminalreporter.config.rootpath / path).read_text())) or path
        cases = found["passed"] + found["failed"] + found["error"]
        held = f"{found['passed']:>3} of {cases:>3} held"
        terminalreporter.line(f"{held}  {found['seconds']:>4} s  {text.splitlines()[0]}")
