"""Connections to the warehouse, whose schema is made or upgraded on first use."""

from pathlib import Path
from typing import Final

import psycopg
from psycopg import errors

from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.settings import Settings

MIGRATIONS: Final = Path(__file__).parent / "migrations"
UPGRADE_LOCK: Final = 7_105_206_601
"""Advisory lock that keeps two first users from making the schema at once."""


def connect(settings: Settings) -> psycopg.Connection:
    """Open an autocommit connection to a warehouse with an up-to-date schema.

    A refused login or an unknown database is a ConfigError, a server that does not answer is RetryLater.
    """
    connection = _open(settings)
    try:
        if read_version(connection) != newest_version():
            upgrade(settings)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(settings: Settings) -> psycopg.Connection:
    """Open an autocommit connection that can only read, to a warehouse whose schema is there already."""
    connection = _open(settings)
    try:
        connection.execute("SET default_transaction_read_only = on")
        _require_schema(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_schema(connection: psycopg.Connection) -> None:
    if read_version(connection) != newest_version():
        raise ConfigError("the warehouse has no schema yet, or one of another version: run a day, which makes it")


def newest_version() -> str:
    """Name the newest migration that this code knows."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def read_version(connection: psycopg.Connection) -> str:
    """Name the last migration that the warehouse went through, or an empty text."""
    try:
        row = connection.execute("SELECT version_num FROM timeline.alembic_version").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return ""
    return str(row[0]) if row else ""


def upgrade(settings: Settings, target: str = "head") -> None:
    """Bring the schema to a version, forwards or backwards, one process at a time."""
    with _open(settings) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (UPGRADE_LOCK,))
        version = read_version(connection)
        if target == "head" and version > newest_version():
            raise ConfigError(
                f"the warehouse has schema version {version}, newer than this program: upgrade the program"
            )
        connection.execute("CREATE SCHEMA IF NOT EXISTS timeline")
        _migrate(settings, target, backwards=target == "base" or target < version)


def _migrate(settings: Settings, target: str, *, backwards: bool) -> None:
    # Imported here because a schema that is up to date, the usual case, needs none of them.
    import sqlalchemy  # noqa: PLC0415
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    from neople_timeline.warehouse.comments import comment_on_tables  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(settings.warehouse_url),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.connect() as bind:
        config.attributes["connection"] = bind
        if backwards:
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
    if target == "head":
        with _open(settings) as connection:
            comment_on_tables(connection)


def _open(settings: Settings) -> psycopg.Connection:
    settings.require("warehouse_url")
    try:
        return psycopg.connect(
            settings.warehouse_url, autocommit=True, application_name="neople-timeline", connect_timeout=10
        )
    except psycopg.ProgrammingError:  # it quotes parts of the URL
        raise ConfigError(
            "WAREHOUSE_URL cannot be read: it must look like postgresql://user:password@host/db"
        ) from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        if "password authentication" in reason or "does not exist" in reason or "no pg_hba.conf" in reason:
            raise ConfigError(f"PostgreSQL refuses WAREHOUSE_URL: {reason}") from None
        raise RetryLater(f"PostgreSQL does not answer: {reason}", seconds=30) from None
