"""Reads who has cleared what in a week: its raids and legions, and the characters that cleared most of them."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import psycopg
from psycopg.abc import QueryNoTemplate

from neople_timeline.models import end_of_week, week_of
from neople_timeline.summary import Board, BoardRow, Content, Goal, Person

SHOWN: Final = 50

GOALS: Final = """
SELECT kind, content_name, coalesce(mode_name, '') AS mode, is_hard, clears, characters
FROM timeline.mart_clears_by_week
WHERE week = %(week)s AND clears > 0 AND content_name IS NOT NULL
ORDER BY kind = 'legion', characters DESC, kind, content_name, mode, is_hard
"""

CONTENTS: Final = """
SELECT kind, content_name, count(*) AS characters, count(*) FILTER (WHERE has_hard)
FROM (
  SELECT kind, content_name, bool_or(is_hard) AS has_hard FROM timeline.mart_clears_by_character
  WHERE week = %(week)s AND content_name IS NOT NULL GROUP BY server_id, character_id, kind, content_name) c
GROUP BY kind, content_name ORDER BY characters DESC, kind, content_name
"""

BOARD_ROWS: Final = """
WITH rows AS (
  SELECT p.server_id, p.character_id, p.character_name, p.adventure_name, p.guild_name, count(c.clears) AS goals
  FROM timeline.character p
  LEFT JOIN timeline.mart_clears_by_character c
    ON c.week = %(week)s AND c.server_id = p.server_id AND c.character_id = p.character_id
  WHERE p.day = %(day)s
  GROUP BY p.server_id, p.character_id, p.character_name, p.adventure_name, p.guild_name
  ORDER BY goals DESC, p.server_id, p.character_id LIMIT %(limit)s)
SELECT rows.server_id, rows.character_id, rows.character_name, adventure_name, guild_name,
  kind, content_name, coalesce(mode_name, ''), is_hard, clears
FROM rows LEFT JOIN timeline.mart_clears_by_character c
  ON c.week = %(week)s AND c.server_id = rows.server_id AND c.character_id = rows.character_id
ORDER BY goals DESC, rows.server_id, rows.character_id
"""

LAST_IN_MARTS: Final = """
SELECT max(day) FROM timeline.mart_servers_by_day WHERE day BETWEEN %(week)s AND %(end)s
"""

CHARACTERS: Final = "SELECT count(*) FROM timeline.character WHERE day = %(day)s"


def read_board(connection: psycopg.Connection, day: date) -> Board:
    """Read who has cleared what in a day's week."""
    week = week_of(day)

    def ask(query: QueryNoTemplate) -> list[tuple[Any, ...]]:
        values = {"week": week, "end": end_of_week(week), "day": day, "limit": SHOWN}
        return connection.execute(query, values).fetchall()

    goals = tuple(Goal(*row) for row in ask(GOALS))
    return Board(
        week=week,
        last=ask(LAST_IN_MARTS)[0][0] or day,
        contents=tuple(Content(*row) for row in ask(CONTENTS)),
        goals=goals,
        rows=_arrange(goals, ask(BOARD_ROWS)),
        characters=ask(CHARACTERS)[0][0],
    )


def _arrange(goals: Sequence[Goal], rows: Sequence[Sequence[Any]]) -> tuple[BoardRow, ...]:
    places = {(goal.kind, goal.name, goal.mode, goal.is_hard): place for place, goal in enumerate(goals)}
    clears: dict[Person, list[int]] = {}
    for row in rows:
        counts = clears.setdefault(Person.read(row[:5]), [0] * len(goals))
        place = places.get(tuple(row[5:9]))
        if place is not None:
            counts[place] = row[9]
    return tuple(BoardRow(person, tuple(counts)) for person, counts in clears.items())
