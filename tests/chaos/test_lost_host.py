"""A host that vanishes without a word, with a part of the day in its hands: the others get it half a minute later."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from ipaddress import IPv4Network
from pathlib import Path

import psycopg
import pytest

from neople_timeline.local import host, services
from neople_timeline.local.cluster import let_hosts_in
from neople_timeline.settings import Settings
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.parts import Part

CABLE, NETWORK = "nt-lost-host", IPv4Network("198.18.255.0/30")
PART = Part(date(2026, 11, 15), bucket=0, buckets=2)
HOLDER = """
import sys, time
from datetime import date
from neople_timeline.settings import Settings
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.connection import connect
with connect(Settings(warehouse_url=sys.stdin.readline().strip())) as connection:
    with part_rows.hold_parts(connection, [part_rows.Part(date(2026, 11, 15), bucket=0, buckets=2)]):
        print("held", flush=True)
        time.sleep(300)
"""


@pytest.fixture
def warehouse(home: Path, postgres_server: services.Postgres, postgres_url: str) -> Settings:
    if not host.can_make_hosts():
        pytest.skip("this user may not make hosts: no Linux namespaces, or `ip` is not installed")
    let_hosts_in(home / "postgres" / "pg_hba.conf")
    with psycopg.connect(postgres_server.url("postgres")) as admin:
        admin.execute("SELECT pg_reload_conf()")
    settings = Settings(warehouse_url=postgres_url)
    connect(settings).close()
    return settings


@pytest.fixture
def holder(warehouse: Settings) -> Iterator[subprocess.Popen[str]]:
    """A program on a host of its own, which holds a part and would for five minutes."""
    command = host.describe("lost-host", CABLE, NETWORK, [sys.executable, "-c", HOLDER])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_PROXY": "*"}
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{warehouse.warehouse_url}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("holder")
def test_what_a_vanished_host_held_is_free_after_half_a_minute(warehouse: Settings) -> None:
    with connect(warehouse) as connection:
        connection.execute("SET lock_timeout = '2s'")
        with pytest.raises(psycopg.errors.LockNotAvailable), part_rows.hold_parts(connection, [PART]):
            pass
        connection.execute("SET lock_timeout = '120s'")
        subprocess.run(["ip", "link", "set", CABLE, "down"], check=True)  # noqa: S607
        began = time.monotonic()
        with part_rows.hold_parts(connection, [PART]):
            waited = time.monotonic() - began
    print(f"the part of a host that vanished was free after {waited:.1f} s")  # noqa: T201 - shown with -s
    assert 5 < waited < 35
