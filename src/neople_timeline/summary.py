"""Everything that a report says about a day or a week, as one frozen value; page and mail are made from it alone."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any, Final, Self

from neople_timeline.models import Reject, Usage, days_between

RARITIES: Final = ("태초", "신화", "에픽", "레전더리", "크로니클", "유니크", "레어", "언커먼", "커먼")
"""Rarities from the best to the most common, as the game ranks them."""

BEST_RARITIES: Final = RARITIES[:3]
"""Those of which a report names every drop, as far as it has room."""

EQUIPMENT_ROUTES: Final = (505, 513, 504, 507, 521, 514, 520, 516)
"""Codes by which equipment comes to a character; 516 moves it through the account safe and is netted."""

OATH_ROUTES: Final = (550, 557, 552, 551, 554, 555, 556)
"""Codes by which oaths come to a character, kept apart from equipment; 556 is netted as 516 is."""

SAFE_ROUTES: Final = (516, 556)
DROP_ROUTES: Final = tuple(code for code in EQUIPMENT_ROUTES if code not in SAFE_ROUTES)
"""Codes by which equipment comes to a character from outside its account."""

OATH_DROP_ROUTES: Final = tuple(code for code in OATH_ROUTES if code not in SAFE_ROUTES)
"""The same of oaths, of which a report names only those of the best rarity."""

TREND_DAYS: Final = 14
"""Days that a page shows: its own and those before it, with which it is compared, and of which a week has two."""


@dataclass(frozen=True)
class Person:
    """A character as it was called when the day was collected."""

    server_id: str
    character_id: str
    name: str
    adventure: str = ""
    guild: str = ""

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """Make one of a row with these columns; who has no name is called by the beginning of its id."""
        server, character, name, adventure, guild = row
        return cls(server, character, name or character[:8], adventure or "", guild or "")


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

    @property
    def is_oath(self) -> bool:
        """Say whether it is an oath item, and no equipment."""
        return self.code in OATH_ROUTES


@dataclass(frozen=True)
class Star:
    """Who got most of the best equipment, the first of it, and how many of that rarity."""

    drop: Drop
    count: int


@dataclass(frozen=True)
class Channel:
    """A channel on which equipment of the best rarity dropped, and how much."""

    name: str
    number: int | None
    primeval: int


@dataclass(frozen=True)
class Luck:
    """What the dungeons gave a character in the board's week; `runs` counts those that left a trace."""

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
class Content:
    """A raid, legion or the like in all its modes: how many characters cleared it, each counted once."""

    kind: str
    name: str
    characters: int
    hard: int
    """Of these, in hard mode."""


@dataclass(frozen=True)
class BoardRow:
    """Who has cleared what in the board's week: clears in the order of its goals."""

    person: Person
    clears: tuple[int, ...]


@dataclass(frozen=True)
class Board:
    """The raids and legions of a week, as far as it is collected."""

    week: date
    """Its Thursday."""
    last: date
    """The last of its days that the marts had when this was read: a week that still runs grows."""
    contents: tuple[Content, ...]
    """What most characters cleared first."""
    goals: tuple[Goal, ...]
    rows: tuple[BoardRow, ...]
    """The characters that cleared most, of a small roster also those that cleared nothing."""
    characters: int
    """Characters of the day."""

    @property
    def by_kind(self) -> dict[str, tuple[Content, ...]]:
        """Sort the contents into raids, with all that are no legions, and legions; a kind without any is left out."""
        legions = tuple(content for content in self.contents if content.kind == "legion")
        raids = tuple(content for content in self.contents if content.kind != "legion")
        return {kind: contents for kind, contents in (("raid", raids), ("legion", legions)) if contents}


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
class Novelty:
    """A kind of event that the project does not know: it is kept whole, and counted as an event only."""

    code: int
    name: str
    events: int


@dataclass(frozen=True)
class LedgerLine:
    """Days of a character that were not collected, and why; `name` is the roster's or the last one seen, if any."""

    day: date
    """The first of them."""
    days: int
    server_id: str
    character_id: str
    name: str
    reason: str


@dataclass(frozen=True)
class Spending:
    """What the day cost at the API, all its collectors together, under a limit of `rate` requests a second."""

    usage: Usage
    rate: int


@dataclass(frozen=True)
class DataState:
    """How complete the days are; everything is counted in character-days."""

    planned: int
    collected: int
    missing: int
    owed: int
    """Everything that is neither collected nor known to be missing."""
    debts: tuple[LedgerLine, ...]
    """The first of them."""
    reasons: tuple[tuple[str, int], ...]
    missing_characters: tuple[LedgerLine, ...]
    rejects: tuple[Reject, ...]
    rejected: int
    spending: Spending | None
    is_verified: bool
    absent: tuple[date, ...] = ()
    """Those of the days that nobody has planned, so that nothing is known of them."""
    waiting: tuple[date, ...] = ()
    """Days before them that were planned and of which nothing is there yet, but for a backfill's."""


@dataclass(frozen=True)
class Summary:
    """A day as the report tells it, or a week; then "yesterday" is nothing, and "last week" the week before."""

    first: date
    day: date
    """The last one: of a week its Wednesday."""
    first_minute: str
    last_minute: str
    figures: DayFigures | None
    """None as long as the marts are not computed."""
    yesterday: DayFigures | None
    last_week: DayFigures | None
    trend: tuple[DayFigures, ...]
    """The computed ones of the last `TREND_DAYS`, oldest first."""
    whole: frozenset[date]
    """Those of the last `TREND_DAYS` of which next to nothing is owed, so that they can be compared."""
    drops: tuple[DropCount, ...]
    star: Star | None
    best_drops: tuple[Drop, ...]
    """The rarest first; of equal rarity the earliest of a day, and the newest of a week."""
    channels: tuple[Channel, ...]
    """Those with most of it, as far as there is room."""
    channel_count: int
    """How many there are."""
    luckiest: tuple[Luck, ...]
    unluckiest: tuple[Luck, ...]
    hours: tuple[int, ...]
    """Events by hour of the Korean clock, 24 of them from 0 to 23."""
    hours_before: tuple[int, ...] | None
    """The same of the day or week before."""
    first_hour: int
    """The hour at which a day starts."""
    board: Board
    attempts: tuple[Attempts, ...]
    renames: tuple[Rename, ...]
    newcomers: tuple[Newcomer, ...]
    state: DataState
    failure: str | None = None
    is_provisional: bool = False
    """Whether it was collected, or is told, before its last events had reached the API."""
    novelties: tuple[Novelty, ...] = ()
    """The most frequent first."""
    emptied: tuple[str, ...] = ()
    """Columns of `event` that have no value any more: the API may have renamed a field of the payload."""

    @property
    def is_week(self) -> bool:
        """Say whether this is the weekly edition."""
        return self.first != self.day

    @property
    def is_whole(self) -> bool:
        """Say whether it can be compared with others."""
        return self.whole.issuperset(days_between(self.first, self.day))

    def list_people(self) -> set[tuple[str, str]]:
        """List whom it names, by server and id."""
        lists: tuple[Sequence[Drop | Luck | BoardRow | Rename | Newcomer], ...] = (
            self.best_drops, self.luckiest, self.unluckiest, self.board.rows, self.renames, self.newcomers,
        )  # fmt: skip
        persons = [one.person for named in lists for one in named] + ([self.star.drop.person] if self.star else [])
        return {(person.server_id, person.character_id) for person in persons}

    @property
    def best_drop_count(self) -> int:
        """Count the drops of which `best_drops` has the first."""
        return sum(
            drop.count
            for drop in self.drops
            if (drop.code in DROP_ROUTES and drop.rarity in BEST_RARITIES)
            or (drop.code in OATH_DROP_ROUTES and drop.rarity == RARITIES[0])
        )

    @property
    def is_complete(self) -> bool:
        """Say whether nothing failed, nothing is owed, all is proven and no day was left out."""
        return self.failure is None and self.state.owed == 0 and self.state.is_verified and not self.state.absent

    @property
    def is_settled(self) -> bool:
        """Say whether the day was over and is proven, so that what is told of it stays true."""
        return self.state.is_verified and not self.is_provisional


def add_days(days: Sequence[DayFigures]) -> DayFigures:
    """Add days up, under the name of the last."""
    sums = zip(*(astuple(day)[1:] for day in days), strict=True)
    return DayFigures(days[-1].day, *(sum(column) for column in sums))


@dataclass(frozen=True)
class Published:
    """Where the page is, whether its mail left now, how many character-days are owed, and the weekly, if it was due.

    `waiting` counts earlier days that were planned and of which nothing is there yet.
    """

    url: str
    mailed: bool
    debts: int
    week_url: str | None = None
    week_mailed: bool = False
    is_provisional: bool = False
    """Such a day has a page and no mail yet."""
    is_proven: bool = True
    """A day that is not proven has a page and no mail either, unless it failed."""
    waiting: int = 0
