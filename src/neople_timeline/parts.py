"""Parts: all characters of a bucket on a day, from raw objects to Parquet objects to rows in PostgreSQL."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import psycopg
import pyarrow.parquet as pq

from neople_timeline.digest import hash_bytes
from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, read_bucket
from neople_timeline.models import Calendar, CharacterKey, LedgerEntry, Shard, number_of
from neople_timeline.part_objects import object_key, open_recorded
from neople_timeline.raw import require_unchanged
from neople_timeline.refine import PartWriter, cut_days, group_by_object, group_by_part
from neople_timeline.salvage import salvage_gone
from neople_timeline.tables import TABLES, Table
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.parts import Part

DAYS_AT_ONCE: Final = 30
"""Days of a long backfill whose parts are locked and written side by side; bounds locks."""
ENTRIES_AT_ONCE: Final = 300_000
"""Character-days that are looked up in raw objects side by side; bounds memory."""

log = logging.getLogger(__name__)


def refine_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Write the Parquet objects of the parts of a shard whose raw answers or objects changed since; return these.

    A day whose raw answers are gone or damaged is left as it was, and keeps no other day from being published: the
    proof says what is wrong with it.
    """
    written: list[Part] = []
    for piece in cut_shard(connection, shard):
        try:
            written += _refine_at_once(calendar, lake, connection, piece)
        except DataError:
            for day in piece.days:
                try:
                    written += _refine_at_once(calendar, lake, connection, replace(piece, days=(day,)))
                except DataError as error:
                    log.error("%s stays as it was: %s", day, error)  # noqa: TRY400 - it is no defect of ours
    return written


def publish_days(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Iterable[date]) -> bool:
    """Refine and load whatever some days lack, one day after the other; return whether they lacked anything."""
    published: list[Part] = []
    for day in sorted(days):
        published += refine_parts(calendar, lake, connection, Shard.whole(day))
        published += load_parts(calendar, lake, connection, Shard.whole(day))
    return bool(published)


def mend_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> None:
    """Refine and load anew the days whose objects in the lake are gone, or are others than were recorded.

    Somebody deleted them, or a warehouse that was put back from a backup is older than the lake. Where the answers that
    they were made from are gone too, it is a DataError.
    """
    strange = _list_strange(lake, connection, days)
    if not strange:
        return
    damaged = sorted({part.day for part in strange})
    named = ", ".join(map(str, damaged))
    log.warning("The lake has other objects than were recorded, and they are refined and loaded anew: %s", named)
    publish_days(calendar, lake, connection, damaged)
    still = _list_strange(lake, connection, damaged)
    if not still:
        return
    part = still[0]
    if part not in strange:
        raise RetryLater(f"{part.day} is being refined by another run", seconds=5)
    raise DataError(
        f"Parquet of {part.day}, bucket {part.bucket}, is gone or another's, and so are answers that it was made"
        f" from: `neople-timeline day {part.day} --again` asks for them anew"
    )


def _list_strange(lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> list[Part]:
    """List the parts of which the lake does not have the objects that were recorded."""
    parts = list_refined(connection, days)
    found = lake.etags(object_key(part, table) for part in parts for table in TABLES)
    return [part for part in parts if any(found[object_key(part, table)] != part.etags[table.name] for table in TABLES)]


def cut_shard(connection: psycopg.Connection, shard: Shard) -> Iterator[Shard]:
    """Cut a shard of many days into such as fit into memory; a chain of answers covers many days, so few is better."""
    days: list[date] = []
    entries = 0
    for day, count in part_rows.count_entries(connection, shard):
        if days and (len(days) == DAYS_AT_ONCE or entries + count > ENTRIES_AT_ONCE):
            yield replace(shard, days=tuple(days))
            days, entries = [], 0
        days.append(day)
        entries += count
    if days:
        yield replace(shard, days=tuple(days))


def _refine_at_once(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    with part_rows.hold_parts(connection, part_rows.list_parts(connection, shard)):
        # Listed again: another run may have refined them while this one waited for it.
        drafts = [_look_at(lake, connection, part) for part in part_rows.list_parts(connection, shard)]
        _delete_strays(lake, shard, [draft.part for draft in drafts if draft.part.version or draft.entries])
        return _refine(calendar, lake, connection, [draft for draft in drafts if draft.is_stale])


def _delete_strays(lake: Lake, shard: Shard, parts: Sequence[Part]) -> None:
    """Delete the Parquet objects of a shard's buckets that are none of its parts: readers would count them too.

    A warehouse that was lost leaves them, where the roster has grown since and days are cut into more buckets.
    """
    buckets = {key: read_bucket(key) for key in list_strays(lake, shard.days, parts)}
    strays = [key for key, bucket in buckets.items() if bucket is not None and bucket % shard.of == shard.index]
    if strays:
        log.warning("No part of the ledger, and deleted: %s", ", ".join(strays))
        lake.delete(strays)


def list_strays(lake: Lake, days: Sequence[date], parts: Sequence[Part]) -> list[str]:
    """List the objects of some days, of both tables, that are none of the parts."""
    known = {object_key(part, table) for part in parts for table in TABLES}
    keys = (key for day in days for table in TABLES for key in lake.list_keys(f"{table.name}/day={day}"))
    return [key for key in keys if key not in known]


def list_objects(connection: psycopg.Connection, table: Table, days: Sequence[date]) -> list[str]:
    """List the objects of a table that hold the parts of some days; what else lies beside them is nobody's data."""
    return [object_key(part, table) for part in list_refined(connection, days)]


def list_refined(connection: psycopg.Connection, days: Sequence[date]) -> list[Part]:
    """List the parts of some days that have objects in the lake."""
    return [part for part in part_rows.list_parts(connection, Shard.whole(*days)) if part.version]


def load_parts(calendar: Calendar, lake: Lake, connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """Put the parts of a shard that PostgreSQL does not have in the place of what it has; return these.

    What is not in the lake as it was recorded, or has other columns than today's, is refined anew first. Where the
    answers that it was made from are gone too, it is left as it was: the proof says what is wrong with it.
    """
    loaded: list[Part] = []
    for part in _list_waiting(connection, shard):
        events, characters = (_open_loadable(lake, part, table) for table in TABLES)
        if events is None or characters is None:
            # Who rewrote it may have died before it could say so, or its bytes have changed: nobody else would notice.
            # What is loaded of its day by now is as it was recorded.
            left = [one for one in _list_waiting(connection, shard) if one.day == part.day]
            part_rows.forget_objects(connection, left)
            refined = refine_parts(calendar, lake, connection, shard)
            if refined or all(one.identity != part.identity for one in _list_waiting(connection, shard)):
                anew = f"{part.day} changed since it was refined, and is refined anew: load it again"
                raise RetryLater(anew, seconds=1)
            log.error("%s, bucket %s, stays as it was: its Parquet is gone, and answers too", part.day, part.bucket)
        elif part_rows.replace_part(connection, part, events, characters):
            loaded.append(part)
        else:
            raise RetryLater(f"{part.day} is being refined by another run", seconds=5)
    return loaded


def _list_waiting(connection: psycopg.Connection, shard: Shard) -> list[Part]:
    return [part for part in part_rows.list_parts(connection, shard) if part.version not in (0, part.loaded_version)]


def _open_loadable(lake: Lake, part: Part, table: Table) -> pq.ParquetFile | None:
    file = open_recorded(lake, part, table)
    return file if file and file.schema_arrow.equals(table.schema) else None


@dataclass(frozen=True)
class _Draft:
    """A part as it was found: its objects first and then its answers, so that no older answers replace newer ones."""

    part: Part
    etags: dict[str, str | None]
    entries: list[LedgerEntry]

    @property
    def is_stale(self) -> bool:
        if not self.part.version:
            return bool(self.entries)
        return (digest_sources(self.entries), self.etags) != (self.part.sources, self.part.etags)


def _look_at(lake: Lake, connection: psycopg.Connection, part: Part) -> _Draft:
    etags = {table.name: lake.etag(object_key(part, table)) for table in TABLES}
    return _Draft(part, etags, part_rows.read_entries(connection, part))


def _refine(calendar: Calendar, lake: Lake, connection: psycopg.Connection, drafts: Sequence[_Draft]) -> list[Part]:
    wanted = group_by_object(entry for draft in drafts for entry in draft.entries)
    writers = {(draft.part.day, draft.part.bucket): PartWriter() for draft in drafts}
    for raw_key in sorted(wanted):
        cut = cut_days(_read_raw(calendar, lake, connection, raw_key, wanted[raw_key]), wanted[raw_key], calendar)
        for place, days in group_by_part(cut).items():
            writers[place].add(days)
    return [_write(lake, connection, draft, writers[draft.part.day, draft.part.bucket]) for draft in drafts]


def _read_raw(
    calendar: Calendar,
    lake: Lake,
    connection: psycopg.Connection,
    raw_key: str,
    wanted: Mapping[CharacterKey, Sequence[LedgerEntry]],
) -> bytes:
    """Read a raw object; of one that is gone, what Parquet has of it is salvaged."""
    try:
        data = lake.get(raw_key)
    except DataError:
        days = sorted({entry.day for entries in wanted.values() for entry in entries})
        if salvaged := salvage_gone(calendar, lake, connection, days):
            saved = number_of(salvaged.total(), "answer")
            raise RetryLater(f"{raw_key} is gone, and {saved} salvaged from Parquet: refine again", seconds=1) from None
        raise
    return require_unchanged(raw_key, data)


def _write(lake: Lake, connection: psycopg.Connection, draft: _Draft, writer: PartWriter) -> Part:
    part = draft.part
    if writer.characters != len(draft.entries):
        raise DataError(
            f"{number_of(len(draft.entries) - writer.characters, 'character-day')} of {part.day} not in the raw objects"
            " that the ledger names: collect the day again with `--again`"
        )
    files = writer.finish()
    etags = {
        table.name: lake.replace(object_key(part, table), files[table.name], etag=draft.etags[table.name])
        for table in TABLES
    }
    written = replace(
        part,
        sources=digest_sources(draft.entries),
        etags=etags,
        hashes={table.name: hash_bytes(files[table.name]) for table in TABLES},
        events=writer.events,
        characters=writer.characters,
    )
    part_rows.record_part(connection, written)
    return written


def digest_sources(entries: Sequence[LedgerEntry]) -> str:
    """Digest what a part is made from: the tables' columns, its character-days, and where and what their answers are.

    So a part with fewer columns than a newer version of the program has, or with columns that were read from other
    fields, is refined anew, without asking the API.
    """
    answers = (f"{'/'.join(entry.character)} {entry.raw_key} {entry.digest}" for entry in entries)
    columns = (f"{column.name} {column.arrow} {column.source}" for table in TABLES for column in table.columns)
    text = "\n".join([*columns, *answers])
    return hashlib.sha256(text.encode()).hexdigest()
