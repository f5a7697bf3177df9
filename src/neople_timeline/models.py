"""The nouns: characters, days, windows, shards, and the results that steps hand to each other.

The API speaks Korean wall-clock minutes without an offset. This module is the one place that turns them into UTC
instants and into days.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

KOREA = ZoneInfo("Asia/Seoul")
MINUTE_FORMAT = "%Y-%m-%d %H:%M"
FIRST_MINUTE_WITH_DATA = "2017-09-21 06:00"
LONGEST_WINDOW_DAYS = 90
SETTLING = timedelta(minutes=5)
"""Events reach the API up to about a minute late, so a day counts as over this long after its last minute."""
CLOCKS_DIFFER = timedelta(minutes=2)
"""How much the clocks of this machine, PostgreSQL and the API may differ: less than what is left of `SETTLING`."""

SERVERS = {
    "cain": "카인",
    "diregie": "디레지에",
    "siroco": "시로코",
    "prey": "프레이",
    "casillas": "카시야스",
    "hilder": "힐더",
    "anton": "안톤",
    "bakal": "바칼",
}
"""Server ids and their Korean names, in the order in which the API lists them."""


SERVER_ID, CHARACTER_ID = "[a-z]{1,30}", "[0-9a-f]{32}"
"""What ids look like, as regular expressions."""


FORMULA: Final = r"[=+\-@＝＋－＠]"
"""How a text begins that a spreadsheet would compute; in East Asian languages it takes the wide forms for the plain."""


def number_of(count: int, noun: str) -> str:
    """Write how many there are of something: `1 event`, `1,234 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def round_seconds(seconds: float) -> str:
    """Write about how long something takes: `90 s`, `45 min`, `13.9 h`."""
    if seconds <= 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds <= 7200 else f"{seconds / 3600:,.1f} h"


class CharacterKey(NamedTuple):
    """What identifies a character for ever; names change."""

    server_id: str
    character_id: str


@dataclass(frozen=True)
class Member:
    """A character on the roster, by the name that is known of it."""

    character: CharacterKey
    name: str | None


@dataclass(frozen=True)
class Reject:
    """A line of a roster file that cannot be used."""

    line_number: int
    line: str
    reason: str


@lru_cache(maxsize=100_000)
def parse_minute(text: str) -> datetime:
    """Read an API minute `YYYY-MM-DD HH:mm` as a naive Korean wall-clock time, or raise ValueError."""
    moment = datetime.strptime(text, MINUTE_FORMAT)  # noqa: DTZ007 - Korean wall clock on purpose
    if moment.strftime(MINUTE_FORMAT) != text:  # strptime takes tabs, missing zeros and the digits of other scripts too
        raise ValueError(text)
    return moment


@lru_cache(maxsize=100_000)
def to_instant(minute: str) -> datetime:
    """Turn an API minute into the UTC instant at its start."""
    return parse_minute(minute).replace(tzinfo=KOREA).astimezone(UTC)


@dataclass(frozen=True)
class Window:
    """Both bounds are minutes `YYYY-MM-DD HH:mm` of the Korean clock and both belong to the window."""

    start: str
    end: str

    def __contains__(self, minute: object) -> bool:
        return isinstance(minute, str) and self.start <= minute <= self.end


@dataclass(frozen=True)
class Calendar:
    """Days as players count them: each starts at `starts_at` Korean time and is named by the date it starts on."""

    starts_at: time = time(6)

    @property
    def first_day(self) -> date:
        """Name the first day of which the API has data."""
        return self.day_of(FIRST_MINUTE_WITH_DATA)

    def start_of(self, day: date) -> datetime:
        """Give the naive Korean wall-clock time of the day's first minute."""
        return datetime.combine(day, self.starts_at)

    def begins_at(self, day: date) -> datetime:
        """Give the UTC instant at which the day begins."""
        return self.start_of(day).replace(tzinfo=KOREA).astimezone(UTC)

    def window(self, first: date, last: date) -> Window:
        """Give the inclusive minutes from the first day's first to the last day's last."""
        return _make_window(self, first, last)

    def day_of(self, minute: str) -> date:
        """Name the day that an API minute belongs to."""
        moment = parse_minute(minute)
        return moment.date() if moment.time() >= self.starts_at else moment.date() - timedelta(days=1)

    def day_at(self, instant: datetime) -> date:
        """Name the day that is running at an instant (with an offset)."""
        return self.day_of(instant.astimezone(KOREA).strftime(MINUTE_FORMAT))

    def over_at(self, day: date) -> datetime:
        """Give the instant from which every event of the day has reached the API."""
        return self.begins_at(day + timedelta(days=1)) + SETTLING

    def last_over(self, now: datetime) -> date:
        """Name the newest day that is over at `now`."""
        return self.day_at(now - SETTLING) - timedelta(days=1)


@lru_cache(maxsize=10_000)
def _make_window(calendar: Calendar, first: date, last: date) -> Window:
    end = calendar.start_of(last + timedelta(days=1)) - timedelta(minutes=1)
    return Window(calendar.start_of(first).strftime(MINUTE_FORMAT), end.strftime(MINUTE_FORMAT))


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield every day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def split_runs(days: Iterable[date]) -> list[tuple[date, ...]]:
    """Cut days into runs without gaps, none longer than the API's longest window."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][-1] == timedelta(days=1) and len(runs[-1]) < LONGEST_WINDOW_DAYS:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [tuple(run) for run in runs]


def week_of(day: date) -> date:
    """Name the players' week a day belongs to by the Thursday on which it starts."""
    return day - timedelta(days=(day.weekday() - 3) % 7)


def end_of_week(week: date) -> date:
    """Name the Wednesday on which a week ends."""
    return week + timedelta(days=6)


def add_months(first: date, months: int) -> date:
    """Name the first day of the month so many after (before, if negative) the one that begins on `first`."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def end_of_month(day: date) -> date:
    """Name the last day of the month that a day belongs to."""
    return add_months(day.replace(day=1), 1) - timedelta(days=1)


MOST_BUCKETS = 16
"""Into so many buckets at most a day's characters are divided; a power of two."""

Kind = Literal["daily", "retry", "backfill"]
"""What a collector works for; it decides its share of the rate."""


@dataclass(frozen=True)
class Shard:
    """A part of the characters on some days: those whose bucket leaves the remainder `index` when divided by `of`.

    A day's number of buckets is a power of two and a multiple of `of`, so a shard always holds whole buckets.
    """

    days: tuple[date, ...]
    index: int
    of: int

    @classmethod
    def whole(cls, *days: date) -> "Shard":
        """Give all characters of some days."""
        return cls(days, 0, 1)


@dataclass(frozen=True)
class Claim:
    """A character and days of it that follow each other, at most 90, which one worker may collect in one chain."""

    character: CharacterKey
    days: tuple[date, ...]
    bucket: int
    """Of the first day: claims of one bucket are landed together."""
    was_owed: bool = False
    """Whether it was asked for in vain before."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says of a character-day that landed: where its answer is and what it holds."""

    day: date
    bucket: int
    character: CharacterKey
    raw_key: str
    events: int
    digest: int


@dataclass(frozen=True)
class Plan:
    """What a run has to do: the days to publish (debts' days included) and the shards to collect them in."""

    days: tuple[date, ...]
    shards: tuple[Shard, ...]
    characters: int
    """Characters that the ledger has on the days that were asked for."""
    pending: int
    """Character-days that still have to be collected."""


@dataclass(frozen=True)
class Usage:
    """What a piece of work cost at the API, in requests."""

    requests: int = 0
    retried: int = 0
    """Requests that brought nothing: time-outs, resets, 5xx, unreadable bodies; and second ones for who is unknown."""
    repeated: int = 0
    """Pages that came and were given up, because their chain had to start anew or was not to be believed."""
    throttled: int = 0
    """Requests that the API refused as too many (API002 or 429)."""
    unlanded: int = 0
    """Pages that were fetched and did not get into the ledger (yet)."""
    seconds: float = 0.0

    @property
    def wasted(self) -> int:
        """Requests that brought no new page."""
        return self.retried + self.repeated + self.throttled + self.unlanded

    def allowed(self, rate: int) -> int:
        """Give how many requests a limit of `rate` a second allows in that time."""
        return round(rate * self.seconds)

    def least_seconds(self, rate: int) -> float:
        """Give the time that requests which were not wasted take at a limit of `rate` a second."""
        return (self.requests - self.wasted) / rate

    def describe(self, rate: int) -> str:
        """Tell what the requests were used for, what the limit allowed in that time, and the least time for them."""
        return (
            f"{number_of(self.requests, 'request')} in {self.seconds:.1f} s, {self.allowed(rate):,} allowed"
            f" (at the limit of {rate:,}/s at least {self.least_seconds(rate):.1f} s),"
            f" {self.wasted:,} wasted: {self.retried:,} retried,"
            f" {number_of(self.repeated, 'page')} repeated, {self.throttled:,} throttled,"
            f" {number_of(self.unlanded, 'page')} not landed"
        )

    def __add__(self, other: "Usage") -> "Usage":
        """Add up two pieces of work done one after the other."""
        return Usage(
            self.requests + other.requests,
            self.retried + other.retried,
            self.repeated + other.repeated,
            self.throttled + other.throttled,
            self.unlanded + other.unlanded,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Collected:
    """What one shard's collector brought home."""

    landed: int
    """Character-days landed now."""
    events: int
    missing: int
    owed: int
    usage: Usage

    @property
    def done(self) -> int:
        """Character-days that it has asked for, whatever came of it."""
        return self.landed + self.missing + self.owed
