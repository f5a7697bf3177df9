"""Parts: all characters of a bucket on a day, from raw objects to Parquet objects to rows in PostgreSQL."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import psycopg
import pyarrow.parquet as pq

from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, part_key
from neople_timeline.models import Calendar, Shard
from neople_timeline.refine import Entry, PartWriter, cut_days, group_by_object, group_by_part
from neople_timeline.tables import TABLES, Table
from neople_timeline.warehouse import load
from neople_timeline.warehouse.load import Part

DAYS_AT_ONCE: Final = 30
"""Days of a long backfill whose parts are locked and written side by side; bounds locks and memory."""


def refine_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Write the Parquet objects of the parts of a shard whose raw answers or objects changed since; return these."""
    starts = range(0, len(shard.days), DAYS_AT_ONCE)
    pieces = (replace(shard, days=shard.days[start : start + DAYS_AT_ONCE]) for start in starts)
    return [part for piece in pieces for part in _refine_at_once(calendar, lake, connection, piece)]


def _refine_at_once(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    with load.hold_parts(connection, load.list_parts(connection, shard)):
        # Listed again: another run may have refined them while this one waited for it.
        drafts = [_look_at(lake, connection, part) for part in load.list_parts(connection, shard)]
        return _refine(calendar, lake, connection, [draft for draft in drafts if draft.is_stale])


def load_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Put the parts of a shard that PostgreSQL does not have in the place of what it has; return these."""
    waiting = [part for part in load.list_parts(connection, shard) if part.version not in (0, part.loaded_version)]
    for part in waiting:
        events, characters = (_read_part(lake, part, table) for table in TABLES)
        if events is None or characters is None:
            # Who rewrote it may have died before it could say so: nobody else would refine it anew.
            refine_parts(calendar, lake, connection, shard)
            raise RetryLater(f"{part.day} changed since it was refined, and is refined anew: load it again", seconds=1)
        if not load.replace_part(connection, part, events, characters):
            raise RetryLater(f"{part.day} is being refined by another run", seconds=5)
    return waiting


@dataclass(frozen=True)
class _Draft:
    """A part as it was found: its objects first and then its answers, so that no older answers replace newer ones."""

    part: Part
    etags: dict[str, str | None]
    entries: list[Entry]

    @property
    def is_stale(self) -> bool:
        part, recorded = self.part, {"events": self.part.events_etag, "characters": self.part.characters_etag}
        if not part.version:
            return bool(self.entries)
        return (digest_sources(self.entries), self.etags) != (part.sources, recorded)


def _look_at(lake: Lake, connection: psycopg.Connection, part: Part) -> _Draft:
    etags = {table.name: lake.etag(_key(part, table)) for table in TABLES}
    return _Draft(part, etags, load.read_entries(connection, part))


def _refine(calendar: Calendar, lake: Lake, connection: psycopg.Connection, drafts: Sequence[_Draft]) -> list[Part]:
    wanted = group_by_object(entry for draft in drafts for entry in draft.entries)
    writers = {(draft.part.day, draft.part.bucket): PartWriter() for draft in drafts}
    for raw_key in sorted(wanted):
        cut = cut_days(lake.get(raw_key), wanted[raw_key], calendar)
        for place, days in group_by_part(cut).items():
            writers[place].add(days)
    return [_write(lake, connection, draft, writers[draft.part.day, draft.part.bucket]) for draft in drafts]


def _write(lake: Lake, connection: psycopg.Connection, draft: _Draft, writer: PartWriter) -> Part:
    part = draft.part
    if writer.characters != len(draft.entries):
        raise DataError(
            f"{len(draft.entries) - writer.characters} character-days of {part.day} are not in the raw objects that "
            "the ledger names: collect the day again with `--again`"
        )
    files = writer.finish()
    etags = {
        table.name: lake.replace(_key(part, table), files[table.name], etag=draft.etags[table.name]) for table in TABLES
    }
    written = replace(
        part,
        sources=digest_sources(draft.entries),
        events_etag=etags["events"],
        characters_etag=etags["characters"],
        events=writer.events,
        characters=writer.characters,
    )
    load.record_part(connection, written)
    return written


def digest_sources(entries: Sequence[Entry]) -> str:
    """Digest what a part is made from: the tables' columns, its character-days, and where and what their answers are.

    So a part with fewer columns than a newer version of the program has is refined anew, without asking the API.
    """
    answers = (f"{'/'.join(entry.character)} {entry.raw_key} {entry.digest}" for entry in entries)
    text = "\n".join([*(str(table.schema) for table in TABLES), *answers])
    return hashlib.sha256(text.encode()).hexdigest()


def _key(part: Part, table: Table) -> str:
    return part_key(table.name, part.day, part.bucket, part.buckets)


def _read_part(lake: Lake, part: Part, table: Table) -> pq.ParquetFile | None:
    """Open a part's object, or give None if it is not the one that was recorded, or has other columns than today's."""
    found = lake.read(_key(part, table))
    if found is None or found.etag != getattr(part, f"{table.name}_etag"):
        return None
    file = pq.ParquetFile(io.BytesIO(found.data))
    return file if file.schema_arrow.equals(table.schema) else None
