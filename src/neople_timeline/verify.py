"""Whether the ledger, the raw answers, Parquet and PostgreSQL hold the same events, character-day by character-day."""

import io
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from neople_timeline.checks import (
    Disagreement,
    EventText,
    Tallies,
    Tally,
    compare_characters,
    compare_tallies,
    spell_derived,
    tally_events,
)
from neople_timeline.digest import digest_hashes, hash_bytes
from neople_timeline.errors import DataError, RetryLater
from neople_timeline.lake import Lake, dead_prefix, raw_prefix, read_bucket
from neople_timeline.models import MOST_BUCKETS, Calendar, CharacterKey, LedgerEntry, Shard, number_of
from neople_timeline.neople.protocol import hash_rows
from neople_timeline.part_objects import object_key
from neople_timeline.parts import cut_shard, digest_sources, list_refined, list_strays, publish_days
from neople_timeline.raw import require_unchanged
from neople_timeline.refine import find_days, group_by_object
from neople_timeline.salvage import salvage_answers, salvage_gone
from neople_timeline.tables import CHARACTERS, EVENTS, TABLES, Table
from neople_timeline.warehouse import audit
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.audit import Owed
from neople_timeline.warehouse.parts import Part
from neople_timeline.warehouse.state import is_provisional

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verification:
    """Whether the ledger, the raw answers, Parquet and PostgreSQL hold the same events of some days."""

    days: tuple[date, ...]
    checked: int
    """Character-days compared."""
    events: int
    disagreements: tuple[Disagreement, ...]
    unfinished: tuple[date, ...]
    """Days of which something is not published yet as it landed, or that changed while they were compared."""
    owed: tuple[Owed, ...]
    missing: int
    uncollected: tuple[date, ...]
    """Days of which the ledger knows nothing."""
    provisional: tuple[date, ...]
    """Days of which something was asked for before they were over, so that it has to be asked for again."""
    orphans: tuple[str, ...]
    """Objects with answers that were never committed; they are listed and never read."""

    @property
    def ok(self) -> bool:
        """Say whether all holders agree; debts are listed, not disagreed upon."""
        return not self.disagreements

    def is_final(self, day: date) -> bool:
        """Say whether a day disagrees in a way that no run which is still at work could be the reason for."""
        return any(finding.is_final for finding in self.disagreements if finding.day == day)

    def require_agreement(self) -> None:
        """Raise DataError, naming the first disagreements, if there are any."""
        if self.disagreements:
            shown = "; ".join(str(finding) for finding in self.disagreements[:10])
            raise DataError(f"{number_of(len(self.disagreements), 'disagreement')}, ten shown at most: {shown}")


def verify_days(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> Verification:
    """Compare all holders of some days, and note in the ledger what is proven.

    Only two looks at the same rows can disagree: a day that changes meanwhile is unfinished, whatever else there is.
    """
    known = audit.list_known_days(connection, days)
    before = {one.day: one.changes for one in audit.read_marks(connection, known)}
    checked, events, missing = audit.count_holdings(connection, known)
    findings = _compare(calendar, lake, connection, known)
    changed = {one.day for one in audit.read_marks(connection, known) if one.changes != before[one.day]}
    pending = {finding.day for finding in findings if finding.is_pending}
    return Verification(
        days=tuple(days),
        checked=checked,
        events=events,
        disagreements=tuple(one for one in findings if one.is_final or not (one.is_pending or one.day in changed)),
        unfinished=tuple(sorted(changed | pending)),
        owed=tuple(owed for day in known for owed in audit.list_owed(connection, day, day)),
        missing=missing,
        uncollected=tuple(day for day in days if day not in known),
        provisional=tuple(day for day in known if is_provisional(connection, day, calendar.over_at(day))),
        orphans=tuple(key for day in known for key in _list_orphans(lake, connection, day)),
    )


def prove_days(calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> Verification:
    """Verify the days of a run, while others may land, refine and load rows of them.

    Answers whose objects are gone or damaged are salvaged, what somebody left half done is loaded, and what differs is
    mended from what it was made of, then compared once more. RetryLater while another run is at work on any of them.
    """
    salvaged = salvage_gone(calendar, lake, connection, days)
    half_done = {one.day for one in audit.read_marks(connection, days) if not one.is_settled}
    publish_days(calendar, lake, connection, {*salvaged, *half_done})
    found = verify_days(calendar, lake, connection, days)
    damaged = {finding.raw_key for finding in found.disagreements if finding.raw_key}
    salvage_answers(calendar, lake, connection, days, damaged)
    disputed = sorted({finding.day for finding in found.disagreements})
    if disputed:
        log.warning("What differs is made anew: %s", "; ".join(map(str, found.disagreements[:10])))
        part_rows.forget_objects(connection, list_refined(connection, disputed))
    is_published = publish_days(calendar, lake, connection, {*disputed, *found.unfinished})
    if is_published or disputed:  # another run may have mended it meanwhile
        found = verify_days(calendar, lake, connection, days)
    if at_work := [day for day in found.unfinished if not found.is_final(day)]:
        raise RetryLater(f"{at_work[0]} changed while it was compared: another run is at work on it", seconds=10)
    return found


def _list_orphans(lake: Lake, connection: psycopg.Connection, day: date) -> list[str]:
    return audit.list_orphans(connection, day, [*lake.list_keys(raw_prefix(day)), *lake.list_keys(dead_prefix(day))])


def _compare(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, days: Sequence[date]
) -> list[Disagreement]:
    """Compare bucket by bucket, many days at once: a chain of answers that covers them all is read once."""
    findings: dict[date, list[Disagreement]] = {day: [] for day in days}
    for bucket in range(MOST_BUCKETS):
        for piece in cut_shard(connection, Shard(tuple(days), bucket, MOST_BUCKETS)):
            for finding in _verify_parts(calendar, lake, connection, part_rows.list_parts(connection, piece)):
                findings[finding.day].append(finding)
    for day in days:
        findings[day] += _find_strays(lake, connection, day)
        if findings[day]:
            audit.forget_proof(connection, day)
        else:
            audit.mark_day_verified(connection, day, calendar.over_at(day))
    return [finding for day in days for finding in findings[day]]


def _find_strays(lake: Lake, connection: psycopg.Connection, day: date) -> Iterator[Disagreement]:
    for table in TABLES:
        if strays := audit.count_strays(connection, table, day):
            rows = f"{number_of(strays, 'row')} in timeline.{table.warehouse_name}"
            finding = f"has {rows} that the ledger does not know: to be deleted"
            yield Disagreement(day, None, "PostgreSQL", finding)
    for key in list_strays(lake, [day], list_refined(connection, [day])):
        if key.endswith(".parquet"):
            mend = "move it elsewhere" if read_bucket(key) is None else _mend(day)
            yield Disagreement(day, None, "the lake", f"has {key}, which the ledger does not know: {mend}")


def _verify_parts(
    calendar: Calendar, lake: Lake, connection: psycopg.Connection, parts: Sequence[Part]
) -> Iterator[Disagreement]:
    found = [(part, part_rows.read_entries(connection, part)) for part in parts]
    raw, damaged = _tally_raw(calendar, lake, [entry for _, entries in found for entry in entries])
    for part, entries in found:
        damage = [
            Disagreement(part.day, None, f"bucket {part.bucket}", f"{error}", is_final=True, raw_key=raw_key)
            for raw_key, error in damaged.items()
            if any(entry.raw_key == raw_key for entry in entries)
        ]
        if part.loaded_version != part.version or part.sources != digest_sources(entries):
            yield from _find_why_not_published(part, entries, raw[part.day], damage)
        elif damage:
            yield from (replace(finding, finding=f"cannot be compared: {finding.finding}") for finding in damage)
        else:
            try:
                yield from _verify_part(lake, connection, part, entries, raw[part.day])
            except DataError as error:
                yield Disagreement(part.day, None, f"bucket {part.bucket}", f"cannot be compared: {error}")
                yield from _compare_raw(part, entries, raw[part.day])


def _find_why_not_published(
    part: Part, entries: Sequence[LedgerEntry], raw: Tallies, damage: Sequence[Disagreement]
) -> Iterator[Disagreement]:
    if damage:
        advice = f"`neople-timeline day {part.day} --again` asks for it anew"
        yield from (replace(one, finding=f"cannot be published: {one.finding}; {advice}") for one in damage)
    elif differing := _compare_raw(part, entries, raw):
        yield from (replace(finding, is_final=True) for finding in differing)
    elif entries or part.version:
        finding = f"is not published yet: {_mend(part.day)}"
        yield Disagreement(part.day, None, f"bucket {part.bucket}", finding, is_pending=True)


def _compare_raw(part: Part, entries: Sequence[LedgerEntry], raw: Tallies) -> list[Disagreement]:
    expected = {entry.character: Tally(entry.events, entry.digest) for entry in entries}
    raw_keys = {entry.character: entry.raw_key for entry in entries}
    findings = [
        *compare_tallies(part.day, "raw answers", expected, raw),
        *(
            Disagreement(part.day, character, "raw answers", "have none, not even one without events")
            for character in sorted(expected.keys() - raw.keys())
            if not expected[character].events  # else it was found already
        ),
    ]
    return [replace(one, raw_key=raw_keys[one.character]) for one in findings if one.character]


def _verify_part(
    lake: Lake, connection: psycopg.Connection, part: Part, entries: Sequence[LedgerEntry], raw: Tallies
) -> list[Disagreement]:
    expected = {entry.character: Tally(entry.events, entry.digest) for entry in entries}
    parquet, canonical = tally_events(_read_parquet(lake, part))
    characters = _read_characters(lake, part)
    _, stored = tally_events(audit.stream_events(connection, part))
    in_warehouse = [
        *compare_tallies(part.day, "PostgreSQL", canonical, stored),
        *compare_characters(part.day, "PostgreSQL", characters, audit.read_characters(connection, part)),
    ]
    findings = [
        *_compare_raw(part, entries, raw),
        *compare_tallies(part.day, "Parquet", expected, parquet),
        *compare_characters(
            part.day,
            "Parquet",
            expected,
            {key: Tally(row["events"], row["digest"]) for key, row in characters.items()},
        ),
        *in_warehouse,
    ]
    audit.mark_verified(connection, part, [finding.character for finding in findings if finding.character])
    return findings


def _mend(day: date) -> str:
    return f"run `neople-timeline day {day}`"


def _tally_raw(
    calendar: Calendar, lake: Lake, entries: Sequence[LedgerEntry]
) -> tuple[Mapping[date, Tallies], Mapping[str, DataError]]:
    """Tally raw answers by day and character, and say why which objects cannot be read."""
    tallies: dict[date, Tallies] = defaultdict(dict)
    damaged: dict[str, DataError] = {}
    for raw_key, wanted in group_by_object(entries).items():
        try:
            for held in find_days(require_unchanged(raw_key, lake.get(raw_key)), wanted, calendar):
                digest = digest_hashes(hash_rows(held.rows))
                tallies[held.entry.day][held.entry.character] = Tally(len(held.rows), digest)
        except DataError as error:
            damaged[raw_key] = error
    return tallies, damaged


def _read_parquet(lake: Lake, part: Part) -> Iterator[EventText]:
    for batch in _read_batches(lake, part, EVENTS):
        derived = spell_derived(batch)
        columns = [derived if name == "derived" else batch.column(name) for name in EventText._fields]
        yield from map(EventText._make, zip(*(column.to_pylist() for column in columns), strict=True))


def _read_characters(lake: Lake, part: Part) -> dict[CharacterKey, dict[str, Any]]:
    rows = [row for batch in _read_batches(lake, part, CHARACTERS) for row in batch.to_pylist()]
    characters = {CharacterKey(row["server_id"], row["character_id"]): row for row in rows}
    if len(characters) < len(rows):
        raise DataError(f"{lake.describe(object_key(part, CHARACTERS))} has characters twice: {_mend(part.day)}")
    return characters


def _read_batches(lake: Lake, part: Part, table: Table) -> Iterator[pa.RecordBatch]:
    key = object_key(part, table)
    data = lake.get(key)
    if hash_bytes(data) != part.hashes[table.name]:
        raise DataError(f"{lake.describe(key)} is not as it was written: {_mend(part.day)}")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        for batch in file.iter_batches(20_000):
            if batch.num_rows and set(batch.column("day").unique().to_pylist()) != {part.day}:
                raise DataError(f"{lake.describe(key)} has rows of other days: {_mend(part.day)}")
            yield batch.select(table.schema.names)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{lake.describe(key)} is no Parquet file of ours ({error}): {_mend(part.day)}") from None
