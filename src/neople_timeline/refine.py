"""Raw answers → Arrow tables, without any I/O.

Payload fields that people ask about become typed columns; the whole payload stays beside them as it came. A field of
an unexpected type leaves its typed column empty and costs nothing else. Unknown codes and fields are kept.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from neople_timeline.digest import NO_DATA, digest_hashes
from neople_timeline.errors import DataError
from neople_timeline.models import Calendar, CharacterKey, LedgerEntry, number_of, to_instant
from neople_timeline.neople.protocol import Answer, Int32, Row, decode_field, decode_fields, hash_rows
from neople_timeline.raw import read_chains
from neople_timeline.tables import CHARACTERS, EVENTS, PAYLOAD_COLUMNS

CHARACTER_DAYS_AT_ONCE: Final = 100
"""Character-days made into Arrow columns at once: what fits the processor's cache takes half the time."""
ROWS_AT_ONCE: Final = 20_000
"""Rows in a row group of Parquet, about: each costs its readers a little, however few rows there are in it."""
PYTHON_TYPES: Final = {pa.string(): str, pa.int32(): Int32, pa.bool_(): bool}


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """The ticket of an attempt that jumps levels; one whose name cannot be read is a ticket all the same."""

    itemName: str = ""  # noqa: N815 - the API's spelling


class NoTicket(msgspec.Struct, frozen=True, gc=False):
    """What an attempt without a ticket has in its place."""

    itemName: None = None  # noqa: N815


_FIELDS: Final = {column.source: PYTHON_TYPES[column.arrow] for column in PAYLOAD_COLUMNS if "." not in column.source}
Payload = msgspec.defstruct(
    "Payload",
    [*((name, cast("type", kind | None), None) for name, kind in _FIELDS.items()), ("ticket", Ticket, NoTicket())],
    frozen=True,
    gc=False,
)
_EMPTY: Final = Payload()
_payloads = msgspec.json.Decoder(Payload, strict=False)


@dataclass(frozen=True)
class CharacterDay:
    """A character's events of one day, and the character as it was when they were fetched."""

    entry: LedgerEntry
    answer: Answer
    rows: list[Row]
    collected_at: datetime
    """When the API had answered."""


def group_by_object(entries: Iterable[LedgerEntry]) -> dict[str, dict[CharacterKey, list[LedgerEntry]]]:
    """Sort character-days by the raw object that holds them, and there by character."""
    objects: dict[str, dict[CharacterKey, list[LedgerEntry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        objects[entry.raw_key][entry.character].append(entry)
    return objects


def find_days(
    data: bytes, wanted: Mapping[CharacterKey, Sequence[LedgerEntry]], calendar: Calendar
) -> Iterator[CharacterDay]:
    """Find in a raw object the character-days that the ledger expects from it, whatever they turn out to hold."""
    for line, answers in read_chains(data):
        rows = [row for answer in answers for row in answer.timeline.rows]
        by_day: dict[date, list[Row]] | None = None
        for entry in wanted.get(CharacterKey(line.server_id, line.character_id), ()):
            window = calendar.window(entry.day, entry.day)
            if (line.start, line.end) == (window.start, window.end):
                yield CharacterDay(entry, answers[0], rows, line.fetched_at)
            elif line.start <= window.start <= window.end <= line.end:
                by_day = by_day or _group_by_day(rows, calendar)
                yield CharacterDay(entry, answers[0], by_day.get(entry.day, []), line.fetched_at)


def _group_by_day(rows: Iterable[Row], calendar: Calendar) -> dict[date, list[Row]]:
    days: dict[date, list[Row]] = defaultdict(list)
    try:
        for row in rows:
            days[calendar.day_of(row.date)].append(row)
    except ValueError as error:
        raise DataError(f"a raw object is damaged ({error}): collect its days again with `--again`") from None
    return days


def cut_days(
    data: bytes, wanted: Mapping[CharacterKey, Sequence[LedgerEntry]], calendar: Calendar
) -> Iterator[CharacterDay]:
    """Cut the chains of a raw object into the character-days that the ledger expects from it, their rows in order.

    One that has other events than the ledger says were sent is a DataError: no Parquet is made of it.
    """
    for held in find_days(data, wanted, calendar):
        entry = held.entry
        digest = digest_hashes(hash_rows(held.rows))
        if (len(held.rows), digest) != (entry.events, entry.digest):
            found = number_of(len(held.rows), "event")
            raise DataError(
                f"{entry.raw_key} has other events of {'/'.join(entry.character)} on {entry.day} than were sent"
                f" ({found}, {entry.events:,} were sent): collect the day again with `--again`"
            )
        yield replace(held, rows=sorted(held.rows, key=_order))


def _order(row: Row) -> tuple[str, int, bytes, str]:
    return row.date, row.code, bytes(row.data), row.name


class PartWriter:
    """Gathers character-days of one day and bucket into two Parquet files in memory, some thousand events at a time."""

    def __init__(self) -> None:
        self.events = 0
        self.characters = 0
        self._files = {table.name: io.BytesIO() for table in (EVENTS, CHARACTERS)}
        self._writers = {
            table.name: _open_writer(self._files[table.name], table.schema) for table in (EVENTS, CHARACTERS)
        }

    def add(self, days: list[CharacterDay]) -> None:
        """Append character-days."""
        self.characters += len(days)
        self.events += sum(len(day.rows) for day in days)
        pieces = [
            make_events(days[start : start + CHARACTER_DAYS_AT_ONCE])
            for start in range(0, len(days), CHARACTER_DAYS_AT_ONCE)
        ]
        self._writers["events"].write_table(pa.concat_tables(pieces))
        self._writers["characters"].write_table(make_characters(days))

    def finish(self) -> dict[str, bytes]:
        """Give the bytes of both files by table."""
        for writer in self._writers.values():
            writer.close()
        return {name: _merge_row_groups(file.getvalue()) for name, file in self._files.items()}


def _open_writer(file: io.BytesIO, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=3)


def _merge_row_groups(data: bytes) -> bytes:
    """Make few row groups of many: chains over many days bring little for each of them at a time."""
    source, target = pq.ParquetFile(io.BytesIO(data)), io.BytesIO()
    groups, rows = source.num_row_groups, source.metadata.num_rows
    at_once = groups * ROWS_AT_ONCE // max(rows, 1)
    if groups < 2 or at_once < 2:
        return data
    with _open_writer(target, source.schema_arrow) as writer:
        for first in range(0, groups, at_once):
            writer.write_table(source.read_row_groups([*range(first, min(first + at_once, groups))]))
    return target.getvalue()


def make_events(days: list[CharacterDay]) -> pa.Table:
    """Build `events`: one row per event, in the order of `days`, then by minute."""
    rows = [row for day in days for row in day.rows]
    texts = [bytes(row.data) for row in rows]
    minutes = [row.date for row in rows]
    columns: dict[str, Any] = {
        **_repeat_keys(days),
        "occurred_at": [_to_microseconds(minute) for minute in minutes],
        "occurred_minute": minutes,
        "ordinal": [ordinal for day in days for ordinal in _number(day.rows)],
        "code": [row.code for row in rows],
        "name": [row.name for row in rows],
        **_read_payloads(texts),
        "data": _read_texts([None if text == NO_DATA else text for text in texts]),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in EVENTS.schema], schema=EVENTS.schema)


def make_characters(days: list[CharacterDay]) -> pa.Table:
    """Build `characters`: one row per character-day, in the order of `days`."""
    answers = [day.answer for day in days]
    columns: dict[str, Any] = {
        "day": [day.entry.day for day in days],
        "server_id": [day.entry.character.server_id for day in days],
        "character_id": [day.entry.character.character_id for day in days],
        "collected_at": [day.collected_at.astimezone(UTC) for day in days],
        "events": [day.entry.events for day in days],
        "digest": [day.entry.digest for day in days],
    }
    for field in CHARACTERS.schema:
        if field.name not in columns:
            columns[field.name] = list(map(attrgetter(field.name), answers))
    return pa.table(
        [pa.array(columns[field.name], field.type) for field in CHARACTERS.schema], schema=CHARACTERS.schema
    )


def group_by_part(days: Iterable[CharacterDay]) -> dict[tuple[date, int], list[CharacterDay]]:
    """Sort character-days into the parts they belong to, each by server and character."""
    parts: dict[tuple[date, int], list[CharacterDay]] = defaultdict(list)
    for day in days:
        parts[day.entry.day, day.entry.bucket].append(day)
    return {part: sorted(found, key=lambda day: day.entry.character) for part, found in parts.items()}


def _repeat_keys(days: list[CharacterDay]) -> dict[str, Any]:
    # Not with `take`: pyarrow.compute alone takes a third of a second to import.
    def repeat(name: str, kind: Any) -> Any:
        values = map(attrgetter(name), days)
        rows = [len(day.rows) for day in days]
        return pa.concat_arrays(
            [pa.repeat(pa.scalar(one, kind), count) for one, count in zip(values, rows, strict=True)]
        )

    return {
        "day": repeat("entry.day", pa.date32()),
        "server_id": repeat("entry.character.server_id", pa.string()),
        "character_id": repeat("entry.character.character_id", pa.string()),
    }


def _read_texts(texts: list[bytes | None]) -> "pa.Array[Any]":
    """Take bytes for the text they are; Arrow looks at all together in a third of the time that Python takes."""
    array = pa.array(texts, pa.binary()).view(pa.string())
    array.validate(full=True)
    return array


def _number(rows: list[Row]) -> Iterator[int]:
    """Count the events of each minute from 0."""
    minute, ordinal = "", 0
    for row in rows:
        ordinal = ordinal + 1 if row.date == minute else 0
        minute = row.date
        yield ordinal


@lru_cache(maxsize=100_000)
def _to_microseconds(minute: str) -> int:
    return int(to_instant(minute).timestamp()) * 1_000_000


def _read_payloads(texts: list[bytes]) -> dict[str, Any]:
    """Read the typed columns of payloads, by name."""
    payloads = list(map(_read_payload, texts))
    return {column.name: list(map(attrgetter(column.source), payloads)) for column in PAYLOAD_COLUMNS}


def _read_payload(data: bytes) -> Any:
    if data == NO_DATA:
        return _EMPTY
    try:
        return _payloads.decode(data)
    except msgspec.ValidationError:
        return _read_retyped(data)


def _read_retyped(data: bytes) -> Any:
    """Read field by field a payload in which some have types of their own; those that make no sense stay empty."""
    try:
        values = decode_fields(data)
    except msgspec.ValidationError:
        return _EMPTY
    fields = {name: decode_field(values.get(name), kind) for name, kind in _FIELDS.items()}
    return Payload(**fields, ticket=_read_ticket(values.get("ticket")))


def _read_ticket(value: msgspec.Raw | None) -> Ticket | NoTicket:
    if value is None or bytes(value) == NO_DATA:
        return NoTicket()
    return cast("Ticket", decode_field(value, Ticket) or Ticket())
