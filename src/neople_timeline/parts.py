"""Parts: all characters of a bucket on a day, from raw objects to Parquet objects to rows in PostgreSQL."""

import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import psycopg
import pyarrow.parquet as pq

from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, part_key
from neople_timeline.models import Calendar, Shard
from neople_timeline.refine import Entry, PartWriter, cut_days, group_by_part
from neople_timeline.warehouse import load
from neople_timeline.warehouse.load import Part


def refine_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Write the Parquet objects of the parts of a shard whose raw answers or objects changed since; return these."""
    parts = load.list_parts(connection, shard)
    with load.hold_parts(connection, parts):
        stale = [part for part in parts if _is_stale(lake, connection, part)]
        return _refine(calendar, lake, connection, stale)


def load_parts(lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Put the parts of a shard that PostgreSQL does not have in the place of what it has; return these."""
    waiting = [part for part in load.list_parts(connection, shard) if part.version not in (0, part.loaded_version)]
    for part in waiting:
        events, characters = (_read_part(lake, part, table) for table in ("events", "characters"))
        if not load.replace_part(connection, part, events, characters):
            raise RetryLater(f"{part.day} is being refined by another run", seconds=5)
    return waiting


def _is_stale(lake: Lake, connection: psycopg.Connection, part: Part) -> bool:
    sources = digest_sources(load.read_entries(connection, part))
    if part.version and sources == part.sources:
        keys = {name: part_key(name, part.day, part.bucket, part.buckets) for name in ("events", "characters")}
        return (lake.etag(keys["events"]), lake.etag(keys["characters"])) != (part.events_etag, part.characters_etag)
    return bool(part.version or sources != digest_sources([]))


def _refine(calendar: Calendar, lake: Lake, connection: psycopg.Connection, parts: Sequence[Part]) -> list[Part]:
    entries = {(part.day, part.bucket): load.read_entries(connection, part) for part in parts}
    wanted: dict[str, dict[tuple[str, str], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in (entry for found in entries.values() for entry in found):
        wanted[entry.raw_key][entry.character].append(entry)
    writers = {place: PartWriter() for place in entries}
    for raw_key in sorted(wanted):
        cut = cut_days(lake.get(raw_key), wanted[raw_key], calendar)
        for place, days in group_by_part(cut).items():
            writers[place].add(days)
    return [
        _write_part(lake, connection, part, writers[part.day, part.bucket], entries[part.day, part.bucket])
        for part in parts
    ]


def _write_part(
    lake: Lake, connection: psycopg.Connection, part: Part, writer: PartWriter, entries: list[Entry]
) -> Part:
    if writer.characters != len(entries):
        raise DataError(
            f"{len(entries) - writer.characters} character-days of {part.day} are not in the raw objects that the "
            "ledger names: collect the day again with `--again`"
        )
    etags = {}
    for table, data in writer.finish().items():
        key = part_key(table, part.day, part.bucket, part.buckets)
        etags[table] = lake.replace(key, data, etag=lake.etag(key))
    written = replace(
        part,
        sources=digest_sources(entries),
        events_etag=etags["events"],
        characters_etag=etags["characters"],
        events=writer.events,
        characters=writer.characters,
    )
    load.record_part(connection, written)
    return written


def digest_sources(entries: Sequence[Entry]) -> str:
    """Digest what a part is made from: its character-days, and where and what their answers are."""
    text = "\n".join(f"{'/'.join(entry.character)} {entry.raw_key} {entry.digest}" for entry in entries)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_part(lake: Lake, part: Part, table: str) -> pq.ParquetFile:
    key = part_key(table, part.day, part.bucket, part.buckets)
    found = lake.read(key)
    if found is None or found.etag != getattr(part, f"{table}_etag"):
        raise RetryLater(f"{lake.describe(key)} changed since it was refined: it will be refined anew", seconds=5)
    return pq.ParquetFile(io.BytesIO(found.data))
