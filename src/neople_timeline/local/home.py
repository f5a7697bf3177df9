"""Where the local stack keeps itself: one folder with its ports, its generated secrets, its data and its logs."""

import base64
import json
import os
import secrets
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from neople_timeline.errors import ConfigError
from neople_timeline.local.airflow import Airflow
from neople_timeline.local.processes import LOOPBACK, choose_port, find, write_private
from neople_timeline.local.services import Postgres
from neople_timeline.settings import Settings, make_settings

BUCKET = "lake"
MAIL_USER = "timeline"
REPORT_TO = "players@example.org"

PORTS = {"airflow-api": 8080, "postgres": 15432, "objects": 18333, "mail": 11025, "api": 18080}
"""Preferred ports by the name of the service that listens; one that is taken is replaced by any free one."""


@dataclass(frozen=True)
class Local:
    """A local stack: the sandbox's, or one that collects with a key of one's own."""

    home: Path
    dags: Path
    own_key: str = field(repr=False)
    """Empty for the sandbox."""
    ports: dict[str, int]
    secrets: dict[str, str] = field(repr=False)

    @property
    def postgres(self) -> Postgres:
        """Say where PostgreSQL is."""
        return Postgres(self.ports["postgres"], self.secrets["postgres"])

    @property
    def maildir(self) -> Path:
        """Say where mails land."""
        return self.home / "mail"

    @property
    def airflow(self) -> Airflow:
        """Say how Airflow runs."""
        return Airflow(
            home=self.home / "airflow",
            dags=self.dags,
            port=self.ports["airflow-api"],
            metastore_url=self.postgres.url("airflow", "airflow", self.secrets["metastore"]),
            fernet_key=self.secrets["fernet"],
            jwt_secret=self.secrets["jwt"],
            session_secret=self.secrets["session"],
            password=self.secrets["admin"],
        )

    @property
    def settings(self) -> Settings:
        """Give the settings that fit this stack; what the environment says of day, language and rate is kept."""
        return make_settings(self.variables)

    @property
    def variables(self) -> dict[str, str]:
        """Give the settings by field name."""
        chosen = {name: os.environ[name.upper()] for name in KEPT if os.environ.get(name.upper())}
        sandbox = {"neople_api_url": f"http://{LOOPBACK}:{self.ports['api']}", "neople_api_key": self.secrets["api"]}
        return {
            **chosen,
            **({"neople_api_key": self.own_key} if self.own_key else sandbox),
            "lake_url": f"s3://{BUCKET}/timeline",
            "aws_access_key_id": self.secrets["s3_id"],
            "aws_secret_access_key": self.secrets["s3"],
            "aws_endpoint_url": f"http://{LOOPBACK}:{self.ports['objects']}",
            "aws_region": "us-east-1",
            "warehouse_url": self.postgres.url("warehouse", "timeline", self.secrets["warehouse"]),
            "smtp_url": f"smtp://{MAIL_USER}:{self.secrets['mail']}@{LOOPBACK}:{self.ports['mail']}",
            "report_to": REPORT_TO,
            "report_url": self.airflow.report_url,
        }


KEPT = ("neople_api_url", "neople_api_rate", "day_starts_at", "report_language", "marts_engine")
"""Settings that the environment may choose for a local stack."""


def open_local(root: Path, dags: Path, own_key: str) -> Local:
    """Open the stack under `root`, or make a new one: ports are chosen for what does not run, secrets are kept."""
    if not (dags / "timeline_daily.py").exists():
        raise ConfigError(f"{dags} has no timeline_daily.py: start the stack in the project's checkout")
    home = (root / ("own" if own_key else "sandbox")).resolve()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    known = read_record(home)
    last = {**PORTS, **known.get("ports", {})}
    ports = {
        name: last[name] if find(name, home) else choose_port(port, last[name])  # the preferred one may be free again
        for name, port in PORTS.items()
    }
    local = Local(home, dags.resolve(), own_key, ports, {**_make_secrets(), **known.get("secrets", {})})
    write_private(home / "stack.json", json.dumps({"ports": ports, "secrets": local.secrets}, indent=1))
    shown = {name: value for name, value in local.variables.items() if value != own_key}
    exports = [f"export {name.upper()}={shlex.quote(value)}" for name, value in shown.items()]
    write_private(home / "env", "\n".join(exports) + "\n")
    return local


def read_record(home: Path) -> dict[str, dict[str, Any]]:
    """Read what an earlier run noted down, if there was one."""
    path = home / "stack.json"
    record: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return record


def hide_settings_from_children() -> str:
    """Take settings, Airflow's variables and libpq's out of this environment; return the API key that was there.

    Processes of the stack have their own, and a key has no business in theirs. No part is asked through a proxy.
    """
    key = os.environ.get("NEOPLE_API_KEY", "").strip()
    foreign = {f.name.upper() for f in fields(Settings)} - {name.upper() for name in KEPT}
    for name in list(os.environ):
        if name in foreign or name.startswith(("AIRFLOW", "PG")):
            del os.environ[name]
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if direct != "*":
        direct = ",".join([*filter(None, [direct]), LOOPBACK, "localhost"])
    os.environ.update({"no_proxy": direct, "NO_PROXY": direct})
    return key


def _make_secrets() -> dict[str, str]:
    names = ("postgres", "metastore", "warehouse", "s3", "mail", "api")
    return {
        **{name: secrets.token_hex(20) for name in names},
        "s3_id": secrets.token_hex(10),
        "admin": secrets.token_urlsafe(12),
        "jwt": secrets.token_hex(48),
        "session": secrets.token_hex(48),
        "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
