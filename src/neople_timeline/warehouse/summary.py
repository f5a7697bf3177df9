"""Reads everything that a report says about a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from neople_timeline.models import Calendar, week_of
from neople_timeline.summary import (
    EQUIPMENT_ROUTES,
    LEGION,
    LUCK_ROUTES,
    OATH_ROUTES,
    RAID,
    RARITIES,
    Attempts,
    Board,
    BoardRow,
    DataState,
    DayFigures,
    Debt,
    Drop,
    DropCount,
    Goal,
    Luck,
    Person,
    Reject,
    Rename,
    Spending,
    Summary,
)

TREND_DAYS: Final = 14
SHOWN: Final = 50
BEST_DROPS: Final = 20
LUCKY: Final = 5

_PERSON = "e.server_id, e.character_id, p.character_name, p.adventure_name, p.guild_name"
_WITH_PERSON = "LEFT JOIN timeline.character p USING (day, server_id, character_id)"
_GAINED = "CASE WHEN safe_move = 'in' THEN -1 ELSE 1 END"

_FIGURES = """
WITH ledger AS (
  SELECT day, sum(events) AS events, count(*) FILTER (WHERE events > 0) AS active
  FROM timeline.collection
  WHERE day BETWEEN %(first)s AND %(day)s AND state IN ('landed', 'loaded', 'verified')
  GROUP BY day),
counted AS (
  SELECT day,
    count(*) FILTER (WHERE item_rarity = '태초' AND code = ANY(%(luck)s)) AS primeval,
    count(*) FILTER (WHERE item_rarity = '에픽' AND code = ANY(%(luck)s)) AS epic,
    count(*) FILTER (WHERE item_rarity = '레전더리' AND code = ANY(%(luck)s)) AS legendary,
    count(*) FILTER (WHERE code = 201 AND raid_phase_name IS NULL) AS raids,
    count(*) FILTER (WHERE code = 209) AS legions
  FROM timeline.event WHERE day BETWEEN %(first)s AND %(day)s GROUP BY day)
SELECT day, ledger.events, active, coalesce(primeval, 0), coalesce(epic, 0), coalesce(legendary, 0),
  coalesce(raids, 0), coalesce(legions, 0)
FROM ledger LEFT JOIN counted USING (day) ORDER BY day
"""

_DROPS = f"""
SELECT coalesce(item_rarity, ''), code, sum({_GAINED}) FROM timeline.event
WHERE day = %(day)s AND code = ANY(%(routes)s) AND item_name IS NOT NULL
GROUP BY 1, 2 ORDER BY 2, 1
"""

_BEST_DROPS = f"""
SELECT {_PERSON}, e.occurred_minute, e.item_name, e.item_rarity, e.code, e.dungeon_name, e.channel_name, e.channel_no
FROM timeline.event e {_WITH_PERSON}
WHERE e.day = %(day)s AND e.code = ANY(%(luck)s) AND e.item_rarity = ANY(%(best)s)
ORDER BY array_position(%(best)s::text[], e.item_rarity), e.occurred_at, 1, 2, e.ordinal LIMIT %(limit)s
"""

_LUCK = f"""
WITH e AS (
  SELECT server_id, character_id, count(*) AS drops,
    count(*) FILTER (WHERE item_rarity = '태초') AS primeval,
    count(*) FILTER (WHERE item_rarity = '에픽') AS epic,
    count(*) FILTER (WHERE item_rarity = '레전더리') AS legendary
  FROM timeline.event
  WHERE day BETWEEN %(week)s AND %(day)s AND code = ANY(%(luck)s) AND item_name IS NOT NULL
  GROUP BY 1, 2),
chosen AS (
  (SELECT 1 AS side, * FROM e WHERE primeval + epic > 0
   ORDER BY primeval DESC, epic DESC, legendary DESC, drops DESC, 2, 3 LIMIT %(limit)s)
  UNION ALL
  (SELECT 2, * FROM e WHERE primeval = 0 ORDER BY drops - 5 * epic DESC, 2, 3 LIMIT %(limit)s))
SELECT side, {_PERSON}, drops, primeval, epic, legendary
FROM chosen e LEFT JOIN timeline.character p
  ON p.day = %(day)s AND p.server_id = e.server_id AND p.character_id = e.character_id
ORDER BY side, CASE WHEN side = 1 THEN -primeval ELSE 0 END, CASE WHEN side = 1 THEN -epic ELSE 0 END,
  CASE WHEN side = 1 THEN -legendary ELSE 5 * epic - drops END, -drops, 2, 3
"""

_HOURS = """
SELECT day, substring(occurred_minute FROM 12 FOR 2)::integer, count(*) FROM timeline.event
WHERE day = ANY(%(days)s) GROUP BY 1, 2
"""

# A raid with phases has a row per phase, and only the last is a clear: the one that ends most characters' evenings.
_CLEARS = """
WITH rows AS (
  SELECT server_id, character_id, occurred_at, ordinal, code = 209 AS is_legion,
    coalesce(region_name, raid_name) AS goal, coalesce(raid_mode_name, '') AS mode, coalesce(is_hard, false) AS is_hard,
    raid_phase_name AS phase
  FROM timeline.event WHERE day BETWEEN %(week)s AND %(day)s AND code IN (201, 209)),
endings AS (
  SELECT DISTINCT ON (goal, server_id, character_id) goal, phase FROM rows WHERE phase IS NOT NULL
  ORDER BY goal, server_id, character_id, occurred_at DESC, ordinal DESC),
last_phases AS (SELECT goal, mode() WITHIN GROUP (ORDER BY phase) AS phase FROM endings GROUP BY goal)
SELECT is_legion, goal, mode, is_hard, server_id, character_id, count(*) AS clears
FROM rows LEFT JOIN last_phases l USING (goal)
WHERE goal IS NOT NULL AND (rows.phase IS NULL OR rows.phase = l.phase)
GROUP BY 1, 2, 3, 4, 5, 6
"""

_ATTEMPTS = """
SELECT code, after_level,
  count(*) FILTER (WHERE is_safe IS NOT TRUE AND ticket_item_name IS NULL),
  count(*) FILTER (WHERE is_safe IS NOT TRUE AND ticket_item_name IS NULL AND is_success),
  count(*) FILTER (WHERE is_safe), count(*) FILTER (WHERE ticket_item_name IS NOT NULL)
FROM timeline.event WHERE day = %(day)s AND code IN (401, 402) AND after_level IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""

_RENAMES = f"""
SELECT {_PERSON}, e.code, e.before_name, e.after_name FROM timeline.event e {_WITH_PERSON}
WHERE e.day = %(day)s AND e.code IN (102, 105) ORDER BY e.code, e.occurred_at, 1, 2, e.ordinal LIMIT %(limit)s
"""

_NEWCOMERS = f"""
SELECT DISTINCT {_PERSON} FROM timeline.event e {_WITH_PERSON}
WHERE e.day = %(day)s AND e.code = 101 ORDER BY 1, 2 LIMIT %(limit)s
"""


def read_summary(connection: psycopg.Connection, day: date, calendar: Calendar, failure: str | None = None) -> Summary:
    """Read a day as the report tells it, in one snapshot; `failure` says what kept the run from its end."""
    reader = _Reader(connection, day)
    window = calendar.window(day, day)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        trend = reader.read_figures()
        by_day = {figures.day: figures for figures in trend}
        luckiest, unluckiest = reader.read_luck()
        hours = reader.read_hours()
        return Summary(
            day=day,
            first_minute=window.start,
            last_minute=window.end,
            figures=by_day.get(day, DayFigures(day, 0, 0, 0, 0, 0, 0, 0)),
            yesterday=by_day.get(day - timedelta(days=1)),
            last_week=by_day.get(day - timedelta(days=7)),
            trend=trend,
            drops=reader.read_drops(),
            best_drops=reader.read_best_drops(),
            luckiest=luckiest,
            unluckiest=unluckiest,
            hours=hours.get(day, (0,) * 24),
            hours_yesterday=hours.get(day - timedelta(days=1)),
            first_hour=calendar.starts_at.hour,
            board=reader.read_board(),
            attempts=reader.read_attempts(),
            renames=reader.read_renames(),
            newcomers=reader.read_newcomers(),
            state=read_state(connection, day),
            failure=failure,
        )


class _Reader:
    """Asks about one day; each method is one question."""

    def __init__(self, connection: psycopg.Connection, day: date) -> None:
        self._connection = connection
        self._values = {
            "day": day,
            "first": day - timedelta(days=TREND_DAYS - 1),
            "week": day - timedelta(days=6),
            "days": [day, day - timedelta(days=1)],
            "luck": list(LUCK_ROUTES),
            "routes": [*EQUIPMENT_ROUTES, *OATH_ROUTES],
            "best": list(RARITIES[:4]),
        }

    def _ask(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query.encode(), self._values | values).fetchall()

    def read_figures(self) -> tuple[DayFigures, ...]:
        return tuple(DayFigures(*row) for row in self._ask(_FIGURES))

    def read_drops(self) -> tuple[DropCount, ...]:
        return tuple(DropCount(rarity, code, int(count)) for rarity, code, count in self._ask(_DROPS))

    def read_best_drops(self) -> tuple[Drop, ...]:
        return tuple(
            Drop(minute, _person(row), item or "", rarity, code, dungeon or "", channel or "", number)
            for *row, minute, item, rarity, code, dungeon, channel, number in self._ask(_BEST_DROPS, limit=BEST_DROPS)
        )

    def read_luck(self) -> tuple[tuple[Luck, ...], tuple[Luck, ...]]:
        rows = self._ask(_LUCK, limit=LUCKY)
        lucky, unlucky = ([Luck(_person(row[1:6]), *row[6:]) for row in rows if row[0] == side] for side in (1, 2))
        best = {one.person for one in lucky}
        return tuple(lucky), tuple(one for one in unlucky if one.person not in best)

    def read_hours(self) -> dict[date, tuple[int, ...]]:
        found: dict[date, list[int]] = {}
        for day, hour, count in self._ask(_HOURS):
            found.setdefault(day, [0] * 24)[hour] = count
        return {day: tuple(hours) for day, hours in found.items()}

    def read_board(self) -> Board:
        day = self._values["day"]
        assert isinstance(day, date)
        rows = self._ask(_CLEARS, week=week_of(day))
        return _make_board(rows, self._read_persons(rows))

    def _read_persons(self, clears: Sequence[tuple[Any, ...]]) -> dict[tuple[str, str], Person]:
        totals: dict[tuple[str, str], int] = {}
        for *_goal, server, character, count in clears:
            totals[server, character] = totals.get((server, character), 0) + count
        best = sorted(totals, key=lambda key: (-totals[key], key))[:SHOWN]
        rows = self._ask(
            "SELECT e.server_id, e.character_id, p.character_name, p.adventure_name, p.guild_name"
            " FROM unnest(%(servers)s::text[], %(characters)s::text[]) AS e(server_id, character_id)"
            " LEFT JOIN timeline.character p ON p.day = %(day)s"
            " AND p.server_id = e.server_id AND p.character_id = e.character_id",
            servers=[server for server, _ in best],
            characters=[character for _, character in best],
        )
        persons = {(row[0], row[1]): _person(row) for row in rows}
        return {key: persons[key] for key in best}

    def read_attempts(self) -> tuple[Attempts, ...]:
        return tuple(Attempts(*row) for row in self._ask(_ATTEMPTS))

    def read_renames(self) -> tuple[Rename, ...]:
        return tuple(
            Rename(code, _person(row), before or "", after or "")
            for *row, code, before, after in self._ask(_RENAMES, limit=SHOWN)
        )

    def read_newcomers(self) -> tuple[Person, ...]:
        return tuple(_person(row) for row in self._ask(_NEWCOMERS, limit=SHOWN))


def read_state(connection: psycopg.Connection, day: date) -> DataState:
    """Read how complete a day is: what was collected, what is missing or owed and why, and what it cost."""
    reader = _Reader(connection, day)
    counts = dict(reader._ask("SELECT state, count(*) FROM timeline.collection WHERE day = %(day)s GROUP BY 1"))
    reasons = reader._ask(
        "SELECT coalesce(reason, state), count(*) FROM timeline.collection"
        " WHERE day = %(day)s AND state IN ('planned', 'owed') GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
    )
    rejects = reader._ask("SELECT line_number, line, reason FROM timeline.roster_reject ORDER BY 1 LIMIT 50")
    rejected = reader._ask("SELECT count(*) FROM timeline.roster_reject")[0][0]
    verified = reader._ask("SELECT verified_at IS NOT NULL FROM timeline.day WHERE day = %(day)s")
    return DataState(
        planned=sum(counts.values()),
        collected=sum(counts.get(state, 0) for state in ("landed", "loaded", "verified")),
        missing=counts.get("missing", 0),
        owed=counts.get("planned", 0) + counts.get("owed", 0),
        debts=_read_ledger(reader, ("planned", "owed")),
        reasons=tuple((reason, count) for reason, count in reasons),
        missing_characters=_read_ledger(reader, ("missing",)),
        rejects=tuple(Reject(*row) for row in rejects),
        rejected=rejected,
        spending=_read_spending(reader),
        is_verified=bool(verified and verified[0][0]),
    )


def _read_ledger(reader: _Reader, states: tuple[str, ...]) -> tuple[Debt, ...]:
    rows = reader._ask(
        "SELECT c.server_id, c.character_id, coalesce(r.name, ''), coalesce(c.reason, c.state)"
        " FROM timeline.collection c LEFT JOIN timeline.roster r USING (server_id, character_id)"
        " WHERE c.day = %(day)s AND c.state = ANY(%(states)s) ORDER BY 1, 2 LIMIT %(limit)s",
        states=list(states),
        limit=SHOWN,
    )
    return tuple(Debt(*row) for row in rows)


def _read_spending(reader: _Reader) -> Spending | None:
    row = reader._ask(
        "SELECT sum(requests)::bigint, sum(retried)::bigint, sum(repeated)::bigint, sum(throttled)::bigint,"
        " extract(epoch FROM max(finished_at) - min(started_at))::float, max(allowed_rate)"
        " FROM timeline.worker WHERE kind = 'daily' AND last_day = %(day)s AND requests > 0 AND finished_at IS NOT NULL"
    )[0]
    if row[0] is None:
        return None
    requests, retried, repeated, throttled, seconds, rate = row
    return Spending(requests, retried, repeated, throttled, seconds, (requests - retried - repeated - throttled) / rate)


def _person(row: Sequence[Any]) -> Person:
    server, character, name, adventure, guild = row
    return Person(server, character, name or character[:8], adventure or "", guild or "")


def _make_board(clears: Sequence[tuple[Any, ...]], persons: dict[tuple[str, str], Person]) -> Board:
    totals: dict[tuple[Any, ...], list[int]] = {}
    cleared: dict[tuple[str, str], dict[tuple[Any, ...], int]] = {}
    for *goal, server, character, count in clears:
        total = totals.setdefault(tuple(goal), [0, 0])
        total[0] += count
        total[1] += 1
        cleared.setdefault((server, character), {})[tuple(goal)] = count
    goals = sorted(totals, key=lambda goal: (goal[0], -totals[goal][1], goal))
    return Board(
        tuple(Goal(LEGION if is_legion else RAID, name, mode, is_hard, *totals[is_legion, name, mode, is_hard])
              for is_legion, name, mode, is_hard in goals),
        tuple(BoardRow(person, tuple(cleared[key].get(goal, 0) for goal in goals)) for key, person in persons.items()),
        len(cleared),
    )  # fmt: skip
