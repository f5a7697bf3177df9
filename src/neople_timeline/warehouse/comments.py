"""The meanings of tables and columns, as comments that any client of PostgreSQL shows."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
from psycopg import sql

from neople_timeline.bookkeeping import OWN_TABLES
from neople_timeline.catalogue import MARTS
from neople_timeline.tables import TABLES


def comment_on_tables(connection: psycopg.Connection) -> None:
    """Write today's meanings, those of docs/data-dictionary.md, into a schema of the newest version."""
    statements = [
        sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), sql.Identifier("timeline", *path), meaning)
        for kind, path, meaning in _list_meanings()
    ]
    connection.execute(sql.SQL("; ").join(statements))


def _list_meanings() -> Iterator[tuple[LiteralString, tuple[str, ...], str]]:
    for table in (*TABLES, *MARTS):
        yield "TABLE", (table.warehouse_name,), table.meaning
        for column in table.columns:
            yield "COLUMN", (table.warehouse_name, column.name), column.meaning
    for own in OWN_TABLES:
        yield "TABLE", (own.name,), own.meaning
        for name, _, meaning in own.columns:
            yield "COLUMN", (own.name, name), meaning
