"""Answers whose raw object is gone or damaged, written anew from the Parquet that was made of them.

Parquet has every event as it was sent, and the ledger the digest of what was sent: what agrees with it is the answer,
page breaks and fields that no column holds apart. The API may not have it any more, as of a character that was deleted.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any

import msgspec
import psycopg

from neople_timeline.digest import NO_DATA, digest_hashes
from neople_timeline.errors import DataError
from neople_timeline.lake import Lake, raw_prefix
from neople_timeline.models import CLOCKS_DIFFER, Calendar, CharacterKey, LedgerEntry, Shard, Window, number_of
from neople_timeline.neople.protocol import ABOUT_CHARACTER, Answer, Page, Row, hash_rows
from neople_timeline.part_objects import open_recorded
from neople_timeline.raw import RawWriter, name_raw, require_unchanged
from neople_timeline.refine import ROWS_AT_ONCE
from neople_timeline.tables import CHARACTERS, EVENTS, Table
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.parts import Part

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


def salvage_gone(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> Counter[date]:
    """Write anew the answers of some days whose objects are gone; count by day of how many it could be done."""
    found = lake.etags(part_rows.list_raw_keys(connection, days))
    return salvage_answers(calendar, lake, connection, days, {key for key, etag in found.items() if etag is None})


def forget_lost(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> None:
    """Forget the answers of some days, all of which are asked for anew, that are gone or damaged and nobody has else.

    They would keep their days from being published where the API has forgotten the character too.
    """
    lost = {key for key in part_rows.list_raw_keys(connection, days) if not _is_whole(lake, key)}
    salvage_answers(calendar, lake, connection, days, lost)
    if forgotten := part_rows.forget_answers(connection, days, list(lost)):
        log.warning("%s are lost, and forgotten", number_of(forgotten, "earlier answer"))


def _is_whole(lake: Lake, raw_key: str) -> bool:
    try:
        require_unchanged(raw_key, lake.get(raw_key))
    except DataError:
        return False
    return True


def salvage_answers(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date], lost_keys: Collection[str]
) -> Counter[date]:
    """Write anew the answers of some days that some objects held; count by day of how many it could be done.

    The ledger then points to the new objects. Of the others, no Parquet has what was sent: they stay as they were.
    """
    saved: Counter[date] = Counter()
    for part in part_rows.list_parts(connection, Shard.whole(*days)) if lost_keys else ():
        lost = [entry for entry in part_rows.read_entries(connection, part) if entry.raw_key in lost_keys]
        if lost and (count := _salvage_part(calendar, lake, connection, part, lost)):
            saved[part.day] += count
    return saved


def _salvage_part(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, part: Part, lost: Sequence[LedgerEntry]
) -> int:
    writer, saved = RawWriter(), []
    for entry, answer, fetched_at in _read_answers(calendar, lake, connection, part, lost):
        writer.write(entry.character, calendar.window(part.day, part.day), fetched_at, [_encode(answer)])
        saved.append(entry)
    if not saved:
        return 0
    data = writer.seal()
    key = name_raw(raw_prefix(part.day), f"salvaged-{secrets.token_hex(4)}", data)
    lake.put_new(key, data)
    log.warning("%s of %s were lost, and are salvaged from Parquet", number_of(len(saved), "answer"), part.day)
    return part_rows.point_to_salvaged(connection, part, key, saved)


def _read_answers(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, part: Part, lost: Sequence[LedgerEntry]
) -> Iterator[tuple[LedgerEntry, Answer, datetime]]:
    """Read from a part's Parquet what agrees with the ledger, and when it was fetched; no answer of before it asked."""
    window = calendar.window(part.day, part.day)
    asked_at = part_rows.read_asked_at(connection, part)
    wanted = {entry.character: entry for entry in lost}
    characters = {key: row for row in _read_rows(lake, part, CHARACTERS) if (key := _key(row)) in wanted}
    for key, rows in _read_events(lake, part, characters):
        entry = wanted[key]
        digest = digest_hashes(hash_rows(rows))
        fetched_at = characters[key]["collected_at"]
        if (len(rows), digest) == (entry.events, entry.digest) and fetched_at >= asked_at[key] - CLOCKS_DIFFER:
            yield entry, _make_answer(entry, characters[key], rows, window), fetched_at


def _read_events(
    lake: Lake, part: Part, characters: Collection[CharacterKey]
) -> Iterator[tuple[CharacterKey, list[Row]]]:
    """Read the events of some characters, each of whom has theirs in a row; who has none comes last."""
    quiet = set(characters)
    for key, rows in groupby(_read_rows(lake, part, EVENTS), _key):
        if key in quiet:
            quiet.remove(key)
            yield key, [_make_row(row) for row in rows]
    yield from ((key, []) for key in sorted(quiet))


def _make_row(row: dict[str, Any]) -> Row:
    data = NO_DATA if row["data"] is None else row["data"].encode()
    return Row(row["code"], row["name"], row["occurred_minute"], msgspec.Raw(data))


def _make_answer(entry: LedgerEntry, character: dict[str, Any], rows: list[Row], window: Window) -> Answer:
    page = Page(rows, date={"start": window.start, "end": window.end})
    about = {field.name: character.get(field.name) for field in ABOUT_CHARACTER}  # an older version had fewer
    return Answer(entry.character.character_id, page, **about)


def _read_rows(lake: Lake, part: Part, table: Table) -> Iterator[dict[str, Any]]:
    """Read the rows of a part's object; none of one that is not as it was recorded."""
    if file := open_recorded(lake, part, table):
        for batch in file.iter_batches(ROWS_AT_ONCE):
            yield from batch.to_pylist()


def _key(row: dict[str, Any]) -> CharacterKey:
    return CharacterKey(row["server_id"], row["character_id"])
