"""What the sandbox says happened, against every row in the lake and in PostgreSQL: nothing lost, doubled or altered."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg.rows import dict_row

from neople_timeline.lake import open_lake
from neople_timeline.settings import Settings

DayOfCharacter = tuple[date, str, str]
Event = tuple[date, str, str, str, int, str, str]
"""Day, server, character, minute, code, name, and the payload as JSON text (`null` where there is none)."""


class TruthLine(msgspec.Struct, rename="camel"):
    server_id: str
    character_id: str
    code: int
    name: str
    date: str
    data: msgspec.Raw


_truth = msgspec.json.Decoder(TruthLine, strict=False)


def read_truth(read: Any, days: Iterable[date]) -> Counter[Event]:
    """Ask the sandbox for the events of some game days."""
    events: Counter[Event] = Counter()
    for day in days:
        bounds = f"start={quote(f'{day} 06:00')}&end={quote(f'{day + timedelta(days=1)} 05:59')}"
        for line in read(f"truth?{bounds}").splitlines():
            row = _truth.decode(line)
            events[day, row.server_id, row.character_id, row.date, row.code, row.name, bytes(row.data).decode()] += 1
    return events


def read_parquet(settings: Settings, table: str, days: Sequence[date]) -> list[dict[str, Any]]:
    """Read every row of every object that the lake holds of some days."""
    lake = open_lake(settings)
    keys = [key for day in days for key in lake.list_keys(f"{table}/day={day}")]
    tables = [pq.read_table(io.BytesIO(lake.get(key))) for key in keys]
    return pa.concat_tables(tables).to_pylist() if tables else []


def read_postgres(settings: Settings, table: str, days: Sequence[date]) -> list[dict[str, Any]]:
    """Read every row of a table of some days; payloads as text, so that no number is read as a float."""
    data = ", data::text AS data" if table == "event" else ""
    statement = f"SELECT *{data} FROM timeline.{table} WHERE day = ANY(%s)"
    with psycopg.connect(settings.warehouse_url, row_factory=dict_row) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute(statement.encode(), (list(days),)).fetchall()


def compare(
    settings: Settings, truth: Counter[Event], days: Sequence[date], unless: Iterable[DayOfCharacter] = ()
) -> None:
    """Assert that Parquet and PostgreSQL hold the truth, but for the character-days that are owed or missing."""
    left_out = set(unless)
    expected = Counter({event: count for event, count in truth.items() if event[:3] not in left_out})
    in_lake = read_parquet(settings, "events", days)
    texts = Counter(_as_event(row) for row in in_lake)
    assert not expected - texts, f"lost in the lake: {list((expected - texts).items())[:3]}"
    assert not texts - expected, f"doubled, altered or too early in the lake: {list((texts - expected).items())[:3]}"
    stored = Counter(_freeze(row) for row in read_postgres(settings, "event", days))
    wanted = Counter(_freeze(row) for row in in_lake)
    assert not wanted - stored, f"lost in PostgreSQL: {list((wanted - stored).items())[:2]}"
    assert not stored - wanted, f"doubled or altered in PostgreSQL: {list((stored - wanted).items())[:2]}"
    characters = Counter(_freeze(row) for row in read_parquet(settings, "characters", days))
    assert characters == Counter(_freeze(row) for row in read_postgres(settings, "character", days))
    assert max(characters.values(), default=1) == 1


def _as_event(row: dict[str, Any]) -> Event:
    keys = row["day"], row["server_id"], row["character_id"], row["occurred_minute"], row["code"], row["name"]
    return (*keys, row["data"] or "null")


def _freeze(row: dict[str, Any]) -> Any:
    """Make a row hashable, its payload by value: PostgreSQL keeps values, not their spelling."""
    return tuple(
        (name, _freeze_json(json.loads(value or "null", parse_float=Decimal, parse_int=Decimal)))
        if name == "data"
        else (name, value)
        for name, value in sorted(row.items())
    )


def _freeze_json(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((name, _freeze_json(one)) for name, one in value.items())
    if isinstance(value, list):
        return tuple(map(_freeze_json, value))
    return (type(value).__name__, value)


def list_debts(settings: Settings) -> dict[DayOfCharacter, str]:
    """Read from the ledger what is owed or missing, with the reason."""
    with psycopg.connect(settings.warehouse_url) as connection:
        rows = connection.execute(
            "SELECT day, server_id, character_id, state, coalesce(reason, '') FROM timeline.collection"
            " WHERE state NOT IN ('landed', 'loaded', 'verified')"
        )
        return {(day, server, character): f"{state}: {reason}" for day, server, character, state, reason in rows}
