"""Marts in PostgreSQL: whole periods are replaced, never single rows."""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Final

import pgpq
import psycopg
import pyarrow as pa
from psycopg import sql

from neople_timeline.catalogue import Mart

PUBLISHING_LOCK: Final = 7_105_206_602
"""Advisory lock of whoever publishes marts: two at a time would mix their periods."""


def lock_publishing(connection: psycopg.Connection) -> None:
    """Wait until nobody else publishes marts, and keep others out until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (PUBLISHING_LOCK,))


def fingerprint_parts(connection: psycopg.Connection, days: Sequence[date]) -> str:
    """Digest which versions of which Parquet objects hold the days' events and characters."""
    rows = connection.execute(
        "SELECT day, bucket, events_etag, characters_etag FROM timeline.part WHERE day = ANY(%s) ORDER BY day, bucket",
        (list(days),),
    )
    return hashlib.sha256(repr([(str(row[0]), *row[1:]) for row in rows]).encode()).hexdigest()


def replace_periods(connection: psycopg.Connection, mart: Mart, periods: Sequence[date], rows: pa.Table) -> None:
    """Put the rows in place of everything that the mart's table holds for the periods."""
    table = sql.Identifier("timeline", mart.warehouse_name)
    delete = sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(table, sql.Identifier(mart.period))
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in mart.columns)
    copy_statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY)").format(table, columns)
    encoder = pgpq.ArrowToPostgresBinaryEncoder(mart.schema)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(delete, (list(periods),))
        with cursor.copy(copy_statement) as copy:
            copy.write(encoder.write_header())
            for batch in rows.to_batches():
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
