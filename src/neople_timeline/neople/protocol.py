"""The API's protocol without any I/O: which request comes next, and what an answer means.

Facts and how sure they are come from the official guide and from recorded answers; where unknown, either outcome
is accepted. Everything here can be tested without a socket.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

import msgspec

from neople_timeline.digest import NO_DATA, hash_event
from neople_timeline.errors import RetryLater, SkipCharacter, StopCollecting
from neople_timeline.models import KOREA, MINUTE_FORMAT, SETTLING, CharacterKey, Window, parse_minute
from neople_timeline.neople.storable import (
    LONGEST_NUMBER,
    Unstorable,
    check_depth,
    check_escapes,
    check_integers,
    check_keys,
)

PAGE_LIMIT: Final = 100
OTHER_LIMIT: Final = 77
"""Cuts a chain into other pages, to tell rows that are equal from rows that were sent twice."""
LONGEST_CHAIN: Final = 1000
"""Pages; 100,000 events of one character in at most 90 days are more than anybody can play."""
MAINTENANCE_SECONDS: Final = 300.0
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds; the API's longest limit is one of an hour, so asking to wait longer makes no sense."""

WordType = Literal["match", "full"]
"""`match` finds exactly this name, `full` every name that contains it."""

STOP: Final = {
    "API000": "the API got no key: set NEOPLE_API_KEY",
    "API001": "the API knows no such game: check NEOPLE_API_URL",
    "API003": "the API key is not valid: check NEOPLE_API_KEY",
    "API004": "the API key is blocked: ask Neople's developer centre why",
    "API005": "the API key belongs to another game: create one for Dungeon & Fighter",
    "API006": "the API refuses the request's header: this is a defect of this program, please report it",
    "API900": "the API refuses the address: check NEOPLE_API_URL",
    "API901": "the API refuses a parameter: this is a defect of this program, please report it",
    "DNF006": "the API refuses the time window: this is a defect of this program, please report it",
    "DNF900": "the API refuses the address: check NEOPLE_API_URL",
    "DNF901": "the API refuses a parameter: this is a defect of this program, please report it",
}
MISSING: Final = {
    "DNF000": "the API knows no such server: correct the roster",
    "DNF001": "the API knows no such character",
}
_ERROR_CODE: Final = re.compile("[A-Z]{3}[0-9]{3}")


class SlowDown(RetryLater):
    """The API has had too many requests of this key; everyone on it waits."""


class Paused(RetryLater):
    """The API asked everyone on the key to wait, for longer than a request may; nothing was sent."""


class Maintenance(RetryLater):
    """The game is down for maintenance, usually on Thursday mornings, for minutes to hours."""


class Unreadable(RetryLater):
    """The answer cannot be trusted: cut off, not JSON, or against the protocol. `body` is what came, byte for byte."""

    def __init__(self, message: str, *, body: bytes = b"") -> None:
        super().__init__(message, seconds=1)
        self.body = body


Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event as the API sends it; `date` is a Korean minute, `data` stays the JSON text it came as."""

    code: Int32
    name: str
    date: str
    data: msgspec.Raw = msgspec.Raw(b"null")


def hash_rows(rows: Iterable[Row]) -> list[int]:
    """Hash events as they were sent."""
    return [hash_event(row.code, row.name, row.date, row.data) for row in rows]


class Page(msgspec.Struct, frozen=True):
    """One page of a timeline."""

    rows: list[Row]
    next: str | None = None
    date: Any = None
    """First and last minute that the answer is about, `{"start": …, "end": …}`."""


class _Core(msgspec.Struct, frozen=True, rename="camel"):
    """What makes an answer one: whose it is, and what it tells. Not every answer names the server."""

    character_id: str
    timeline: Page
    server_id: Any = None


class Answer(_Core, frozen=True, rename="camel"):
    """A timeline answer: the character as it is now, and one page of its events."""

    character_name: str | None = None
    level: Int32 | None = None
    job_id: str | None = None
    job_name: str | None = None
    job_grow_id: str | None = None
    job_grow_name: str | None = None
    fame: Int32 | None = None
    adventure_name: str | None = None
    guild_id: str | None = None
    guild_name: str | None = None


class FoundCharacter(msgspec.Struct, frozen=True, rename="camel"):
    """One hit of the name search."""

    server_id: str
    character_id: str
    character_name: str
    level: int | None = None
    job_grow_name: str | None = None


class _Found(msgspec.Struct):
    rows: list[FoundCharacter]


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    error: _Error | None = None


_answers = msgspec.json.Decoder(Answer, strict=False)
_cores = msgspec.json.Decoder(_Core, strict=False)
decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Decodes an object into its fields, each as the JSON text it came as."""
ABOUT_CHARACTER: Final = msgspec.structs.fields(Answer)[len(msgspec.structs.fields(_Core)) :]
_found = msgspec.json.Decoder(_Found, strict=False)
_bodies = msgspec.json.Decoder(_Body, strict=False)


def timeline_path(character: CharacterKey, window: Window, limit: int = PAGE_LIMIT) -> str:
    """Write the request for the first page of a chain: both dates, inclusive minutes, no filter by code."""
    return f"{_character_path(character)}/timeline?{_window_query(window, limit)}"


def next_path(character: CharacterKey, cursor: str) -> str:
    """Write the request for a further page; limit and dates are those of the first one."""
    return f"{_character_path(character)}/timeline?{urlencode({'next': cursor}, quote_via=quote)}"


def search_path(server_id: str, name: str, word_type: WordType) -> str:
    """Write the request that looks characters up by name; `server_id` may be `all`."""
    query = urlencode({"characterName": name, "wordType": word_type, "limit": 200}, quote_via=quote)
    return f"/df/servers/{quote(server_id, safe='')}/characters?{query}"


def read_found(body: bytes) -> list[FoundCharacter]:
    """Read the hits of a name search."""
    try:
        check_escapes(body)
        return _found.decode(body).rows
    except Unstorable as error:
        raise Unreadable(f"the answer has {error}", body=body) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the answer is not a list of characters: {error}", body=body) from None


def check_status(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise what an error answer means; `code` decides, never the message, and an error may come with status 200."""
    if status == 200 and b'"error"' not in body:
        return
    code = _read_error_code(body)
    if status == 200 and not code:
        return
    if code == "API002" or status == 429:
        seconds = read_retry_after(_read_header(headers, "retry-after"), datetime.now(UTC))
        raise SlowDown(f"the API says that the key's limit is exceeded ({code or status})", seconds=seconds)
    if code == "DNF980":
        raise Maintenance("the game is under maintenance (DNF980)", seconds=MAINTENANCE_SECONDS)
    if code in MISSING:
        raise SkipCharacter(f"{code}: {MISSING[code]}")
    if code in STOP:
        raise StopCollecting(f"{STOP[code]} ({code})")
    if status in {401, 403}:
        raise StopCollecting(f"the API refuses the key (HTTP {status}): check NEOPLE_API_KEY")
    raise Unreadable(f"the API answers HTTP {status} {code}".rstrip(), body=body)


def _read_header(headers: Mapping[str, str], name: str) -> str:
    try:
        return headers.get(name, "")
    except ValueError:  # bytes that are no text
        return ""


def read_retry_after(text: str, now: datetime) -> float:
    """Read a Retry-After header in seconds, up to an hour: a number, a date, or one second for what makes no sense."""
    try:
        if text.strip().isascii() and text.strip().isdigit():
            seconds = float(text)
        else:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 1.0
    return min(max(1.0, seconds), LONGEST_RETRY_AFTER)


def decode_answer(body: bytes | msgspec.Raw) -> Answer:
    """Decode an answer. What it says of the character in an unexpected type is left out, and costs nothing else."""
    try:
        return _answers.decode(body)
    except msgspec.ValidationError:
        core, sent = _cores.decode(body), decode_fields(body)
        about = {field.name: decode_field(sent.get(field.encode_name), field.type) for field in ABOUT_CHARACTER}
        return Answer(core.character_id, core.timeline, core.server_id, **about)


def decode_field(value: msgspec.Raw | None, kind: Any) -> Any:
    """Decode a field; None where it is absent, or of a type that makes no sense."""
    try:
        return msgspec.json.decode(value or NO_DATA, type=kind, strict=False)
    except msgspec.ValidationError:
        return None


def read_clock_lead(headers: Mapping[str, str], now: datetime) -> float:
    """Give how many seconds our clock is ahead of the API's, as its answer tells; 0 where it does not."""
    try:
        return (now - parsedate_to_datetime(_read_header(headers, "date"))).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def read_answer(character: CharacterKey, window: Window, body: bytes) -> Answer:
    """Read one page, refusing everything that could not be stored unchanged or does not answer the question."""
    try:
        answer = decode_answer(body)
        rows = answer.timeline.rows
        check_escapes(body)
        if any(memoryview(row.data).nbytes >= LONGEST_NUMBER for row in rows):
            check_integers(body)
            check_depth(body)
        check_keys(body)
    except Unstorable as error:
        raise Unreadable(f"the answer has {error}", body=body) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the answer is not the JSON of a timeline: {error}", body=body) from None
    if answer.character_id != character.character_id or answer.server_id not in (None, character.server_id):
        raise Unreadable("the answer is about another character", body=body)
    for minute in {row.date for row in rows}:
        try:
            parse_minute(minute)
        except ValueError:
            raise Unreadable(f"a row has the date {minute[:40]!r}, not YYYY-MM-DD HH:mm", body=body) from None
        if minute not in window:
            raise Unreadable(f"a row of {minute} is outside the window asked for", body=body)
    return answer


def _covers(dates: object, window: Window) -> bool:
    """Say whether an answer is about all of a window, as far as it tells; of one that is not over, up to now is all.

    Now by the API's clock, which may be some minutes behind.
    """
    try:
        start, end = dates["start"], dates["end"]  # type: ignore[index]
        parse_minute(start), parse_minute(end)
    except (TypeError, KeyError, ValueError):
        return True
    if end < window.end:
        now = (datetime.now(KOREA) - SETTLING).strftime(MINUTE_FORMAT)
        return bool(start <= window.start and end >= now)
    return bool(start <= window.start)


class Chain:
    """The pages of one character and window, from the first to the one that says there are no more.

    Rows have no id, and equal rows are legal. Where a page repeats a row of an earlier page, the chain is `doubtful`:
    only fetching it again, cut into other pages, can tell.
    """

    def __init__(self, character: CharacterKey, window: Window, limit: int = PAGE_LIMIT) -> None:
        self.character = character
        self.window = window
        self.bodies: list[bytes] = []
        self.answers: list[Answer] = []
        self.hashes: list[int] = []
        self.doubtful = False
        self.next_request: str | None = timeline_path(character, window, limit)
        self._cursors: set[str] = set()

    def accept(self, body: bytes) -> None:
        """Take the page that `next_request` asked for; `next_request` is None after the last one."""
        answer = read_answer(self.character, self.window, body)
        if b"\n" in body or b"\r" in body:
            # In JSON a line break can only be white space: as a blank, the answer fits on one line and means the same.
            body = body.replace(b"\r", b" ").replace(b"\n", b" ")
            answer = read_answer(self.character, self.window, body)
        if not self.bodies and not _covers(answer.timeline.date, self.window):
            raise Unreadable("the answer covers less than was asked for", body=body)
        rows = answer.timeline.rows
        hashes = hash_rows(rows)
        if self.hashes and not self.doubtful:
            self.doubtful = not set(self.hashes).isdisjoint(hashes)
        self.next_request = self._follow(answer.timeline, body)
        self.bodies.append(body)
        self.answers.append(answer)
        self.hashes += hashes

    def _follow(self, page: Page, body: bytes) -> str | None:
        if not page.next:
            return None
        if page.next in self._cursors:
            raise Unreadable("the API repeats a cursor: its pages have no end", body=body)
        if not page.rows:
            raise Unreadable("the API sends an empty page that is not the last one", body=body)
        if len(self.bodies) + 1 >= LONGEST_CHAIN:
            raise Unreadable(f"the API's pages have no end: {LONGEST_CHAIN} so far", body=body)
        self._cursors.add(page.next)
        return next_path(self.character, page.next)


@lru_cache(maxsize=1000)
def _window_query(window: Window, limit: int) -> str:
    return urlencode(
        {"limit": limit, "startDate": _compact(window.start), "endDate": _compact(window.end)}, quote_via=quote
    )


def _character_path(character: CharacterKey) -> str:
    server, identity = (quote(part, safe="") for part in character)
    return f"/df/servers/{server}/characters/{identity}"


def _compact(minute: str) -> str:
    return minute.replace("-", "").replace(":", "").replace(" ", "T")


def _read_error_code(body: bytes) -> str:
    try:
        found = _bodies.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found.code if found and _ERROR_CODE.fullmatch(found.code) else ""
