"""Real parts for the tests: each is started once per session, when a test first asks for it, on ports of its own.

A test gets a database, an object prefix and a maildir of its own, so tests may run in any order and side by side.
"""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import optional_browser
import optional_spark
from mail_catcher import Smtp
from neople_timeline.local import processes, services
from neople_timeline.settings import Settings, make_settings
from sandbox_control import SandboxApi


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    optional_spark.leave_out(config, items)
    optional_browser.leave_out(config, items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for part in (optional_spark, optional_browser):
        if said := config.stash.get(part.SAID, None):
            terminalreporter.write_line(said)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A short path of its own: PostgreSQL runs as another user there, and unix sockets have short names."""
    path = Path(tempfile.mkdtemp(prefix="nt-"))
    path.chmod(0o711)
    yield path
    processes.stop(processes.list_recorded(path), path, patience_seconds=0.5)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres_server(home: Path) -> services.Postgres:
    server = services.Postgres(processes.choose_port(), secrets.token_hex(16))
    services.prepare_postgres(home, server.password)
    processes.start(services.postgres(home, server, durable=False), home)
    return server


@pytest.fixture
def postgres_url(postgres_server: services.Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield postgres_server.url(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def object_store(home: Path) -> dict[str, str]:
    port, access, secret = processes.choose_port(), secrets.token_hex(10), secrets.token_hex(20)
    processes.start(services.object_store(home, port, access, secret), home)
    return {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def s3(object_store: dict[str, str]) -> dict[str, str]:
    """LAKE_URL with an empty prefix, and the AWS_* that open it."""
    return {"LAKE_URL": f"s3://lake/{secrets.token_hex(6)}", **object_store}


@pytest.fixture(scope="session")
def smtp_server(home: Path) -> Smtp:
    port, password, maildir = processes.choose_port(), secrets.token_hex(16), home / "mail"
    processes.start(services.mail_catcher(maildir, port, "reporter", password), home)
    return Smtp(f"smtp://reporter:{password}@127.0.0.1:{port}", maildir)


@pytest.fixture
def smtp(smtp_server: Smtp) -> Smtp:
    """The URL of a mail catcher, and the maildir (empty now) in whose `new` the mails land."""
    for mail in (smtp_server.maildir / "new").glob("*"):
        mail.unlink()
    return smtp_server


@pytest.fixture
def make_sandbox_api() -> Iterator[Callable[..., SandboxApi]]:
    """Start sandbox APIs with other options: `make_sandbox_api("--characters", "20", "--rate", "50")`."""
    folders: list[Path] = []

    def make(*options: str) -> SandboxApi:
        folder = Path(tempfile.mkdtemp(prefix="nt-api-"))
        folders.append(folder)
        return _start_api(folder, *options)

    yield make
    for folder in folders:
        _stop_api(folder)


@pytest.fixture
def sandbox_api(make_sandbox_api: Callable[..., SandboxApi]) -> SandboxApi:
    """One with 40 characters of the usual world and no latency."""
    return make_sandbox_api("--characters", "40", "--seed", "1", "--rate", "1000", "--latency", "0")


def _start_api(folder: Path, *options: str) -> SandboxApi:
    port, key = processes.choose_port(), secrets.token_hex(16)
    processes.start(services.sandbox_api(port, key, *options), folder)
    return SandboxApi(f"http://127.0.0.1:{port}", key)


def _stop_api(folder: Path) -> None:
    processes.stop(processes.list_recorded(folder), folder)
    shutil.rmtree(folder)


@pytest.fixture
def settings(postgres_url: str, s3: dict[str, str], smtp: Smtp, sandbox_api: SandboxApi) -> Settings:
    """Settings wired to an empty warehouse, an empty lake, the mail catcher and a sandbox API of 40 characters."""
    return make_settings(
        {
            "neople_api_url": sandbox_api.url,
            "neople_api_key": sandbox_api.key,
            "warehouse_url": postgres_url,
            "smtp_url": smtp.url,
            "report_to": "players@example.org",
            **{name.lower(): value for name, value in s3.items()},
        }
    )


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.__dataclass_fields__:
        monkeypatch.delenv(name.upper(), raising=False)
