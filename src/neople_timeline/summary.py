"""Everything that a report says about a day, as one frozen value; the page and the mail are made from it alone."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from neople_timeline.models import Reject

RARITIES: Final = ("태초", "신화", "에픽", "레전더리", "크로니클", "유니크", "레어", "언커먼", "커먼")
"""Rarities from the best to the most common, as the game ranks them."""

EQUIPMENT_ROUTES: Final = (505, 513, 504, 507, 521, 514, 520, 516)
"""Codes by which equipment comes to a character; 516 moves it through the account safe and is netted."""

OATH_ROUTES: Final = (550, 557, 552, 551, 554, 555, 556)
"""Codes by which oaths come to a character, kept apart from equipment; 556 is netted as 516 is."""

SAFE_ROUTES: Final = (516, 556)


@dataclass(frozen=True)
class Person:
    """A character as it was called when the day was collected."""

    server_id: str
    character_id: str
    name: str
    adventure: str = ""
    guild: str = ""


@dataclass(frozen=True)
class DayFigures:
    """One day in a few numbers; drops are equipment only."""

    day: date
    events: int
    active: int
    """Characters with at least one event."""
    primeval: int
    epic: int
    legendary: int
    raids: int
    legions: int


@dataclass(frozen=True)
class DropCount:
    """How many items of a rarity came by a route; net for the account safe, so it can be negative."""

    rarity: str
    code: int
    count: int


@dataclass(frozen=True)
class Drop:
    """One item that somebody got."""

    minute: str
    person: Person
    item: str
    rarity: str
    code: int
    dungeon: str = ""
    channel: str = ""
    channel_no: int | None = None


@dataclass(frozen=True)
class Luck:
    """What the dungeons gave a character in the running week; `runs` counts those that left a trace."""

    person: Person
    runs: int
    primeval: int
    epic: int


@dataclass(frozen=True)
class Goal:
    """A raid (in one of its modes), a legion or the like; `kind` as in mart_clears_by_week."""

    kind: str
    name: str
    mode: str
    is_hard: bool
    clears: int
    characters: int


@dataclass(frozen=True)
class BoardRow:
    """Who has cleared what in the running week: clears in the order of the board's goals."""

    person: Person
    clears: tuple[int, ...]


@dataclass(frozen=True)
class Board:
    """The raids and legions of the running week, as far as it is collected."""

    week: date
    """Its Thursday."""
    goals: tuple[Goal, ...]
    rows: tuple[BoardRow, ...]
    """The characters that cleared most, of a small roster also those that cleared nothing."""
    characters: int
    """Characters of the day."""


@dataclass(frozen=True)
class Attempts:
    """Plain attempts at a level: no ticket, not safe; these two are counted apart."""

    code: int
    level: int
    tried: int
    succeeded: int
    safe: int
    tickets: int


@dataclass(frozen=True)
class Rename:
    """A new name of a character (102) or of an adventure (105)."""

    code: int
    person: Person
    before: str
    after: str


@dataclass(frozen=True)
class Newcomer:
    """A character that was created on the day, or collected for the first time."""

    person: Person
    is_created: bool


@dataclass(frozen=True)
class Debt:
    """A character-day that could not be collected, and why; `name` is the roster's, where it has one."""

    server_id: str
    character_id: str
    name: str
    reason: str


@dataclass(frozen=True)
class Spending:
    """What the day cost at the API; `least_seconds` is the time its useful requests take at the allowed rate."""

    requests: int
    retried: int
    repeated: int
    throttled: int
    seconds: float
    least_seconds: float

    @property
    def wasted(self) -> int:
        """Requests that brought no new page."""
        return self.retried + self.repeated + self.throttled


@dataclass(frozen=True)
class DataState:
    """How complete the day is."""

    planned: int
    collected: int
    missing: int
    owed: int
    """Everything that is neither collected nor known to be missing."""
    debts: tuple[Debt, ...]
    """The first of them."""
    reasons: tuple[tuple[str, int], ...]
    missing_characters: tuple[Debt, ...]
    rejects: tuple[Reject, ...]
    rejected: int
    spending: Spending | None
    is_verified: bool


@dataclass(frozen=True)
class Summary:
    """A day as the report tells it."""

    day: date
    first_minute: str
    last_minute: str
    figures: DayFigures | None
    """None as long as the day's marts are not computed."""
    yesterday: DayFigures | None
    last_week: DayFigures | None
    trend: tuple[DayFigures, ...]
    """The computed ones of the last 14 days, oldest first."""
    drops: tuple[DropCount, ...]
    best_drops: tuple[Drop, ...]
    luckiest: tuple[Luck, ...]
    unluckiest: tuple[Luck, ...]
    hours: tuple[int, ...]
    """Events by hour of the Korean clock, 24 of them from 0 to 23."""
    hours_yesterday: tuple[int, ...] | None
    first_hour: int
    """The hour at which a day starts."""
    board: Board
    attempts: tuple[Attempts, ...]
    renames: tuple[Rename, ...]
    newcomers: tuple[Newcomer, ...]
    state: DataState
    failure: str | None = None

    @property
    def is_complete(self) -> bool:
        """Say whether nothing failed and nothing is owed."""
        return self.failure is None and self.state.owed == 0


@dataclass(frozen=True)
class Published:
    """Where the page is, whether a mail left now, and how many character-days are owed."""

    url: str
    mailed: bool
    debts: int
