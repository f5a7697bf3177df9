"""Reads characters as their own pages tell them: the last days, the best drops, the clears of the running week."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

import psycopg
from psycopg.abc import QueryNoTemplate

from neople_timeline.models import week_of
from neople_timeline.summary import (
    BEST_RARITIES,
    TREND_DAYS,
    DayFigures,
    Drop,
    Goal,
    Person,
    add_days,
)
from neople_timeline.warehouse.predicates import OPEN, WELL_FORMED
from neople_timeline.warehouse.summary import IS_BEST_DROP

BEST_DROPS: Final = 10
MOST_PROFILES: Final = 1000
"""Up to this size of the roster everyone has a page; else those whom the report names, and their adventures."""

# Ids become paths.
CHOSEN: Final = f"""
WITH everyone AS (
  SELECT DISTINCT ON (server_id, character_id) server_id, character_id, adventure_name FROM timeline.character
  WHERE day BETWEEN %(first)s AND %(last)s AND {WELL_FORMED}
  ORDER BY server_id, character_id, day DESC
),
named AS (SELECT * FROM unnest(%(servers)s::text[], %(characters)s::text[]) AS n (server_id, character_id))
SELECT server_id, character_id FROM everyone
WHERE (SELECT count(*) FROM everyone) <= %(limit)s
  OR (server_id, character_id) IN (TABLE named)
  OR (server_id, adventure_name) IN (
    SELECT server_id, adventure_name FROM everyone JOIN named USING (server_id, character_id))
ORDER BY (server_id, character_id) IN (TABLE named) DESC, server_id, character_id LIMIT %(limit)s
""".encode()

CHOSEN_ROWS: Final = "unnest(%(servers)s::text[], %(characters)s::text[]) AS chosen (server_id, character_id)"

CHARACTER_DAYS: Final = f"""
SELECT server_id, character_id, character_name, adventure_name, guild_name, job_grow_name, level, fame,
  day, events, (events > 0)::int, primeval_drops, epic_drops, legendary_drops, raid_clears, legion_clears
FROM timeline.mart_characters_by_day JOIN {CHOSEN_ROWS} USING (server_id, character_id)
WHERE day BETWEEN %(first)s AND %(last)s ORDER BY server_id, character_id, day
""".encode()

# One look by primary key per character and day, however large the days are.
DROPS: Final = f"""
SELECT server_id, character_id, occurred_minute, coalesce(item_name, ''), item_rarity, code,
  coalesce(dungeon_name, ''), coalesce(channel_name, ''), channel_no
FROM {CHOSEN_ROWS} CROSS JOIN LATERAL (
  SELECT occurred_at, occurred_minute, ordinal, code, item_name, item_rarity, dungeon_name, channel_name, channel_no,
    array_position(%(best)s::text[], item_rarity) AS place
  FROM timeline.event e
  WHERE e.day BETWEEN %(first)s AND %(last)s AND e.server_id = chosen.server_id AND e.character_id = chosen.character_id
    AND {IS_BEST_DROP}
  ORDER BY place, occurred_at DESC, ordinal LIMIT %(limit)s
) best
ORDER BY server_id, character_id, place, occurred_at DESC, ordinal
""".encode()

CLEARS: Final = f"""
SELECT server_id, character_id, kind, content_name, coalesce(mode_name, '') AS mode, is_hard, clears, 1 AS characters
FROM timeline.mart_clears_by_character JOIN {CHOSEN_ROWS} USING (server_id, character_id)
WHERE week = %(week)s AND content_name IS NOT NULL
ORDER BY server_id, character_id, kind = 'legion', clears DESC, kind, content_name, mode, is_hard
""".encode()


OWED_DAYS: Final = f"""
SELECT server_id, character_id, day FROM timeline.collection c JOIN {CHOSEN_ROWS} USING (server_id, character_id)
WHERE day BETWEEN %(first)s AND %(last)s AND {OPEN} ORDER BY server_id, character_id, day
""".encode()


@dataclass(frozen=True)
class Profile:
    """A character with its last days, what it got in them, and what it cleared in the running week."""

    person: Person
    job: str
    level: int | None
    fame: int | None
    days: tuple[DayFigures, ...]
    """Those of the last 14 on which it was collected, oldest first."""
    best_drops: tuple[Drop, ...]
    """The rarest first; of equal rarity the newest first. A minute with its date."""
    clears: tuple[Goal, ...]
    owed: tuple[date, ...] = ()
    """Those of the last 14 days that are still to be collected."""

    @property
    def total(self) -> DayFigures:
        """Add its days up; `active` are the days on which it played."""
        return add_days(self.days)


def read_newest_day(connection: psycopg.Connection) -> date | None:
    """Name the newest day whose marts are computed."""
    row = connection.execute("SELECT max(day) FROM timeline.mart_servers_by_day").fetchone()
    return row[0] if row else None


def read_profiles(
    connection: psycopg.Connection, last: date, named: Collection[tuple[str, str]]
) -> tuple[Profile, ...]:
    """Read the profiles of a small roster, or of those characters of a large one whom the report names."""
    span = {"first": last - timedelta(days=TREND_DAYS - 1), "last": last}
    people = _columns(named)
    chosen = connection.execute(CHOSEN, {**span, **people, "limit": MOST_PROFILES}).fetchall()
    if not chosen:
        return ()
    values = {**span, **_columns(chosen)}
    best = {"best": list(BEST_RARITIES), "limit": BEST_DROPS}
    days = _group(connection, CHARACTER_DAYS, values)
    drops = _group(connection, DROPS, {**values, **best})
    clears = _group(connection, CLEARS, {**values, "week": week_of(last)})
    owed = _group(connection, OWED_DAYS, values)
    return tuple(
        _make_profile(key, rows, drops.get(key, ()), clears.get(key, ()), [day for (day,) in owed.get(key, ())])
        for key, rows in days.items()
    )


def _columns(people: Collection[Sequence[str]]) -> dict[str, list[str]]:
    return {"servers": [person[0] for person in people], "characters": [person[1] for person in people]}


def _group(
    connection: psycopg.Connection, query: QueryNoTemplate, values: dict[str, Any]
) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    rows = connection.execute(query, values)
    return {key: [row[2:] for row in group] for key, group in groupby(rows, key=lambda row: (row[0], row[1]))}


def _make_profile(
    key: tuple[str, str],
    days: Sequence[tuple[Any, ...]],
    drops: Sequence[tuple[Any, ...]],
    clears: Sequence[tuple[Any, ...]],
    owed: Sequence[date],
) -> Profile:
    name, adventure, guild, job, level, fame = days[-1][:6]
    person = Person.read((*key, name, adventure, guild))
    return Profile(
        person=person,
        job=job or "",
        level=level,
        fame=fame,
        days=tuple(DayFigures(*day[6:]) for day in days),
        best_drops=tuple(Drop(drop[0], person, *drop[1:]) for drop in drops),
        clears=tuple(Goal(*clear) for clear in clears),
        owed=tuple(owed),
    )
