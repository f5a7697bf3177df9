"""Connections to the warehouse, whose schema is made or upgraded on first use.

psycopg's types take a statement as a literal string or as bytes, so that no value gets into its text by accident. An
f-string is no literal to every type checker: put together from constants only, it ends with `.encode()`. Values travel
as parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.abc import Params, QueryNoTemplate
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from neople_timeline.errors import ConfigError, DataError, RetryLater
from neople_timeline.settings import Settings

MIGRATIONS: Final = Path(__file__).parent / "migrations"
OLDEST_SERVER: Final = 15
"""PostgreSQL's major version from which on it has what the schema uses."""
GONE: Final = (psycopg.OperationalError, psycopg.InterfaceError)
"""What psycopg raises when PostgreSQL is away, among other things; who only says good-bye passes over it."""
CONNECTION_LOST: Final = ("08", "57P0")
"""How the SQL states begin that say so; of what the client finds out by itself there is none."""
UPGRADE_LOCK: Final = 7_105_206_601
"""Advisory lock that keeps two first users from making the schema at once."""

DEFAULTS: Final = {"application_name": "neople-timeline", "connect_timeout": "10"}
KEEPALIVES: Final = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""Who has not answered for 25 s is gone, in libpq's words. Left to the system, it would keep its locks for hours."""
REFUSALS: Final = (
    "password authentication",
    "does not exist",
    "no pg_hba.conf",
    "does not support SSL",
    "definition of service",
    "invalid value for parameter",
)
"""What PostgreSQL or libpq says where only somebody who mends WAREHOUSE_URL or the server can help."""
IDLE_LIMIT: Final = "15min"
"""A paused process answers still, by its system. So whoever holds locks and says nothing for this long loses them."""
SESSION_TERMS: Final = {
    "DateStyle": "ISO, YMD",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
}
"""How values are read and written, and what a transaction sees, whatever the environment, role or server prefers.

Who waited for a row's lock has to see what its holder said: with more isolation a proof would overlook what landed."""
PROGRAM_LIMITS: Final = "54"
"""The class of SQLSTATE for what is too large or too complex, now and whenever it is tried again."""
LIMITS: Final = {"lock_timeout": "60s", "idle_in_transaction_session_timeout": IDLE_LIMIT}
"""Who waits for a lock longer than a minute gives its place away and comes back later."""


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


def ask_number(connection: psycopg.Connection, query: QueryNoTemplate, values: Params = ()) -> int:
    """Ask for a single number; none counts as 0."""
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _require_schema(connection: psycopg.Connection) -> None:
    version = read_version(connection)
    _refuse_newer(version)
    if version != newest_version():
        raise ConfigError("the warehouse has no schema yet, or an older one: run a day, which makes it")


def _refuse_newer(version: str) -> None:
    if version > newest_version():
        raise ConfigError(f"the warehouse has schema version {version}, newer than this program: upgrade the program")


@contextmanager
def open_warehouse(
    settings: Settings, connect: Callable[[Settings], psycopg.Connection] = connect
) -> Iterator[psycopg.Connection]:
    """Open the warehouse; one that goes away, is full or has somebody else's lock on it is RetryLater.

    A right that its role lacks is ConfigError, something that PostgreSQL cannot hold DataError. What was committed
    stays.
    """
    try:
        with connect(settings) as connection:
            yield connection
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        raise ConfigError(
            f"PostgreSQL refuses the role of WAREHOUSE_URL ({error.diag.message_primary}): give it CREATE on the"
            " database, and all rights to what is in the schema timeline there; best make it the owner of both"
        ) from None
    except GONE as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if (error.sqlstate or "").startswith(PROGRAM_LIMITS):
            raise DataError(f"PostgreSQL cannot hold this: {reason}") from None
        raise RetryLater(f"PostgreSQL {_name_trouble(error)}: {reason}", seconds=10) from None


def _name_trouble(error: psycopg.Error) -> str:
    match error:
        case errors.DiskFull():
            return "has no room"
        case errors.LockNotAvailable():
            return "holds a lock for another run"
        case _ if (error.sqlstate or CONNECTION_LOST[0]).startswith(CONNECTION_LOST):
            return "went away"
        case _:
            return "did not finish a statement"


@contextmanager
def hold_locks(connection: psycopg.Connection, locks: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Hold advisory locks, taken in the order given; PostgreSQL lets go of them if this process dies or is paused."""
    try:
        connection.execute(f"SET idle_session_timeout = '{IDLE_LIMIT}'".encode())
        for lock in locks:
            connection.execute("SELECT pg_advisory_lock(%s, %s)", lock)
        yield
    finally:
        with suppress(*GONE):
            for lock in locks:
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", lock)
            connection.execute("RESET idle_session_timeout")


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
        if target == "head":
            _refuse_newer(version)
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

    def open_for_transactions() -> psycopg.Connection:
        connection = _open(settings)
        connection.autocommit = False
        return connection

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=open_for_transactions, poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.connect() as bind:
            config.attributes["connection"] = bind
            if backwards:
                command.downgrade(config, target)
            else:
                command.upgrade(config, target)
    except sqlalchemy.exc.DBAPIError as error:
        raise (error.orig or error) from None  # psycopg's own, which callers know
    if target == "head":
        with _open(settings) as connection:
            comment_on_tables(connection)


def _open(settings: Settings) -> psycopg.Connection:
    settings.require("warehouse_url")
    try:
        chosen = DEFAULTS | KEEPALIVES | conninfo_to_dict(settings.warehouse_url) | {"client_encoding": "UTF8"}
        connection = psycopg.connect(make_conninfo("", **chosen), autocommit=True)
    except psycopg.ProgrammingError:  # it quotes parts of the URL
        raise ConfigError(
            "WAREHOUSE_URL cannot be read: it must look like postgresql://user:password@host/db"
        ) from None
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        if any(words in reason for words in REFUSALS):
            raise ConfigError(f"PostgreSQL refuses WAREHOUSE_URL: {reason}") from None
        raise RetryLater(f"PostgreSQL does not answer: {reason}", seconds=30) from None
    try:
        _require_version(connection)
        _require_unicode(connection)
        _settle_session(connection, chosen)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_version(connection: psycopg.Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        found = connection.info.parameter_status("server_version")
        raise ConfigError(f"WAREHOUSE_URL: PostgreSQL {found} is too old: {OLDEST_SERVER} or newer is needed")


def _require_unicode(connection: psycopg.Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigError(f"WAREHOUSE_URL: the database has the encoding {encoding}: make one with ENCODING 'UTF8'")


SETTLE: Final = """
SELECT set_config(name, value, false)
FROM unnest(%s::text[], %s::text[]) AS wanted(name, value) JOIN pg_settings USING (name)
WHERE source <> 'client' OR name = ANY(%s)
"""


def _settle_session(connection: psycopg.Connection, chosen: Mapping[str, Any]) -> None:
    """Have the server give up this client as soon as this client gives up the server, and keep its limits and terms.

    A statement, because PgBouncer refuses it as a start option; such a keepalive option is kept where one was given.
    """
    wanted = SESSION_TERMS | LIMITS
    if chosen.get("keepalives") != "0":
        wanted |= {name if name == "tcp_user_timeout" else f"tcp_{name}": chosen[name] for name in KEEPALIVES}
    connection.execute(SETTLE, (list(wanted), list(wanted.values()), list(SESSION_TERMS)))
