"""What the sandbox says happened, against every row in the lake and in PostgreSQL: nothing lost, doubled or altered."""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from psycopg.rows import dict_row

from neople_timeline.lake import open_lake
from neople_timeline.settings import Settings

DayOfCharacter = tuple[date, str, str]
Event = tuple[date, str, str, str, int, str, str]
"""Day, server, character, minute, code, name, and the payload as JSON text (`null` where there is none)."""


class TruthRow(msgspec.Struct):
    code: int
    name: str
    date: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class TruthLine(TruthRow, rename="camel"):
    server_id: str = ""
    character_id: str = ""


class RawPage(msgspec.Struct):
    server_id: str
    character_id: str
    body: msgspec.Raw


class RawTimeline(msgspec.Struct):
    rows: list[TruthRow]


class RawBody(msgspec.Struct):
    timeline: RawTimeline


_truth = msgspec.json.Decoder(TruthLine, strict=False)
_pages = msgspec.json.Decoder(RawPage)
_bodies = msgspec.json.Decoder(RawBody, strict=False)


def read_truth(read: Any, days: Iterable[date]) -> Counter[Event]:
    """Ask the sandbox for the events of some game days."""
    events: Counter[Event] = Counter()
    for day in days:
        bounds = f"start={quote(f'{day} 06:00')}&end={quote(f'{day + timedelta(days=1)} 05:59')}"
        for line in read(f"truth?{bounds}").splitlines():
            row = _truth.decode(line)
            events[day, row.server_id, row.character_id, row.date, row.code, row.name, bytes(row.data).decode()] += 1
    return events


def read_raw(settings: Settings, days: Sequence[date]) -> Iterator[Event]:
    """Read the events of every answer in the lake that the ledger points to, for the days that it answers."""
    wanted: dict[str, set[DayOfCharacter]] = defaultdict(set)
    with psycopg.connect(settings.warehouse_url) as connection:
        statement = "SELECT raw_key, day, server_id, character_id FROM timeline.collection WHERE day = ANY(%s)"
        for key, *answered in connection.execute(statement, (list(days),)):
            wanted[key].add((answered[0], answered[1], answered[2]))
    wanted.pop(None, None)  # type: ignore[call-overload]
    lake = open_lake(settings)
    for key, answered_here in wanted.items():
        for line in zstandard.ZstdDecompressor().decompressobj().decompress(lake.get(key)).splitlines():
            page = _pages.decode(line)
            for row in _bodies.decode(page.body).timeline.rows:
                of = (name_day(row.date), page.server_id, page.character_id)
                if of in answered_here:
                    yield (*of, row.date, row.code, row.name, bytes(row.data).decode())


def name_day(minute: str) -> date:
    """Name the game day of a minute: it begins at six."""
    return (datetime.strptime(minute, "%Y-%m-%d %H:%M") - timedelta(hours=6)).date()  # noqa: DTZ007 - Korean clock


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
    """Assert that raw, Parquet and PostgreSQL hold the truth, but for the character-days that are owed or missing."""
    left_out = set(unless)
    expected = Counter({event: count for event, count in truth.items() if event[:3] not in left_out})
    in_lake = read_parquet(settings, "events", days)
    for where, found in (("raw", read_raw(settings, days)), ("Parquet", map(_as_event, in_lake))):
        texts = Counter(found)
        assert not expected - texts, f"lost in {where}: {list((expected - texts).items())[:3]}"
        assert not texts - expected, f"doubled, altered or too early in {where}: {list((texts - expected).items())[:3]}"
    stored = Counter(_freeze(row) for row in read_postgres(settings, "event", days))
    wanted = Counter(_freeze(row) for row in in_lake)
    assert not wanted - stored, f"lost in PostgreSQL: {list((wanted - stored).items())[:2]}"
    assert not stored - wanted, f"doubled or altered in PostgreSQL: {list((stored - wanted).items())[:2]}"
    characters = Counter(_freeze(row) for row in read_parquet(settings, "characters", days))
    assert characters == Counter(_freeze(row) for row in read_postgres(settings, "character", days))
    assert max(characters.values(), default=1) == 1


def assert_nothing_false(settings: Settings, truth: Counter[Event], days: Sequence[date]) -> None:
    """Assert that raw, Parquet and PostgreSQL each hold nothing but the truth, be it not all of it."""
    by_text = {"raw": read_raw(settings, days), "Parquet": map(_as_event, read_parquet(settings, "events", days))}
    for where, found in by_text.items():
        false = Counter(found) - truth
        assert not false, f"doubled or altered in {where}: {list(false.items())[:3]}"
    stored = Counter(map(_by_value, map(_as_event, read_postgres(settings, "event", days))))
    false = stored - Counter(map(_by_value, truth.elements()))
    assert not false, f"doubled or altered in PostgreSQL: {list(false.items())[:3]}"


def _by_value(event: Event) -> Any:
    return (*event[:6], _freeze_json(json.loads(event[6], parse_float=Decimal, parse_int=Decimal)))


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
