"""The warehouse's schema, forwards and backwards under data: what a version does not own, it leaves as it was."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from collected_day import collect_day
from psycopg.conninfo import make_conninfo

from neople_timeline import pipeline
from neople_timeline.bookkeeping import OWN_TABLES
from neople_timeline.catalogue import MARTS
from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.settings import Settings
from neople_timeline.tables import TABLES
from neople_timeline.warehouse.connection import MIGRATIONS, connect, newest_version, read_version, upgrade

VERSIONS = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
MART_TABLES = [mart.warehouse_name for mart in MARTS]
LATER: tuple[str, ...] = ()
"""Columns that not all versions have: what a migration adds to a table that was there before."""


def query(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.warehouse_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def describe_schema(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Columns with types, keys, indexes, functions, comments and planner's blind spots of everything in the schema."""
    questions = {
        "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default, generation_expression"
        " FROM information_schema.columns WHERE table_schema = 'timeline'",
        "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'timeline'::regnamespace",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'timeline'",
        "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'timeline'::regnamespace",
        "comments": "SELECT relname, coalesce(attname, ''), description FROM pg_description"
        " JOIN pg_class ON pg_class.oid = objoid LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid"
        " WHERE relnamespace = 'timeline'::regnamespace",
        "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'timeline'",
        "sequences": "SELECT sequencename FROM pg_sequences WHERE schemaname = 'timeline'",
        "without statistics": "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class"
        " ON pg_class.oid = attrelid WHERE relnamespace = 'timeline'::regnamespace AND attstattarget = 0",
    }
    return {name: sorted(query(settings, question), key=repr) for name, question in questions.items()}


def list_tables(settings: Settings) -> set[str]:
    return {name for (name,) in query(settings, "SELECT tablename FROM pg_tables WHERE schemaname = 'timeline'")}


def read_tables(settings: Settings, names: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Read what every version knows of each row."""
    row = f"to_jsonb(t) - '{{{','.join(LATER)}}}'::text[]"
    return {name: sorted(query(settings, f"SELECT {row} FROM timeline.{name} t"), key=repr) for name in names}


def test_a_role_that_may_not_make_the_schema_is_told_what_it_lacks(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        try:
            settings = Settings(warehouse_url=make_conninfo(postgres_url, user="guest", password="guest"))
            with pytest.raises(ConfigError, match="give it CREATE on the database"):
                pipeline.list_members(settings)
        finally:
            owner.execute("DROP ROLE guest")


def test_an_upgrade_that_finds_a_table_locked_comes_back_later(settings: Settings) -> None:
    upgrade(settings, VERSIONS[-2])
    impatient = replace(settings, warehouse_url=make_conninfo(settings.warehouse_url, options="-c lock_timeout=100"))
    with psycopg.connect(settings.warehouse_url) as other:
        other.execute("LOCK TABLE timeline.alembic_version IN SHARE MODE")  # read, not written, by anybody else
        with pytest.raises(RetryLater, match="holds a lock"):
            pipeline.list_members(impatient)
    assert pipeline.list_members(impatient) == []


def test_a_server_that_is_too_old_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neople_timeline.warehouse.connection.OLDEST_SERVER", 99)
    with pytest.raises(ConfigError, match=r"PostgreSQL \d+\.\d+ .*is too old: 99 or newer is needed"):
        pipeline.list_members(settings)


def test_every_column_is_as_the_code_names_it_and_says_what_it_means(settings: Settings) -> None:
    connect(settings).close()
    rows = query(
        settings,
        "SELECT relname, attname, replace(format_type(atttypid, NULL), 'timestamp with time zone', 'timestamptz'),"
        " col_description(attrelid, attnum), obj_description(attrelid, 'pg_class') FROM pg_attribute"
        " JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'timeline'::regnamespace AND attnum > 0"
        " AND NOT attisdropped AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'",
    )
    wanted = [
        (table.warehouse_name, column.name, column.sql, column.meaning, table.meaning)
        for table in (*TABLES, *MARTS)
        for column in table.columns
    ] + [(own.name, *column, own.meaning) for own in OWN_TABLES for column in own.columns]
    assert sorted(rows) == sorted(wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_undone_and_done_again_is_the_same_schema(settings: Settings, version: str) -> None:
    upgrade(settings, version)
    once = describe_schema(settings)
    before = str(int(version) - 1).zfill(4) if version != VERSIONS[0] else "base"

    upgrade(settings, before)
    assert describe_schema(settings) != once
    upgrade(settings, version)

    assert describe_schema(settings) == once


def test_going_back_and_forth_keeps_what_was_collected(settings: Settings) -> None:
    day = collect_day(settings)
    kept = sorted(list_tables(settings) - {*MART_TABLES, "published_mart", "alembic_version"})
    rows, marts = read_tables(settings, kept), read_tables(settings, MART_TABLES)
    assert len(rows["event"]) > 100
    assert any(marts.values())

    for version in reversed(VERSIONS[:-1]):
        upgrade(settings, version)
        with psycopg.connect(settings.warehouse_url) as connection:
            assert read_version(connection) == version
        assert read_tables(settings, kept) == rows
        there = sorted(list_tables(settings) & set(MART_TABLES))
        assert read_tables(settings, there) == {name: marts[name] for name in there}
        assert there or version < "0002"
    assert not there

    for version in VERSIONS[:-1]:
        upgrade(settings, version)
        assert read_tables(settings, kept) == rows
    connect(settings).close()  # as any command of the new program does
    assert read_tables(settings, kept) == rows
    pipeline.build_marts(settings, [day])
    assert read_tables(settings, MART_TABLES) == marts
    assert pipeline.verify_days(settings, [day]).ok


def test_all_the_way_back_leaves_nothing_behind(settings: Settings) -> None:
    collect_day(settings)

    upgrade(settings, "base")

    left = query(settings, "SELECT relname FROM pg_class WHERE relnamespace = 'timeline'::regnamespace")
    assert {name for (name,) in left} <= {"alembic_version", "alembic_version_pkc"}
    assert describe_schema(settings)["functions"] == []


def test_many_first_users_make_one_schema(settings: Settings) -> None:
    def open_and_read(_: int) -> str:
        with connect(settings) as connection:
            return read_version(connection)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(open_and_read, range(6))) == {newest_version()}


def test_an_old_program_refuses_a_newer_schema(settings: Settings) -> None:
    connect(settings).close()
    with psycopg.connect(settings.warehouse_url) as connection:
        connection.execute("UPDATE timeline.alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigError, match=r"newer than this program"):
        connect(settings)
