"""A day as a story. The DAGs and the command line call these functions, and nothing deeper.

    plan_day → collect_shard × shards → refine_shard → load_shard → build_marts → verify_days → publish_report

Every step can be repeated at any time: it looks at what is there and does what is missing.
"""

import asyncio
import hashlib
import io
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from neople_timeline import collect
from neople_timeline.checks import Disagreement, EventText, Tallies, Tally, compare_tallies, tally_events
from neople_timeline.errors import ConfigError, DataError, NotOver, RetryLater
from neople_timeline.lake import Lake, open_lake, part_key, raw_prefix
from neople_timeline.models import FIRST_DAY_WITH_DATA, CharacterKey, Collected, Plan, Shard, days_between, split_windows
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.refine import Entry, PartWriter, cut_days, group_by_part, read_chains
from neople_timeline.roster import Roster, read_roster
from neople_timeline.settings import Settings
from neople_timeline.warehouse import audit, ledger, load
from neople_timeline.warehouse import roster as members
from neople_timeline.warehouse.audit import Owed
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.load import Part
from neople_timeline.warehouse.roster import Member

log = logging.getLogger(__name__)

Progress = Callable[[Collected], None]


@dataclass(frozen=True)
class Refined:
    """What refining a shard wrote."""

    days: tuple[date, ...]
    """Days whose objects changed."""
    events: int
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """What loading a shard put into PostgreSQL."""

    days: tuple[date, ...]
    events: int
    characters: int


@dataclass(frozen=True)
class Verification:
    """Whether the ledger, the raw answers, Parquet and PostgreSQL hold the same events of some days."""

    days: tuple[date, ...]
    checked: int
    """Character-days compared."""
    events: int
    disagreements: tuple[Disagreement, ...]
    owed: tuple[Owed, ...]
    missing: int
    orphans: tuple[str, ...]
    """Raw objects that were never committed; they are listed and never read."""

    @property
    def ok(self) -> bool:
        """Say whether all holders agree; debts are listed, not disagreed upon."""
        return not self.disagreements


@dataclass(frozen=True)
class Forecast:
    """What a backfill would take: character-days that are there, those that are not, and the requests for them."""

    characters: int
    there: int
    pending: int
    requests: int
    """At least: one chain per character and gap of up to 90 days, one page each."""


# roster -------------------------------------------------------------------------------------------------------------


def import_roster(settings: Settings, data: bytes) -> tuple[Roster, int]:
    """Put the characters of a CSV file on the roster; return what the file held and how many were new."""
    roster = read_roster(data)
    with _open_warehouse(settings) as connection:
        added = members.add_members(connection, [Member(key, None) for key in roster.characters])
        members.replace_rejects(connection, roster.rejects)
    return roster, added


def search_characters(settings: Settings, server_id: str, name: str) -> list[FoundCharacter]:
    """Ask the API for the characters of a name, on one server or on `all`."""
    with _open_warehouse(settings) as connection:
        return uvloop.run(collect.search_characters(settings, connection, server_id, name))


def add_members(settings: Settings, found: Sequence[Member]) -> int:
    """Put characters on the roster; return how many were not there before."""
    with _open_warehouse(settings) as connection:
        return members.add_members(connection, found)


def list_members(settings: Settings) -> list[Member]:
    """List the roster."""
    with _open_warehouse(settings) as connection:
        return members.list_members(connection)


def remove_members(settings: Settings, characters: Sequence[CharacterKey]) -> int:
    """Take characters off the roster; what was collected of them stays."""
    with _open_warehouse(settings) as connection:
        return members.remove_members(connection, characters)


# plan ---------------------------------------------------------------------------------------------------------------


def plan_day(settings: Settings, day: date, *, again: bool = False, unfinished: bool = False) -> Plan:
    """Write the ledger rows of a day and of earlier days' due debts, and cut them into shards.

    A day that is not over is NotOver until it is, unless `unfinished`; it is then collected again once it is over.
    """
    _check_days(settings, day, day, unfinished=unfinished)
    with _open(settings) as (lake, connection):
        _bind(settings, lake, connection)
        ledger.create_partitions(connection, [day])
        ledger.reopen_unfinished(connection, day, settings.calendar.over_at(day))
        ledger.plan_days(connection, [day], again=again)
        debts = {*ledger.list_indebted_days(connection, day), *ledger.list_unpublished_days(connection, day)}
        return _make_plan(connection, [*sorted(debts), day], [day])


def plan_backfill(settings: Settings, first: date, last: date, *, again: bool = False) -> Plan:
    """Write the ledger rows of all days from `first` to `last` that have none, and cut them into shards."""
    if first > last:
        raise ConfigError(f"the first day {first} is after the last day {last}")
    _check_days(settings, first, last, unfinished=False)
    days = list(days_between(first, last))
    with _open(settings) as (lake, connection):
        _bind(settings, lake, connection)
        ledger.plan_days(connection, days, again=again)
        return _make_plan(connection, days, days)


def plan_debts(settings: Settings) -> Plan:
    """Make everything that is owed due now, dead letters included, and cut it into shards."""
    with _open_warehouse(settings) as connection:
        days = ledger.make_debts_due(connection)
        return _make_plan(connection, days, days) if days else Plan((), (), 0, 0)


def forecast_backfill(settings: Settings, first: date, last: date) -> Forecast:
    """Tell what a backfill would take, without planning or asking anything."""
    with _open_warehouse(settings) as connection:
        characters, there, patterns = ledger.count_gaps(connection, first, last)
    return Forecast(
        characters,
        there,
        pending=sum(len(days) * count for days, count in patterns),
        requests=sum(len(split_windows(days)) * count for days, count in patterns),
    )


def last_day(settings: Settings, now: datetime) -> date:
    """Name the newest day that is over at `now`."""
    return settings.calendar.last_over(now)


def _check_days(settings: Settings, first: date, last: date, *, unfinished: bool) -> None:
    if first < FIRST_DAY_WITH_DATA:
        raise ConfigError(f"{first} is before {FIRST_DAY_WITH_DATA}, the first day of which the API has data")
    over_at, now = settings.calendar.over_at(last), datetime.now(UTC)
    if now >= over_at:
        return
    if not unfinished:
        raise NotOver(
            f"{last} is not over: the game's day ends, and its last events reach the API, at {over_at:%Y-%m-%d %H:%M} UTC",
            seconds=(over_at - now).total_seconds(),
        )
    if first > settings.calendar.day_at(now):
        raise ConfigError(f"{first} has not begun")


def _bind(settings: Settings, lake: Lake, connection: psycopg.Connection) -> None:
    """Hold the lake and the warehouse together: the ledger of one speaks of the objects of the other."""
    lake_id = lake.claim(settings.calendar)
    connection.execute(
        "INSERT INTO timeline.setting VALUES ('lake_id', %s) ON CONFLICT DO NOTHING", (lake_id,)
    )
    row = connection.execute("SELECT value FROM timeline.setting WHERE name = 'lake_id'").fetchone()
    if row != (lake_id,):
        raise ConfigError("LAKE_URL and WAREHOUSE_URL do not belong together: this warehouse was filled from another lake")


def _make_plan(connection: psycopg.Connection, days: Sequence[date], shown: Sequence[date]) -> Plan:
    of = ledger.read_least_buckets(connection, days)
    return Plan(
        days=tuple(days),
        shards=tuple(Shard(tuple(days), index, of) for index in range(of)),
        characters=ledger.count_characters(connection, shown),
        pending=ledger.count_open(connection, days),
    )


# collect ------------------------------------------------------------------------------------------------------------


def collect_shard(
    settings: Settings, shard: Shard, *, kind: str = "daily", progress: Progress | None = None
) -> Collected:
    """Collect everything that is open and due in a shard; `kind` (daily, retry, backfill) is its share of the rate.

    RetryLater and StopCollecting leave all that was complete committed.
    """
    with _open(settings) as (lake, connection), connect(settings) as permits:
        doors = collect.Doors(lake, connection, permits)
        return uvloop.run(collect.collect_shard(settings, doors, shard, kind=kind, progress=progress))


# refine -------------------------------------------------------------------------------------------------------------


def refine_shard(settings: Settings, shard: Shard) -> Refined:
    """Write the Parquet objects of every part of a shard whose raw answers changed since it was last refined."""
    with _open(settings) as (lake, connection):
        parts = load.list_parts(connection, shard)
        with load.hold_parts(connection, parts):
            stale = [part for part in parts if _is_stale(lake, connection, part)]
            written = _refine_parts(settings, lake, connection, stale)
    return Refined(
        days=tuple(sorted({part.day for part in written})),
        events=sum(part.events for part in written),
        objects=tuple(part_key("events", part.day, part.bucket, part.buckets) for part in written),
    )


def _is_stale(lake: Lake, connection: psycopg.Connection, part: Part) -> bool:
    sources = _digest_sources(load.read_entries(connection, part))
    if part.version and sources == part.sources:
        keys = {name: part_key(name, part.day, part.bucket, part.buckets) for name in ("events", "characters")}
        return (lake.etag(keys["events"]), lake.etag(keys["characters"])) != (part.events_etag, part.characters_etag)
    return bool(part.version or sources != _digest_sources([]))


def _refine_parts(
    settings: Settings, lake: Lake, connection: psycopg.Connection, parts: Sequence[Part]
) -> list[Part]:
    entries = {(part.day, part.bucket): load.read_entries(connection, part) for part in parts}
    wanted: dict[str, dict[tuple[str, str], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in (entry for found in entries.values() for entry in found):
        wanted[entry.raw_key][entry.character].append(entry)
    writers = {place: PartWriter() for place in entries}
    for raw_key in sorted(wanted):
        cut = cut_days(lake.get(raw_key), wanted[raw_key], settings.calendar)
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
            f"{len(entries) - writer.characters} character-days of {part.day} are not in the raw objects that the ledger "
            "names: collect the day again with `--again`"
        )
    etags = {}
    for table, data in writer.finish().items():
        key = part_key(table, part.day, part.bucket, part.buckets)
        etags[table] = lake.replace(key, data, etag=lake.etag(key))
    written = replace(
        part,
        sources=_digest_sources(entries),
        events_etag=etags["events"],
        characters_etag=etags["characters"],
        events=writer.events,
        characters=writer.characters,
    )
    load.record_part(connection, written)
    return written


def _digest_sources(entries: Sequence[Entry]) -> str:
    text = "\n".join(f"{'/'.join(entry.character)} {entry.raw_key} {entry.digest}" for entry in entries)
    return hashlib.sha256(text.encode()).hexdigest()


# load ---------------------------------------------------------------------------------------------------------------


def load_shard(settings: Settings, shard: Shard) -> Loaded:
    """Put every part of a shard that PostgreSQL does not have yet in the place of what it has."""
    days: set[date] = set()
    events = characters = 0
    with _open(settings) as (lake, connection):
        for part in load.list_parts(connection, shard):
            if part.version in (0, part.loaded_version):
                continue
            tables = {name: _read_part(lake, part, name) for name in ("events", "characters")}
            if not load.replace_part(connection, part, tables["events"], tables["characters"]):
                raise RetryLater(f"{part.day} is being refined by another run", seconds=5)
            days.add(part.day)
            events += part.events
            characters += part.characters
    return Loaded(tuple(sorted(days)), events, characters)


def _read_part(lake: Lake, part: Part, table: str) -> pa.Table:
    key = part_key(table, part.day, part.bucket, part.buckets)
    found = lake.read(key)
    if found is None or found.etag != getattr(part, f"{table}_etag"):
        raise RetryLater(f"{lake.describe(key)} changed since it was refined: it will be refined anew", seconds=5)
    return pq.read_table(io.BytesIO(found.data))


# verify -------------------------------------------------------------------------------------------------------------


def verify_days(settings: Settings, days: Sequence[date]) -> Verification:
    """Compare the ledger, the raw answers, Parquet and PostgreSQL, character-day by character-day."""
    findings: list[Disagreement] = []
    orphans: list[str] = []
    checked = events = 0
    with _open(settings) as (lake, connection):
        for day in days:
            found: list[Disagreement] = []
            for part in load.list_parts(connection, Shard((day,), 0, 1)):
                entries = load.read_entries(connection, part)
                checked += len(entries)
                events += sum(entry.events for entry in entries)
                found += _verify_part(settings, lake, connection, part, entries)
            if strays := audit.count_strays(connection, day):
                found.append(Disagreement(day, None, "PostgreSQL", f"has {strays} events that the ledger does not know"))
            if not found:
                audit.mark_day_verified(connection, day)
            findings += found
            orphans += audit.list_orphans(connection, day, lake.list_keys(raw_prefix(day)))
        owed = [owed for day in days for owed in audit.list_owed(connection, day, day)]
        missing = audit.count_missing(connection, days)
    return Verification(tuple(days), checked, events, tuple(findings), tuple(owed), missing, tuple(orphans))


def list_owed(settings: Settings, first: date | None = None, last: date | None = None) -> list[Owed]:
    """List what is still to be collected, by character-day and reason."""
    with _open_warehouse(settings) as connection:
        return audit.list_owed(connection, first, last)


def _verify_part(
    settings: Settings, lake: Lake, connection: psycopg.Connection, part: Part, entries: list[Entry]
) -> list[Disagreement]:
    if not entries and not part.version:
        return []
    if part.loaded_version != part.version or part.sources != _digest_sources(entries):
        return [Disagreement(part.day, None, f"bucket {part.bucket}", "has answers that are not published yet")]
    expected = {entry.character: Tally(entry.events, entry.digest) for entry in entries}
    parquet = pq.read_table(io.BytesIO(lake.get(part_key("events", part.day, part.bucket, part.buckets))))
    texts = list(_read_texts(parquet))
    findings = [
        *compare_tallies(part.day, "raw answers", expected, _tally_raw(settings, lake, entries)),
        *compare_tallies(part.day, "Parquet", expected, tally_events(texts, canonical=False)),
        *compare_tallies(
            part.day,
            "PostgreSQL",
            tally_events(texts, canonical=True),
            tally_events(audit.stream_events(connection, part), canonical=True),
        ),
    ]
    audit.mark_verified(connection, part, [finding.character for finding in findings if finding.character])
    return findings


def _tally_raw(settings: Settings, lake: Lake, entries: Sequence[Entry]) -> Tallies:
    places: dict[str, dict[tuple[str, str], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        places[entry.raw_key][entry.character].append(entry)
    tallies: Tallies = {}
    for raw_key, wanted in places.items():
        tallies |= tally_events(_read_raw_texts(lake.get(raw_key), wanted, settings), canonical=False)
    return tallies


def _read_raw_texts(
    data: bytes, wanted: dict[tuple[str, str], list[Entry]], settings: Settings
) -> Iterator[EventText]:
    for line, answers in read_chains(data):
        for entry in wanted.get((line.server_id, line.character_id), ()):
            window = settings.calendar.window(entry.day, entry.day)
            if line.start <= window.start <= window.end <= line.end:
                for row in (row for answer in answers for row in answer.timeline.rows if row.date in window):
                    yield EventText(*entry.character, row.date, row.code, row.name, bytes(row.data).decode())


def _read_texts(table: pa.Table) -> Iterator[EventText]:
    for batch in table.select(list(EventText._fields)).to_batches(20_000):
        yield from map(EventText._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[Lake, psycopg.Connection]]:
    lake = open_lake(settings)
    with _open_warehouse(settings) as connection:
        yield lake, connection


@contextmanager
def _open_warehouse(settings: Settings) -> Iterator[psycopg.Connection]:
    """Open the warehouse; one that goes away in the middle is RetryLater: what was committed stays."""
    try:
        with connect(settings) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RetryLater(f"PostgreSQL went away: {reason}", seconds=10) from None
