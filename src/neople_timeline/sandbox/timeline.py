"""The rules of the timeline route: dates, limit, codes, the cursor and the pages. Nothing here does I/O."""

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from neople_timeline.sandbox.answers import ApiError
from neople_timeline.sandbox.catalogue import UNKNOWN_CODE, WORDS
from neople_timeline.sandbox.world import DAY_MINUTES, Event, World, game_day_of, minute_text

DATE_FORMATS = {13: "%Y%m%dT%H%M", 16: "%Y-%m-%d %H:%M"}
MOST_MINUTES = 90 * DAY_MINUTES
ALL_CODES = (1 << 64) - 1
CODE_PLACES = {code: place for place, code in enumerate([*(entry["code"] for entry in WORDS["codes"]), UNKNOWN_CODE])}
MAC_BYTES = 16
_CURSOR = struct.Struct(">QQQBQIII")


@dataclass(frozen=True, slots=True)
class Query:
    """A timeline request: minutes since year 1, both included; `codes` is a bit mask over the 54 codes and 999."""

    index: int
    start: int
    end: int
    limit: int
    codes: int = ALL_CODES


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: a game day, how many of its events were shown; `variant` only tells cursors apart."""

    day: int
    offset: int
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One answer's rows and where the next one begins, None at the end."""

    events: tuple[Event, ...]
    next: Position | None


@dataclass(slots=True)
class Answer:
    """A timeline answer before it becomes bytes, so that faults can spoil any part; `head` lacks its last brace."""

    head: str
    query: Query
    position: Position
    next: Position | None
    rows: list[str] | None
    cursor: str | None
    has_timeline: bool = True

    def encode(self) -> bytes:
        """Write the body."""
        if not self.has_timeline:
            return f'{self.head},"timeline":null}}'.encode()
        dates = f'"date":{{"start":"{minute_text(self.query.start)}","end":"{minute_text(self.query.end)}"}}'
        cursor = "null" if self.cursor is None else f'"{self.cursor}"'
        rows = "null" if self.rows is None else f"[{','.join(self.rows)}]"
        return f'{self.head},"timeline":{{{dates},"next":{cursor},"rows":{rows}}}}}'.encode()


@lru_cache(maxsize=1024)
def read_minute(text: str) -> int:
    """Read a date of either format as minutes since year 1; DNF006 for anything else."""
    form = DATE_FORMATS.get(len(text))
    try:
        moment = datetime.strptime(text, form or "")  # noqa: DTZ007  the API's dates carry no offset
    except ValueError:
        raise ApiError("DNF006") from None
    return moment.toordinal() * DAY_MINUTES + moment.hour * 60 + moment.minute


def read_window(parameters: Mapping[str, str], now: datetime) -> tuple[int, int]:
    """First and last minute: both dates or neither, in order, at most 90 days apart; by default the last 30 days."""
    start_text, end_text = parameters.get("startDate"), parameters.get("endDate")
    if start_text is None and end_text is None:
        first = now - timedelta(days=30)
        return read_minute(first.strftime("%Y%m%dT%H%M")), read_minute(now.strftime("%Y%m%dT%H%M"))
    if not start_text or not end_text:
        raise ApiError("DNF006")
    start, end = read_minute(start_text), read_minute(end_text)
    if not 0 <= end - start <= MOST_MINUTES:
        raise ApiError("DNF006")
    return start, end


def read_limit(text: str | None, default: int, most: int, *, clamp: bool) -> int:
    """Read a limit; outside of 1..most it is clamped or refused (the real API's choice is unknown)."""
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise ApiError("DNF901")
    limit = int(text)
    if not clamp and not 1 <= limit <= most:
        raise ApiError("DNF901")
    return min(max(limit, 1), most)


def read_codes(text: str | None) -> int:
    """Make the mask of a comma list of codes; codes that do not exist match nothing."""
    if not text:
        return ALL_CODES
    wanted = text.split(",")
    if not all(re.fullmatch(r"\d{1,9}", code, re.ASCII) for code in wanted):
        raise ApiError("DNF901")
    return sum({1 << CODE_PLACES[int(code)] for code in wanted if int(code) in CODE_PLACES})


def read_query(
    parameters: Mapping[str, str], index: int, now: datetime, *, seed: int, clamp: bool
) -> tuple[Query, Position]:
    """Read a request's meaning; with a cursor, the first request's limit, codes and dates apply."""
    cursor = parameters.get("next")
    if cursor:
        return read_cursor(cursor, index, seed)
    start, end = read_window(parameters, now)
    limit = read_limit(parameters.get("limit"), 10, 100, clamp=clamp)
    query = Query(index, start, end, limit, read_codes(parameters.get("code")))
    return query, first_position(query)


def first_position(query: Query) -> Position:
    """Where the first page begins."""
    return Position(game_day_of(query.end), 0)


def make_cursor(query: Query, position: Position, seed: int) -> str:
    """Seal the whole query and the position; 160 or 192 hex characters, the same length along a chain."""
    plain = _CURSOR.pack(
        query.index, query.start, query.end, query.limit, query.codes, position.day, position.offset, position.variant
    )
    plain = plain.ljust(64 if query.index % 2 else 80, b"\0")
    mac = hashlib.blake2b(plain, key=f"cursor|{seed}".encode(), digest_size=MAC_BYTES).digest()
    return (mac + _veil(plain, mac)).hex()


def read_cursor(text: str, index: int, seed: int) -> tuple[Query, Position]:
    """Read what a cursor holds; DNF901 if it was not made here or belongs to another character."""
    try:
        sealed = bytes.fromhex(text)
    except ValueError:
        raise ApiError("DNF901") from None
    mac = sealed[:MAC_BYTES]
    plain = _veil(sealed[MAC_BYTES:], mac)
    if mac != hashlib.blake2b(plain, key=f"cursor|{seed}".encode(), digest_size=MAC_BYTES).digest():
        raise ApiError("DNF901")
    owner, start, end, limit, codes, day, offset, variant = _CURSOR.unpack_from(plain)
    if owner != index:
        raise ApiError("DNF901")
    return Query(owner, start, end, limit, codes), Position(day, offset, variant)


def _veil(text: bytes, key: bytes) -> bytes:
    """Put the text under a key stream; twice gives the text back."""
    stream = hashlib.shake_128(key).digest(len(text))
    return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))


def choose(world: World, query: Query, day: int) -> tuple[Event, ...]:
    """Choose the events of a game day that the query asks for."""
    events = world.block(query.index, day)
    if query.codes != ALL_CODES:
        events = tuple(event for event in events if query.codes >> CODE_PLACES.get(event.code, 63) & 1)
    if game_day_of(query.start - 1) < day < game_day_of(query.end + 1):
        return events
    return tuple(event for event in events if query.start <= event.minute <= query.end)


def read_page(world: World, query: Query, position: Position, *, full_page_goes_on: bool = False) -> Page:
    """Read the rows from a position on, newest first.

    After a last page that is exactly full there is nothing or, with full_page_goes_on, one more page that is empty.
    """
    shown: list[Event] = []
    offset = position.offset
    for day in range(position.day, game_day_of(query.start) - 1, -1):
        events = choose(world, query, day)[offset:]
        room = query.limit - len(shown)
        if len(events) > room:
            return Page((*shown, *events[:room]), Position(day, offset + room))
        shown += events
        offset = 0
    goes_on = full_page_goes_on and len(shown) == query.limit
    return Page(tuple(shown), Position(game_day_of(query.start) - 1, 0) if goes_on else None)


def step_back(world: World, query: Query, position: Position, rows: int) -> Position | None:
    """Where a page that begins `rows` before the end of the page at this position would begin."""
    return read_page(world, replace(query, limit=max(1, query.limit - rows)), position).next
