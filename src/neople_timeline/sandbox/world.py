"""The seeded world: what each character did on each game day, the same for ever, made when somebody asks.

Every number depends on the seed, the character's index and the day, never on the clock or on what was asked before.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from neople_timeline.sandbox.catalogue import FIRST_DAY, SLOTS, era_on
from neople_timeline.sandbox.characters import Character, Population
from neople_timeline.sandbox.dice import Draws, roll, roll_many
from neople_timeline.sandbox.life import milestones_on
from neople_timeline.sandbox.payloads import BUILDERS, raid_phases

DAY_MINUTES = 1440
SIX = 360
"""A game day begins at 06:00."""

HABITS = (
    (2, 3, 4, 4, 5, 5, 6, 7, 6, 6, 6, 7, 9, 12, 15, 17, 18, 15, 9, 4, 2, 1, 1, 1),
    (1, 2, 3, 3, 3, 4, 6, 6, 4, 4, 5, 6, 9, 13, 17, 20, 22, 21, 14, 8, 4, 2, 1, 1),
    (1, 1, 1, 1, 2, 2, 3, 4, 4, 4, 5, 6, 7, 9, 12, 15, 18, 20, 21, 17, 12, 7, 4, 2),
)
"""How likely play is in each hour from 06 on: home early, usual, night owl."""

BUSY = ((14_400, 0, 0), (32_800, 1, 9), (49_200, 10, 24), (59_000, 25, 49), (63_500, 50, 99), (65_200, 100, 199))
"""Below each of these draws of 65,536: events at least and at most; the rest of the days has 200 to 420."""


class Event(NamedTuple):
    """Minutes since year 1 by the Korean wall clock, the code, and the row as JSON text."""

    minute: int
    code: int
    row: str


Alteration = Callable[[Character, int, list[Event]], list[Event]]


def minute_text(minute: int) -> str:
    """Write a minute as the API writes it, `YYYY-MM-DD HH:mm`."""
    day, clock = divmod(minute, DAY_MINUTES)
    return day_text(day) + CLOCKS[clock]


@lru_cache(maxsize=4096)
def day_text(day: int) -> str:
    """Write `YYYY-MM-DD` for an ordinal day."""
    return date.fromordinal(day).isoformat()


def game_day_of(minute: int) -> int:
    """Find the ordinal of the game day, 06:00 to 05:59, that holds a minute."""
    return (minute - SIX) // DAY_MINUTES


def _minutes_of(weights: tuple[int, ...]) -> tuple[int, ...]:
    """SLOTS minutes of a game day, more of them in busy hours."""
    ends = [SLOTS * reached // sum(weights) for reached in accumulate(weights)]
    starts = [0, *ends[:-1]]
    return tuple(
        hour * 60 + (slot * 60) // (end - start)
        for hour, (start, end) in enumerate(zip(starts, ends, strict=True))
        for slot in range(end - start)
    )


CLOCKS = tuple(f" {clock // 60:02d}:{clock % 60:02d}" for clock in range(DAY_MINUTES))
MINUTES = tuple(_minutes_of(weights) for weights in HABITS)

KEPT_DAYS = 4096
"""Days of single characters that are kept in memory."""


def count_events(chance: int, vigour: int, weekday: int) -> int:
    """How many events a day has: 22 in the mean, on one day of two hundred more than 200."""
    draw = chance & 0xFFFF
    low, high = next(((low, high) for below, low, high in BUSY if draw < below), (200, 420))
    count = low + (chance >> 16) % (high - low + 1)
    return count * vigour * (5 if weekday in {3, 5, 6} else 4) // 40


class World:
    """All characters and all their days; only what was asked lately is kept in memory."""

    def __init__(
        self, seed: int, characters: int, *, missing: int = 0, small: bool = False, kept_days: int = KEPT_DAYS
    ) -> None:
        """Make nothing yet; a small world has one or two events per character and day."""
        self.population = Population(seed, characters, missing)
        self.small = small
        self._alter: Alteration | None = None
        self.block = lru_cache(maxsize=kept_days)(self._build_block)

    def alter(self, alteration: Alteration | None) -> None:
        """Change what happened, for good: pages and truth both show it."""
        self._alter = alteration
        self.block.cache_clear()

    def events(self, index: int, start: int, end: int) -> Iterator[Event]:
        """Give the events from minute to minute, both included, newest first, equal ones as often as they happened."""
        for day in range(game_day_of(end), game_day_of(start) - 1, -1):
            yield from (event for event in self.block(index, day) if start <= event.minute <= end)

    def _build_block(self, index: int, day: int) -> tuple[Event, ...]:
        """One game day of one character, newest first, ties in a stable order."""
        if day < FIRST_DAY:
            return ()
        character = self.population.character(index)
        events = self._play(character, day) if day >= character.first_day else []
        if self._alter:
            events = self._alter(character, day, events)
        events.sort(key=_newest_first)
        return tuple(events)

    def _play(self, character: Character, day: int) -> list[Event]:
        names = era_on(day).heads
        events = [
            make_event(day, milestone.minute, milestone.code, names[milestone.code], milestone.data)
            for milestone in milestones_on(self.population, character, day)
        ]
        chance = roll(self.population.seed, "count", character.index, day)
        count = count_events(chance, character.vigour, date.fromordinal(day).weekday())
        if self.small:
            count = 1 + chance % 2
        return events + _occurrences(
            character, day, roll_many(f"{self.population.seed}|{character.index}|{day}", count)
        )


def _newest_first(event: Event) -> int:
    return -event.minute


def make_event(day: int, minute: int, code: int, head: str, data: str) -> Event:
    """Make an event at a minute of a game day; the head ends where the date begins."""
    over, clock = divmod(minute + SIX, DAY_MINUTES)
    row = f'{head}{day_text(day + over)}{CLOCKS[clock]}","data":{data}}}'
    return Event(day * DAY_MINUTES + SIX + minute, code, row)


def _occurrences(character: Character, day: int, rolled: list[Draws]) -> list[Event]:
    era, minutes = era_on(day), MINUTES[character.habit]
    events: list[Event] = []
    for draws in rolled:
        minute, code = minutes[draws[7] % SLOTS], era.codes[draws[8] % SLOTS]
        if code.payload == "raid":
            phases = enumerate(raid_phases(draws))
            events += [make_event(day, min(minute + 4 * turn, 1439), 201, code.head, data) for turn, data in phases]
            continue
        event = make_event(day, minute, code.code, code.head, BUILDERS[code.payload](era, draws))
        events.append(event)
        if draws[9] % 100 == 0:  # two equal rows in one minute are legal
            events.append(event)
    return events
