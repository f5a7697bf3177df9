"""A world in which `airflow dags test` runs a day against real parts, and what can be seen of it from outside."""

import json
import os
import secrets
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet
from obstore.store import S3Store

from neople_timeline.local import airflow, processes, services
from neople_timeline.settings import Settings, make_settings

DAGS = Path(__file__).parents[2] / "dags"
CHARACTERS = 60


class Event(NamedTuple):
    server_id: str
    character_id: str
    minute: str
    code: int
    name: str
    data: str
    """JSON with sorted keys."""


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

    def control(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Ask the sandbox's own routes: GET, or PUT with a body."""
        request = Request(  # noqa: S310
            f"{self.settings.neople_api_url}/sandbox/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method="PUT" if body is not None else "GET",
        )
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

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

    def read_truth(self, day: date) -> Counter[Event]:
        query = urlencode({"start": f"{day} 06:00", "end": f"{day + timedelta(days=1)} 05:59"})
        lines = map(json.loads, self.control(f"truth?{query}").splitlines())
        return Counter(
            Event(row["serverId"], row["characterId"], row["date"], row["code"], row["name"], _sort_keys(row["data"]))
            for row in lines
        )

    def read_lake(self, day: date) -> Counter[Event]:
        keys = [key for key in self.list_objects() if key.startswith(f"events/day={day}/")]
        tables = [pq.read_table(pa.BufferReader(self.store.get(key).bytes().to_bytes())) for key in keys]
        columns = ["server_id", "character_id", "occurred_minute", "code", "name", "data"]
        rows = (row.values() for table in tables for row in table.select(columns).to_pylist())
        return Counter(Event(*head, _sort_keys(json.loads(data or "null"))) for *head, data in rows)

    def read_warehouse(self, day: date) -> Counter[Event]:
        rows = self.query(
            "SELECT server_id, character_id, occurred_minute, code, name, data FROM timeline.event WHERE day = %s", day
        )
        return Counter(Event(*head, _sort_keys(data)) for *head, data in rows)

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
    options = ("--characters", str(CHARACTERS), "--seed", "3", "--latency", "0", "--missing", "2")
    processes.start(services.sandbox_api(port, key, *options), home)
    settings = make_settings(
        {
            "neople_api_url": f"http://127.0.0.1:{port}",
            "neople_api_key": key,
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
        password=secrets.token_hex(16),
    )
    airflow.prepare(installation)
    airflow.import_connections(installation, settings)
    return World(home, installation, settings, maildir, server)


def _sort_keys(data: object) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False)
