"""How values travel between the program and PostgreSQL, whatever environment and database prefer."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from small_ledger import DAY, follow

from neople_timeline.errors import ConfigError
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect


def test_dates_and_texts_are_spelt_as_the_program_reads_them(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, connection: psycopg.Connection
) -> None:
    for name, value in {"PGDATESTYLE": "SQL, DMY", "PGCLIENTENCODING": "UHC", "PGTZ": "America/Santiago"}.items():
        monkeypatch.setenv(name, value)
    with connect(Settings(warehouse_url=postgres_url)) as other:
        follow(other, DAY)
        assert other.execute("SELECT '태초', '2026-11-15'::date::text").fetchone() == ("태초", "2026-11-15")
    noted = connection.execute("SELECT value FROM timeline.setting WHERE name = 'followed_to'").fetchone()
    assert noted == (f"{DAY}",)


def test_a_database_in_another_encoding_is_refused(postgres_url: str, connection: psycopg.Connection) -> None:
    connection.execute("DROP DATABASE IF EXISTS korean")
    connection.execute("CREATE DATABASE korean TEMPLATE template0 ENCODING 'EUC_KR' LOCALE 'C'")
    try:
        with pytest.raises(ConfigError, match="encoding EUC_KR"):
            connect(Settings(warehouse_url=make_conninfo(postgres_url, dbname="korean")))
    finally:
        connection.execute("DROP DATABASE korean")
