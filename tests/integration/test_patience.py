"""How long client and server wait for each other over a network that has gone silent."""

import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from neople_timeline.errors import RetryLater
from neople_timeline.local import processes, services
from neople_timeline.settings import Settings
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.connection import connect, connect_reader, open_warehouse
from neople_timeline.warehouse.parts import Part

NAMES = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
OPTIONS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, getattr(socket, "TCP_USER_TIMEOUT", 18))


def read_server(connection: psycopg.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT setting FROM unnest(%s::text[]) WITH ORDINALITY AS n(name, place)"
        " JOIN pg_settings USING (name) ORDER BY place",
        (list(NAMES),),
    )
    return [int(row[0]) for row in rows]


def read_client(connection: psycopg.Connection) -> list[int]:
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        return [wire.getsockopt(socket.IPPROTO_TCP, option) for option in OPTIONS]


@pytest.mark.parametrize("opening", [connect, connect_reader])
def test_both_sides_give_up_after_25_seconds(postgres_url: str, opening: object) -> None:
    settings = Settings(warehouse_url=postgres_url)
    connect(settings).close()
    with opening(settings) as connection:  # type: ignore[operator]
        assert read_server(connection) == read_client(connection) == [10, 5, 3, 25_000]


def test_what_the_url_says_counts_for_both_sides(postgres_url: str) -> None:
    url = f"{postgres_url}?keepalives_idle=60&tcp_user_timeout=90000"
    with connect(Settings(warehouse_url=url)) as connection:
        assert read_server(connection) == read_client(connection) == [60, 5, 3, 90_000]


def test_what_the_url_says_to_the_server_alone_is_kept(postgres_url: str) -> None:
    url = f"{postgres_url}?options=-c%20tcp_keepalives_idle%3D120"
    with connect(Settings(warehouse_url=url)) as connection:
        assert read_server(connection) == [120, 5, 3, 25_000]
        assert read_client(connection) == [10, 5, 3, 25_000]


def test_keepalives_may_be_switched_off(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as untouched:
        usual = read_server(untouched)
    with connect(Settings(warehouse_url=f"{postgres_url}?keepalives=0")) as connection:
        assert read_server(connection) == usual


def test_nobody_waits_for_a_lock_for_ever_nor_keeps_one_in_silence(postgres_url: str) -> None:
    with connect(Settings(warehouse_url=postgres_url)) as connection:

        def show(name: str) -> str:
            return str((connection.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0])

        assert (show("lock_timeout"), show("idle_in_transaction_session_timeout")) == ("1min", "15min")
        with part_rows.hold_parts(connection, [Part(date(2026, 11, 15), bucket=0, buckets=2)]):
            assert show("idle_session_timeout") == "15min"
        assert show("idle_session_timeout") == "0"


def test_who_finds_a_lock_taken_comes_back_later(postgres_url: str) -> None:
    part = Part(date(2026, 11, 15), bucket=0, buckets=2)
    settings = Settings(warehouse_url=f"{postgres_url}?options=-c%20lock_timeout%3D100ms")
    with (
        connect(settings) as holder,
        part_rows.hold_parts(holder, [part]),
        pytest.raises(RetryLater, match="holds a lock for another run"),
        open_warehouse(settings) as connection,
        part_rows.hold_parts(connection, [part]),
    ):
        pass


def test_a_unix_socket_needs_none_of_it() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nt-"))
    folder.chmod(0o711)
    server = services.Postgres(processes.choose_port(), secrets.token_hex(16))
    services.prepare_postgres(folder, server.password)
    service = services.postgres(folder, server, durable=False)
    place = folder / "postgres"
    processes.start(replace(service, command=[*service.command, "-c", f"unix_socket_directories={place}"]), folder)
    try:
        url = f"postgresql://postgres:{server.password}@/postgres?host={quote(str(place), safe='')}&port={server.port}"
        with connect(Settings(warehouse_url=url)) as connection:
            assert read_server(connection) == [0, 0, 0, 0]
    finally:
        processes.stop(["postgres"], folder)
        shutil.rmtree(folder)
