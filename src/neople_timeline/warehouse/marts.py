"""Marts in PostgreSQL: whole periods are replaced, never single rows, and never newer ones by older ones."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

import pgpq
import psycopg
import pyarrow as pa
from psycopg import sql

from neople_timeline.catalogue import Mart
from neople_timeline.warehouse.connection import ask_number

PUBLISHING_LOCK: Final = 7_105_206_602
"""Advisory lock of whoever publishes marts: two at a time would mix their periods."""


def take_generation(connection: psycopg.Connection) -> int:
    """Give a computation of marts or of a page its number; take it before the first row is read."""
    return ask_number(connection, "SELECT nextval('timeline.mart_generation')")


def lock_publishing(connection: psycopg.Connection) -> None:
    """Wait until nobody else publishes marts, and keep others out until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (PUBLISHING_LOCK,))


def list_newer(connection: psycopg.Connection, mart: Mart, periods: Sequence[date], generation: int) -> set[date]:
    """List those of the periods that a later computation has published already."""
    rows = connection.execute(
        "SELECT period FROM timeline.published_mart WHERE mart = %s AND period = ANY(%s) AND generation > %s",
        (mart.name, list(periods), generation),
    )
    return {row[0] for row in rows}


def count_published(connection: psycopg.Connection, mart: Mart, period: date) -> int | None:
    """Give how many rows a mart has for a period, as it was published; None where it never was."""
    row = connection.execute(
        "SELECT rows FROM timeline.published_mart WHERE mart = %s AND period = %s", (mart.name, period)
    ).fetchone()
    return int(row[0]) if row else None


def stream_rows(connection: psycopg.Connection, mart: Mart, period: date) -> Iterator[tuple[Any, ...]]:
    """Read a period's rows, some thousand at a time, within the caller's transaction."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in mart.columns)
    query = sql.SQL("SELECT {} FROM {} WHERE {} = %s").format(
        columns, sql.Identifier("timeline", mart.warehouse_name), sql.Identifier(mart.period)
    )
    with connection.cursor("mart") as cursor:
        cursor.itersize = 20_000
        yield from cursor.execute(query, (period,))


def distrust_mart(connection: psycopg.Connection, mart: Mart, period: date) -> None:
    """Note that a mart is older than any rows, so that the next run of one of its days computes it."""
    connection.execute(
        "UPDATE timeline.published_mart SET generation = 0 WHERE mart = %s AND period = %s", (mart.name, period)
    )


RECORD_PERIOD: Final = """
INSERT INTO timeline.published_mart AS old (mart, period, generation, rows) VALUES (%s, %s, %s, %s)
ON CONFLICT (mart, period) DO UPDATE
SET generation = excluded.generation, rows = excluded.rows, published_at = now()
"""


def replace_periods(connection: psycopg.Connection, mart: Mart, periods: dict[date, pa.Table], generation: int) -> None:
    """Put the periods' rows in place of everything that the mart's table holds for them."""
    table = sql.Identifier("timeline", mart.warehouse_name)
    delete = sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(table, sql.Identifier(mart.period))
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in mart.columns)
    copy_statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY)").format(table, columns)
    encoder = pgpq.ArrowToPostgresBinaryEncoder(mart.schema)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(delete, (list(periods),))
        with cursor.copy(copy_statement) as copy:
            copy.write(encoder.write_header())
            for rows in periods.values():
                for batch in rows.to_batches():
                    copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        cursor.executemany(
            RECORD_PERIOD,
            [(mart.name, period, generation, rows.num_rows) for period, rows in periods.items()],
        )
