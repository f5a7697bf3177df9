"""Tables as CSV for spreadsheets, in which no name that a stranger chose is a formula or breaks a line."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

import psycopg
from psycopg import sql

from neople_timeline.catalogue import MARTS, Mart, period_of
from neople_timeline.errors import ConfigError
from neople_timeline.marts.periods import days_covered
from neople_timeline.models import FORMULA
from neople_timeline.report.words import show_text
from neople_timeline.tables import CHARACTERS, EVENTS, Table

CHARACTER_KEYS: Final = ("day", "server_id", "character_id")
NAMES: Final = ("character_name", "adventure_name")
"""What is told of a character beside its events."""

EXPORTABLE: Final = {
    EVENTS.warehouse_name: (EVENTS, (*CHARACTER_KEYS, "occurred_at", "ordinal")),
    CHARACTERS.warehouse_name: (CHARACTERS, CHARACTER_KEYS),
    **{mart.name: (mart, mart.keys) for mart in MARTS},
}
"""Each table by the name it is asked for, with its keys, of which the first is the day, week or month."""

LONGEST_CELL: Final = 32_767
"""Characters that a cell of a spreadsheet holds."""


def export_rows(connection: psycopg.Connection, name: str, first: date, last: date) -> Iterator[str]:
    """Yield a table's header and its rows of some days as CSV, in the order of its keys; of events, with who it was.

    A week or month belongs to the days if one of its own does. An unknown table is a ConfigError that names the others.
    """
    table, keys = _find_table(name)
    columns = [column.name for column in table.columns]
    source: sql.Composable = sql.Identifier("timeline", table.warehouse_name)
    if table is EVENTS:
        columns += NAMES
        named = sql.SQL("SELECT {} FROM timeline.character WHERE day BETWEEN {} AND {}").format(
            _list([*CHARACTER_KEYS, *NAMES]), first, last
        )
        source = sql.SQL("{} LEFT JOIN ({}) AS named USING ({})").format(source, named, _list(CHARACTER_KEYS))
    statement = sql.SQL("SELECT {} FROM {} WHERE {} BETWEEN %s AND %s ORDER BY {}").format(
        sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(column)) if column == "data" else sql.Identifier(column)
            for column in columns
        ),
        source,
        sql.Identifier(keys[0]),
        _list(keys),
    )
    yield write_line(list(columns))
    with connection.transaction(), connection.cursor("export") as cursor:
        cursor.execute(statement, (_first_period(table, first), last))
        for row in cursor:
            yield write_line(list(row))


def days_told(name: str, first: date, last: date) -> tuple[date, date]:
    """Name the first and the last day of which a table's rows tell, when they are asked for by day."""
    table, _ = _find_table(name)
    covered = days_covered((first, last), table.period) if isinstance(table, Mart) else (first, last)
    return covered[0], covered[-1]


def _find_table(name: str) -> tuple[Table, tuple[str, ...]]:
    name = name.removeprefix("mart_")
    if name not in EXPORTABLE:
        raise ConfigError(f"there is no table {name!r}: choose one of {', '.join(EXPORTABLE)}")
    return EXPORTABLE[name]


def _list(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _first_period(table: Table, first: date) -> date:
    return period_of(first, table.period) if isinstance(table, Mart) else first


def write_line(values: list[object]) -> str:
    """Write values as one line of CSV; an apostrophe marks texts that a spreadsheet would compute."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([write_cell(value) for value in values])
    return buffer.getvalue()


def write_cell(value: object) -> str:
    """Write one value: numbers, days and moments plainly, text without controls or turns of direction."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, date):  # or a moment
        return value.isoformat()
    text = show_text(str(value), LONGEST_CELL - 1)
    return f"'{text}" if re.match(FORMULA, text) else text
