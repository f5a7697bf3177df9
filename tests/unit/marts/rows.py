"""Event rows that show only what matters to a test."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from neople_timeline.catalogue import MARTS, Period
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.models import Calendar, to_instant
from neople_timeline.tables import CHARACTERS, EVENTS, Table

Row = dict[str, Any]
THURSDAY, FRIDAY = date(2026, 11, 12), date(2026, 11, 13)


def event(
    code: int, minute: str = "2026-11-12 21:00", character: str = "a", server: str = "cain", **fields: object
) -> Row:
    """Make a row of `events`; an unknown field is a KeyError."""
    row = dict.fromkeys(EVENTS.schema.names)
    row |= {
        "day": Calendar().day_of(minute),
        "server_id": server,
        "character_id": character,
        "occurred_at": to_instant(minute),
        "occurred_minute": minute,
        "ordinal": 0,
        "code": code,
        "name": f"name of {code}",
    }
    return row | {key: value for key, value in fields.items() if key in row or row[key]}


def character(character_id: str = "a", day: date = THURSDAY, server: str = "cain", **fields: object) -> Row:
    """Make a row of `characters`."""
    row = dict.fromkeys(CHARACTERS.schema.names)
    row |= {"day": day, "server_id": server, "character_id": character_id, "character_name": f"name of {character_id}"}
    return row | {key: value for key, value in fields.items() if key in row or row[key]}


def run(
    name: str, events: Sequence[Row], characters: Sequence[Row] = (), days: Sequence[date] = (THURSDAY,)
) -> list[Row]:
    """Give the rows of one mart, computed by DuckDB, in the mart's column order."""
    period = next(mart.period for mart in MARTS if mart.name == name)
    return run_all(period, events, characters, days)[name]


def run_all(
    period: Period, events: Sequence[Row], characters: Sequence[Row], days: Sequence[date]
) -> dict[str, list[Row]]:
    """Give the rows of all marts of a kind of period."""
    tables = {
        "events": pa.Table.from_pylist(list(events), EVENTS.schema),
        "characters": pa.Table.from_pylist(list(characters), CHARACTERS.schema),
    }

    def write_files(table: Table, covered: Sequence[date], folder: Path) -> list[Path]:
        path = folder / f"of-{table.name}-{covered[0]}.parquet"
        pq.write_table(tables[table.name].filter(ds.field("day").isin(list(covered))), path)
        return [path]

    chosen = [mart for mart in MARTS if mart.period == period]
    return {result.mart.name: result.table.to_pylist() for result in run_marts(write_files, days, chosen)}


def pick(rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    """Keep some columns of rows, as tuples."""
    return [tuple(row[name] for name in names) for row in rows]
