"""Reads what a report says about a day or a week: figures from the marts, lists from the events behind them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import psycopg
from psycopg.abc import QueryNoTemplate

from neople_timeline.models import Calendar, days_between, week_of
from neople_timeline.summary import (
    BEST_RARITIES,
    DROP_ROUTES,
    OATH_DROP_ROUTES,
    RARITIES,
    SAFE_ROUTES,
    TREND_DAYS,
    Attempts,
    Channel,
    DayFigures,
    Drop,
    DropCount,
    Luck,
    Newcomer,
    Novelty,
    Person,
    Rename,
    Star,
    Summary,
)
from neople_timeline.tables import PAYLOAD_COLUMNS
from neople_timeline.warehouse.board import read_board
from neople_timeline.warehouse.predicates import OPEN
from neople_timeline.warehouse.state import is_provisional, read_state

BEST_DROPS: Final = 20
MOST_BEST_DROPS: Final = 200
"""So many of the best rarity are listed, where there are more than `BEST_DROPS`."""
CHANNELS: Final = 5
LUCKY: Final = 5
SHOWN: Final = 50
FILLED_BEFORE: Final = 50
"""Values that a column had on the day before, so that it is no chance if it has none today."""

FIGURES: Final = """
SELECT day, sum(events)::bigint, sum(active_characters)::bigint, sum(primeval_drops)::bigint, sum(epic_drops)::bigint,
  sum(legendary_drops)::bigint, sum(raid_clears)::bigint, sum(legion_clears)::bigint
FROM timeline.mart_servers_by_day WHERE day BETWEEN %(first)s AND %(last)s GROUP BY day ORDER BY day
"""

# A character that was active on several days counts once. Clears are the board's, which has seen the whole week's runs
# and so knows the raids' last phases.
WEEK_FIGURES: Final = """
SELECT max(day), sum(events)::bigint, count(DISTINCT (server_id, character_id)) FILTER (WHERE events > 0),
  sum(primeval_drops)::bigint, sum(epic_drops)::bigint, sum(legendary_drops)::bigint, max(raids), max(legions)
FROM timeline.mart_characters_by_day, (
  SELECT coalesce(sum(clears) FILTER (WHERE kind <> 'legion'), 0)::bigint AS raids,
    coalesce(sum(clears) FILTER (WHERE kind = 'legion'), 0)::bigint AS legions
  FROM timeline.mart_clears_by_week WHERE week = %(first)s) AS cleared
WHERE day BETWEEN %(first)s AND %(last)s HAVING count(*) > 0
"""

# One character of a hundred changes no comparison.
WHOLE_DAYS: Final = f"""
SELECT day FROM timeline.collection c WHERE day BETWEEN %(first)s AND %(last)s
GROUP BY day HAVING count(*) FILTER (WHERE {OPEN}) <= count(*) / 100.0
""".encode()

DROPS: Final = """
SELECT coalesce(item_rarity, ''), route_code, sum(drops + safe_net)::bigint FROM timeline.mart_drops_by_day
WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2 ORDER BY 2, 1
"""

IS_BEST_DROP: Final = f"""(e.code IN {DROP_ROUTES} AND e.item_rarity IN {BEST_RARITIES}
  OR e.code IN {OATH_DROP_ROUTES} AND e.item_rarity = '{RARITIES[0]}')"""
"""An event `e` is one that a report names."""

DROP_COLUMNS: Final = """e.server_id, e.character_id, p.character_name, p.adventure_name, p.guild_name,
  e.occurred_minute, coalesce(e.item_name, ''), e.item_rarity, e.code, coalesce(e.dungeon_name, ''),
  coalesce(e.channel_name, ''), e.channel_no"""

BEST_DROP_ROWS: Final = f"""
SELECT {DROP_COLUMNS}
FROM timeline.event e LEFT JOIN timeline.character p USING (day, server_id, character_id)
WHERE e.day BETWEEN %(first)s AND %(last)s AND {IS_BEST_DROP}
ORDER BY array_position(%(best)s::text[], e.item_rarity), CASE WHEN %(newest_first)s THEN e.occurred_at END DESC,
  e.occurred_at, e.server_id, e.character_id, e.ordinal
LIMIT %(limit)s
""".encode()

# The earliest of those who have equally many.
STAR: Final = f"""
WITH counts AS (
  SELECT server_id, character_id, sum(CASE %(rarity)s
    WHEN '태초' THEN primeval_drops WHEN '신화' THEN mythic_drops ELSE epic_drops END)::bigint AS items
  FROM timeline.mart_characters_by_day WHERE day BETWEEN %(first)s AND %(last)s GROUP BY server_id, character_id)
SELECT {DROP_COLUMNS}, items
FROM (SELECT * FROM counts WHERE items = (SELECT max(items) FROM counts)) most
JOIN timeline.event e USING (server_id, character_id)
LEFT JOIN timeline.character p USING (day, server_id, character_id)
WHERE e.day BETWEEN %(first)s AND %(last)s AND e.code IN {DROP_ROUTES} AND e.item_rarity = %(rarity)s
ORDER BY e.occurred_at, e.server_id, e.character_id, e.ordinal LIMIT 1
""".encode()

CHANNEL_ROWS: Final = """
SELECT channel_name, channel_no, sum(primeval_drops)::bigint AS primeval, count(*) OVER ()
FROM timeline.mart_drops_by_channel
WHERE day BETWEEN %(first)s AND %(last)s AND primeval_drops > 0 AND channel_name IS NOT NULL
GROUP BY channel_name, channel_no ORDER BY primeval DESC, channel_name, channel_no LIMIT %(limit)s
"""

LUCKIEST: Final = """
SELECT server_id, character_id, character_name, adventure_name, NULL, dungeon_runs, primeval_drops, epic_drops
FROM timeline.mart_luck_by_week WHERE week = %(week)s AND primeval_drops + epic_drops > 0
ORDER BY primeval_drops DESC, luck_rank, dungeon_runs DESC, server_id, character_id LIMIT %(limit)s
"""

UNLUCKIEST: Final = """
SELECT server_id, character_id, character_name, adventure_name, NULL, dungeon_runs, primeval_drops, epic_drops
FROM timeline.mart_luck_by_week WHERE week = %(week)s AND primeval_drops = 0 AND dungeon_runs > 0
ORDER BY dungeon_runs DESC, epic_drops, server_id, character_id LIMIT %(limit)s
"""

HOURS: Final = """
SELECT hour, sum(events)::bigint FROM timeline.mart_activity_by_hour
WHERE day BETWEEN %(first)s AND %(last)s GROUP BY hour
"""

ATTEMPTS: Final = """
SELECT CASE kind WHEN 'reinforce' THEN 401 ELSE 402 END, target_level, sum(attempts)::bigint, sum(successes)::bigint,
  sum(safe_attempts)::bigint, sum(ticket_attempts)::bigint
FROM timeline.mart_enhancements_by_day
WHERE day BETWEEN %(first)s AND %(last)s AND kind IN ('reinforce', 'amplify') AND target_level IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""

# An adventure's new name is told by each of its characters.
RENAMES: Final = """
SELECT * FROM (
  SELECT DISTINCT ON (code, server_id, before_name, after_name, CASE code WHEN 102 THEN character_id END)
    server_id, character_id, p.character_name, p.adventure_name, p.guild_name, code, before_name, after_name
  FROM (
    SELECT day, server_id, character_id, occurred_minute, ordinal,
      CASE kind WHEN 'renamed' THEN 102 ELSE 105 END AS code,
      coalesce(before_name, '') AS before_name, coalesce(after_name, '') AS after_name
    FROM timeline.mart_changes_by_day
    WHERE day BETWEEN %(first)s AND %(last)s AND kind IN ('renamed', 'adventure renamed')
  ) c LEFT JOIN timeline.character p USING (day, server_id, character_id)
  ORDER BY code, server_id, before_name, after_name, CASE code WHEN 102 THEN character_id END,
    occurred_minute, character_id, ordinal
) renames ORDER BY code, server_id, character_id, before_name, after_name LIMIT %(limit)s
"""

# Nobody is new on the very first day.
NEWCOMERS: Final = """
SELECT * FROM (
  SELECT DISTINCT ON (p.server_id, p.character_id)
    p.server_id, p.character_id, p.character_name, p.adventure_name, p.guild_name, c.kind IS NOT NULL AS is_created
  FROM timeline.character p
  LEFT JOIN (SELECT DISTINCT server_id, character_id, kind FROM timeline.mart_changes_by_day
    WHERE day BETWEEN %(first)s AND %(last)s AND kind = 'created') c USING (server_id, character_id)
  WHERE p.day BETWEEN %(first)s AND %(last)s AND (c.kind IS NOT NULL
    OR (EXISTS (SELECT FROM timeline.day WHERE day < %(first)s)
      AND NOT EXISTS (SELECT FROM timeline.collection e WHERE e.server_id = p.server_id
        AND e.character_id = p.character_id AND e.day < %(first)s AND e.state <> 'missing')))
  ORDER BY p.server_id, p.character_id, p.day DESC
) newcomers ORDER BY is_created DESC, server_id, character_id LIMIT %(limit)s
"""

NOVELTIES: Final = """
SELECT code, name, sum(events)::bigint AS events FROM timeline.mart_codes_by_day
WHERE day BETWEEN %(first)s AND %(last)s AND NOT is_known
GROUP BY code, name ORDER BY events DESC, code, name LIMIT %(limit)s
"""

# A part of the day is enough to see whether a column has any values.
FILLED: Final = f"""
SELECT count(*), {", ".join(f"count({column.name})" for column in PAYLOAD_COLUMNS)}
FROM (SELECT * FROM timeline.event WHERE day = %(day)s LIMIT 50000) AS sample
""".encode()


def read_summary(
    connection: psycopg.Connection,
    day: date,
    calendar: Calendar,
    failure: str | None = None,
    *,
    first: date | None = None,
) -> Summary:
    """Read a day as the report tells it, in one snapshot, or the week that begins at `first` and ends with the day.

    `failure` says what kept the run from its end.
    """
    first = first or day
    window = calendar.window(first, day)
    length = (day - first).days + 1
    before = (first - timedelta(days=length), first - timedelta(days=1))
    reader = Reader(connection)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        trend = reader.read_figures(day - timedelta(days=TREND_DAYS - 1), day)
        by_day = {figures.day: figures for figures in trend}
        is_over = not is_provisional(connection, day, calendar.over_at(day))
        whole = reader.list_whole_days(
            day - timedelta(days=TREND_DAYS - 1), day if is_over else day - timedelta(days=1)
        )
        is_week = length > 1
        drops = reader.read_drops(first, day)
        channels, channel_count = reader.read_channels(first, day)
        # A day or week that was collected in part only is not compared, and nothing to compare with.
        is_whole = whole.issuperset(days_between(first, day))
        comparable = {one: figures for one, figures in by_day.items() if one in whole and is_whole}
        has_before = all(one in comparable for one in days_between(*before))
        last_week = comparable.get(day - timedelta(days=7))
        if is_week:
            last_week = reader.read_week(*before) if has_before else None
        return Summary(
            first=first,
            day=day,
            first_minute=window.start,
            last_minute=window.end,
            figures=reader.read_week(first, day) if is_week else by_day.get(day),
            yesterday=None if is_week else comparable.get(day - timedelta(days=1)),
            last_week=last_week,
            trend=trend,
            whole=whole,
            drops=drops,
            star=reader.read_star(first, day, drops),
            best_drops=reader.read_best_drops(first, day, drops),
            channels=channels,
            channel_count=channel_count,
            luckiest=reader.read_luck(LUCKIEST, week_of(day)),
            unluckiest=reader.read_luck(UNLUCKIEST, week_of(day)),
            hours=reader.read_hours(first, day) or (0,) * 24,
            hours_before=reader.read_hours(*before) if has_before else None,
            first_hour=calendar.starts_at.hour,
            board=read_board(connection, day),
            attempts=reader.read_attempts(first, day),
            renames=reader.read_renames(first, day),
            newcomers=reader.read_newcomers(first, day),
            state=read_state(connection, first, day),
            failure=failure,
            is_provisional=not is_over,
            novelties=reader.read_novelties(first, day),
            emptied=() if is_week else reader.read_emptied(day),
        )


class Reader:
    """Each method is one question about the days from `first` to `last`, or one day's week."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Ask over this connection, in its transaction."""
        self._connection = connection

    def _ask(self, query: QueryNoTemplate, **values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def read_figures(self, first: date, last: date) -> tuple[DayFigures, ...]:
        """Read the figures of the days whose marts are computed."""
        return tuple(DayFigures(*row) for row in self._ask(FIGURES, first=first, last=last))

    def list_whole_days(self, first: date, last: date) -> frozenset[date]:
        """List the days of which next to nothing is owed."""
        return frozenset(row[0] for row in self._ask(WHOLE_DAYS, first=first, last=last))

    def read_week(self, first: date, last: date) -> DayFigures | None:
        """Read the figures of several days together; None where nothing is known."""
        rows = self._ask(WEEK_FIGURES, first=first, last=last)
        return DayFigures(*rows[0]) if rows else None

    def read_drops(self, first: date, last: date) -> tuple[DropCount, ...]:
        """Count the gains by rarity and route."""
        return tuple(DropCount(*row) for row in self._ask(DROPS, first=first, last=last))

    def read_star(self, first: date, last: date, drops: Sequence[DropCount]) -> Star | None:
        """Find who got most equipment of the best rarity that there was among these drops."""
        found = {drop.rarity for drop in drops if drop.code in DROP_ROUTES}
        for rarity in BEST_RARITIES:
            if rarity in found:
                rows = self._ask(STAR, first=first, last=last, rarity=rarity)
                return Star(_drop(rows[0][:-1]), rows[0][-1]) if rows else None
        return None

    def read_best_drops(self, first: date, last: date, drops: Sequence[DropCount]) -> tuple[Drop, ...]:
        """List the best that dropped, the rarest first: all of the best rarity among these drops, if there is room."""
        best = sum(drop.count for drop in drops if drop.rarity == RARITIES[0] and drop.code not in SAFE_ROUTES)
        limit = min(max(BEST_DROPS, best), MOST_BEST_DROPS)
        values = {"first": first, "last": last, "best": list(BEST_RARITIES), "limit": limit}
        return tuple(map(_drop, self._ask(BEST_DROP_ROWS, **values, newest_first=first != last)))

    def read_channels(self, first: date, last: date) -> tuple[tuple[Channel, ...], int]:
        """List the channels on which most of the best equipment dropped, and count all on which any did."""
        rows = self._ask(CHANNEL_ROWS, first=first, last=last, limit=CHANNELS)
        return tuple(Channel(*row[:3]) for row in rows), rows[0][3] if rows else 0

    def read_luck(self, query: QueryNoTemplate, week: date) -> tuple[Luck, ...]:
        """List the luckiest or unluckiest characters of a week."""
        return tuple(Luck(Person.read(row[:5]), *row[5:]) for row in self._ask(query, week=week, limit=LUCKY))

    def read_hours(self, first: date, last: date) -> tuple[int, ...] | None:
        """Count the events by hour; None where nothing is known."""
        events = dict(self._ask(HOURS, first=first, last=last))
        return tuple(events.get(hour, 0) for hour in range(24)) if events else None

    def read_attempts(self, first: date, last: date) -> tuple[Attempts, ...]:
        """Count reinforcements and amplifications by level."""
        return tuple(Attempts(*row) for row in self._ask(ATTEMPTS, first=first, last=last))

    def read_renames(self, first: date, last: date) -> tuple[Rename, ...]:
        """List the new names."""
        rows = self._ask(RENAMES, first=first, last=last, limit=SHOWN)
        return tuple(Rename(row[5], Person.read(row[:5]), *row[6:]) for row in rows)

    def read_newcomers(self, first: date, last: date) -> tuple[Newcomer, ...]:
        """List the characters that were not there before."""
        return tuple(
            Newcomer(Person.read(row[:5]), row[5]) for row in self._ask(NEWCOMERS, first=first, last=last, limit=SHOWN)
        )

    def read_novelties(self, first: date, last: date) -> tuple[Novelty, ...]:
        """List the kinds of events that the project does not know."""
        return tuple(Novelty(*row) for row in self._ask(NOVELTIES, first=first, last=last, limit=SHOWN))

    def read_emptied(self, day: date) -> tuple[str, ...]:
        """Name the columns that had values on the day before, and have none in about as many events of this one."""
        (events, *filled), (events_before, *filled_before) = (
            self._ask(FILLED, day=one)[0] for one in (day, day - timedelta(days=1))
        )
        if events < events_before / 2:
            return ()
        columns = zip(PAYLOAD_COLUMNS, filled, filled_before, strict=True)
        return tuple(column.name for column, now, before in columns if before >= FILLED_BEFORE and not now)


def _drop(row: Sequence[Any]) -> Drop:
    return Drop(row[5], Person.read(row[:5]), *row[6:])
