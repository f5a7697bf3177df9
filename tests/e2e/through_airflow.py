"""A world in which `airflow dags test` runs a day against real parts, and what can be seen of it from outside."""

import json
import os
import secrets
import subprocess
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet
from obstore.store import S3Store

from neople_timeline.local import airflow, processes, services
from neople_timeline.settings import Settings, make_settings
from sandbox_control import SandboxApi

DAGS = Path(__file__).parents[2] / "dags"
CHARACTERS = 60
RATE = 30
"""Requests a second: so few that who keeps no limit is refused."""


@dataclass(frozen=True)
class World:
    home: Path
    airflow: airflow.Airflow
    settings: Settings
    maildir: Path
    postgres: services.Postgres
    printed: list[str] = field(default_factory=list)
    """What Airflow wrote to its standard output and error, run by run."""

    def run_day(self, day: date) -> str:
        """Run a day as a person would, and name the state in which Airflow left the run."""
        done = subprocess.run(
            [airflow.AIRFLOW, "dags", "test", "timeline_daily", f"{day}", "--conf", json.dumps({"day": f"{day}"})],
            env={**os.environ, **self.airflow.environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        self.printed.append(done.stdout + done.stderr)
        with psycopg.connect(self.airflow.metastore_url) as connection:
            row = connection.execute("SELECT state FROM dag_run WHERE logical_date::date = %s", (day,)).fetchone()
        assert row, self.printed[-1][-5000:]
        return str(row[0])

    @property
    def api(self) -> SandboxApi:
        return SandboxApi(self.settings.neople_api_url, self.settings.neople_api_key)

    @property
    def store(self) -> S3Store:
        bucket, _, prefix = self.settings.lake_url.removeprefix("s3://").partition("/")
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint=self.settings.aws_endpoint_url,
            access_key_id=self.settings.aws_access_key_id,
            secret_access_key=self.settings.aws_secret_access_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def list_objects(self) -> dict[str, tuple[str | None, str]]:
        """Tell each object's ETag and when it was last written."""
        found = (meta for batch in self.store.list() for meta in batch)
        return {meta["path"]: (meta["e_tag"], str(meta["last_modified"])) for meta in found}

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.warehouse_url) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def list_mails(self) -> list[str]:
        return [path.read_text() for path in sorted((self.maildir / "new").glob("*"))]


def open_world(home: Path, server: services.Postgres, store: dict[str, str], smtp_url: str, maildir: Path) -> World:
    """Make the databases, start an API, migrate Airflow's metastore and fill its Connections."""
    name, key, port = secrets.token_hex(4), f"key-{secrets.token_hex(16)}", processes.choose_port()
    passwords = {database: secrets.token_hex(16) for database in ("airflow", "warehouse")}
    for database, password in passwords.items():
        services.create_database(server, f"{database}_{name}", f"{database}_{name}", password)
    options = ("--characters", f"{CHARACTERS}", "--seed", "3", "--rate", f"{RATE}", "--latency", "0", "--missing", "2")
    processes.start(services.sandbox_api(port, key, *options), home)
    settings = make_settings(
        {
            "neople_api_url": f"http://127.0.0.1:{port}",
            "neople_api_key": key,
            "neople_api_rate": f"{RATE}",
            "lake_url": f"s3://lake/e2e-{name}",
            **{variable.lower(): value for variable, value in store.items()},
            "warehouse_url": server.url(f"warehouse_{name}", f"warehouse_{name}", passwords["warehouse"]),
            "smtp_url": smtp_url,
            "report_to": "players@example.org",
        }
    )
    installation = airflow.Airflow(
        home=home,
        dags=DAGS,
        port=processes.choose_port(),
        metastore_url=server.url(f"airflow_{name}", f"airflow_{name}", passwords["airflow"]),
        fernet_key=Fernet.generate_key().decode(),
        jwt_secret=secrets.token_hex(48),
        session_secret=secrets.token_hex(48),
        password=secrets.token_hex(16),
    )
    airflow.prepare(installation)
    import_connections(installation, settings)
    return World(home, installation, settings, maildir, server)


def import_connections(installation: airflow.Airflow, settings: Settings) -> None:
    """Make the Connections before an API server runs."""
    path = installation.home / "connections.json"
    processes.write_private(path, json.dumps(airflow.describe_connections(settings)))
    airflow.run_command(installation, "connections", "import", str(path))
    path.unlink()
