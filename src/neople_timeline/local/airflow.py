"""Airflow on one machine: four processes on 127.0.0.1, LocalExecutor, one admin, and its REST API for the stack."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from neople_timeline.local.processes import LOOPBACK, LocalError, Service, answers_http, find, write_private
from neople_timeline.settings import Settings

AIRFLOW = str(Path(sys.executable).parent / "airflow")
USER = "admin"
PARALLEL_TASKS = 3
SLOWEST_ANSWER = 120
"""Seconds that Airflow may take for one on a machine with much else to do."""


@dataclass(frozen=True)
class Airflow:
    """Everything that the four processes must agree on."""

    home: Path
    dags: Path
    port: int
    metastore_url: str = field(repr=False)
    fernet_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    session_secret: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def report_url(self) -> str:
        """Say where the pages of the lake's `reports/` are shown."""
        return f"http://{LOOPBACK}:{self.port}/timeline/reports"

    @property
    def environment(self) -> dict[str, str]:
        """Give Airflow's settings as environment variables; secrets stay off command lines."""
        options = {
            "core": {
                "dags_folder": str(self.dags),
                "plugins_folder": str(self.dags.parent / "plugins"),
                "load_examples": "False",
                "executor": "LocalExecutor",
                "parallelism": str(PARALLEL_TASKS),
                "fernet_key": self.fernet_key,
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
                "execution_api_server_url": f"http://{LOOPBACK}:{self.port}/execution/",
            },
            "database": {
                "sql_alchemy_conn": self.metastore_url.replace("postgresql://", "postgresql+psycopg://"),
                "load_default_connections": "False",
            },
            "api": {
                "host": LOOPBACK,
                "port": str(self.port),
                "base_url": f"http://{LOOPBACK}:{self.port}",
                "workers": "1",
                "secret_key": self.session_secret,
            },
            "api_auth": {"jwt_secret": self.jwt_secret},
            "scheduler": {
                "scheduler_idle_sleep_time": "0.2",
                "task_instance_heartbeat_timeout": "30",
                "task_instance_heartbeat_timeout_detection_interval": "5",
            },
            "dag_processor": {"refresh_interval": "10", "parsing_processes": "1"},
            "logging": {
                "base_log_folder": str(self.home / "logs"),
                "dag_processor_child_process_log_directory": str(self.home / "logs" / "dag_processor"),
            },
        }
        variables = {
            f"AIRFLOW__{section.upper()}__{name.upper()}": value
            for section, values in options.items()
            for name, value in values.items()
        }
        # The triggerer has to find the mail about a late day, and knows no DAG bundles.
        ours = {"PYTHONPATH": str(self.dags), "REPORT_URL": self.report_url}
        return {"AIRFLOW_HOME": str(self.home), **ours, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK, **variables}


def has_provider(name: str) -> bool:
    """Tell whether a provider is installed, without importing Airflow: it would log what Alembic says, and more."""
    try:
        return bool(version(f"apache-airflow-providers-{name}"))
    except PackageNotFoundError:
        return False


def is_prepared(airflow: Airflow) -> bool:
    """Tell whether the metastore was ever brought to a version of Airflow, wholly."""
    return any(airflow.home.glob("migrated-to-*"))


def prepare(airflow: Airflow, environment: Mapping[str, str] | None = None) -> None:
    """Bring the metastore to this Airflow's version and write down the admin's password for the login page."""
    airflow.home.mkdir(exist_ok=True)
    write_private(airflow.home / "passwords.json", json.dumps({USER: airflow.password}))
    stamp = airflow.home / f"migrated-to-{version('apache-airflow')}"
    if not stamp.exists():
        run_command(airflow, "db", "migrate", environment=environment)
        stamp.touch()


def describe_connections(settings: Settings) -> dict[str, dict[str, Any]]:
    """Describe the Connections that mean the same as some settings."""
    warehouse, mail = urlsplit(settings.warehouse_url), urlsplit(settings.smtp_url)
    lake = {
        "lake_url": settings.lake_url,
        "endpoint_url": settings.aws_endpoint_url,
        "region_name": settings.aws_region,
    }
    sender = {"report_to": settings.report_to, "from_email": settings.report_from}
    connections: dict[str, dict[str, Any]] = {
        "neople_api": {
            "conn_type": "http",
            "host": settings.neople_api_url,
            "password": settings.neople_api_key,
            "extra": {"rate": settings.neople_api_rate},
        },
        "neople_lake": {
            "conn_type": "aws",
            "login": settings.aws_access_key_id,
            "password": settings.aws_secret_access_key,
            "extra": lake,
        },
        "neople_warehouse": {
            "conn_type": "postgres",
            "host": warehouse.hostname,
            "port": warehouse.port,
            "login": warehouse.username,
            "password": warehouse.password,
            "schema": warehouse.path.strip("/"),
        },
    }
    if settings.smtp_url:
        connections["smtp_default"] = {
            "conn_type": "smtp",
            "host": mail.hostname,
            "port": mail.port,
            "login": mail.username,
            "password": mail.password,
            "extra": {**sender, "disable_ssl": True, "disable_tls": True},
        }
    return connections


def list_services(airflow: Airflow, stack_home: Path) -> list[Service]:
    """Describe the four processes; logs are read from disk, so no log server listens."""
    commands = {
        "airflow-api": ["api-server"],
        "airflow-dags": ["dag-processor"],
        "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
        "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
    }

    def is_up(name: str) -> bool:
        if name == "airflow-api":
            return answers_http(airflow.port, "/api/v2/version")
        return find(name, stack_home) is not None

    return [
        Service(
            name,
            [AIRFLOW, *arguments],
            lambda name=name: is_up(name),  # type: ignore[misc]
            airflow.port if name == "airflow-api" else None,
            airflow.environment,
            patience_seconds=120,
        )
        for name, arguments in commands.items()
    ]


class RestApi:
    """Airflow's REST API for its admin."""

    def __init__(self, port: int, password: str) -> None:
        """Log in at once."""
        self._port = port
        self._headers = {"Content-Type": "application/json"}
        token = self.call("POST", "/auth/token", {"username": USER, "password": password})["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, accept: int = 0) -> Any:
        """Send a request and give the JSON of its answer; any error but `accept`, which gives None, is a LocalError."""
        connection = HTTPConnection(LOOPBACK, self._port, timeout=SLOWEST_ANSWER)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self._headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise LocalError(f"Airflow's API server does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status == accept:
            return None
        if answer.status >= 400:
            raise LocalError(f"Airflow answers {answer.status} to {method} {path}: {content.decode()[:500]}")
        return json.loads(content) if content else None


def ensure_connections(api: RestApi, settings: Settings, *, is_rate_chosen: bool) -> None:
    """Make the Connections that mean the same as some settings; of those that are there, set what follows the stack.

    That is addresses, keys and passwords, and the rate if it `is_rate_chosen` now. Kept is what only Airflow knows: a
    mail server that is not the stack's, recipients, a rate, parameters of libpq.
    """
    for name, wanted in describe_connections(settings).items():
        url = f"/api/v2/connections/{name}"
        there = api.call("GET", url, accept=404)
        is_mail = name == "smtp_default"
        if there and is_mail and (there["host"], there["login"]) != (wanted["host"], wanted["login"]):
            continue
        ours, theirs = wanted.get("extra", {}), json.loads((there and there["extra"]) or "{}")
        keeps = is_mail or (name == "neople_api" and not is_rate_chosen)
        extra = {**ours, **theirs} if keeps else {**theirs, **ours}
        body = {**wanted, "connection_id": name, "extra": json.dumps(extra) if extra else None}
        api.call(*(("PATCH", url) if there else ("POST", "/api/v2/connections")), body)


def run_command(
    airflow: Airflow, *arguments: str, environment: Mapping[str, str] | None = None, typed: str = ""
) -> None:
    """Run a command of Airflow's, as if `typed` came from a terminal; one that fails is a LocalError."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        [AIRFLOW, *arguments],
        env={**os.environ, **(environment or airflow.environment)},
        cwd=airflow.home,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without a terminal, a password is read from standard input
    )
    if done.returncode:
        raise LocalError(f"airflow {' '.join(arguments[:2])} failed:\n{(done.stderr or done.stdout)[-2000:]}")
