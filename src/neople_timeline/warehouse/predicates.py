"""What can be said of a row of the ledger or of a day, as SQL.

Each speaks of its row under one alias: `c` of `timeline.collection`, `d` of `timeline.day`.
"""

from typing import Final

from neople_timeline.catalogue import LEARNT_DAYS, MARTS, Period
from neople_timeline.models import CHARACTER_ID, SERVER_ID

# Of a character-day `c` of the ledger.

OPEN_STATES: Final = ("planned", "owed")
OPEN: Final = f"c.state IN {OPEN_STATES}"
"""It is still to be collected."""

COLLECTED_STATES: Final = ("landed", "loaded", "verified")
COLLECTED: Final = f"c.state IN {COLLECTED_STATES}"
"""It has landed, and nothing newer is asked for."""

IS_STORED: Final = """EXISTS (
  SELECT FROM timeline.character k
  WHERE k.day = c.day AND k.server_id = c.server_id AND k.character_id = c.character_id
    AND k.digest = c.digest AND k.events = c.events)"""
"""PostgreSQL has the rows of what landed of it."""

DUE: Final = "(c.next_try_at IS NULL OR c.next_try_at <= clock_timestamp())"
"""It may be asked for now."""

_ANSWERED: Final = "CASE WHEN c.state = 'missing' THEN c.claimed_at ELSE c.asked_at END"
TOO_EARLY: Final = f"(({_ANSWERED} < %(over_at)s OR {_ANSWERED} > clock_timestamp()) AND NOT {OPEN})"
"""What it is now was asked for before its day was over, or in the future: a clock was wrong then."""

# Of a day `d`.

OF_A_BACKFILL: Final = """EXISTS (
  SELECT FROM (
    SELECT first_day, last_day, planned_at FROM timeline.backfill
    UNION ALL SELECT first_day, last_day, expires_at FROM timeline.worker WHERE kind = 'backfill'
  ) AS b (first_day, last_day, left_at)
  WHERE d.day BETWEEN first_day AND last_day AND left_at > clock_timestamp() - interval '12 hours')"""
"""A backfill planned or collected it: it is the backfill's own until left behind for half a day."""


def _is_of(period: Period) -> str:
    return f"mart IN ({', '.join(repr(mart.name) for mart in MARTS if mart.period == period)})"


OF_DAYS, OF_WEEKS, OF_MONTHS = _is_of("day"), _is_of("week"), _is_of("month")
"""A row of `timeline.published_mart` is of a mart by day, by week, or by month."""

WEEK: Final = "(date_trunc('week', d.day - 3)::date + 3)"
"""The Thursday with which its week begins."""

MONTH: Final = "date_trunc('month', d.day)::date"


def _generation(of_period: str, period: str) -> str:
    return f"coalesce((SELECT min(generation) FROM timeline.published_mart WHERE {of_period} AND period = {period}), 0)"


def _newest_change(first: str) -> str:
    return f"(SELECT max(changed_in) FROM timeline.day b WHERE b.day BETWEEN {first} AND d.day)"


MARTS_GENERATION: Final = _generation(OF_DAYS, "d.day")
"""The least generation of its marts by day; 0 where it has none, or one is not what was published."""

WEEK_GENERATION: Final = _generation(OF_WEEKS, WEEK)
"""The same of the marts of its week."""

_OF_DAY_ARE_OLD: Final = f"{_newest_change(f'd.day - {LEARNT_DAYS}')} > {MARTS_GENERATION}"
_OF_WEEK_ARE_OLD: Final = f"{_newest_change(f'{WEEK} - {LEARNT_DAYS}')} > {WEEK_GENERATION}"
_OF_MONTH_ARE_OLD: Final = f"{_newest_change(MONTH)} > {_generation(OF_MONTHS, MONTH)}"

HAS_OLD_MARTS: Final = f"""(changed_in IS NOT NULL
  AND ({_OF_DAY_ARE_OLD} OR {_OF_WEEK_ARE_OLD} OR {_OF_MONTH_ARE_OLD}))"""
"""What its marts, or those of its week or month, read of the days up to it changed since they were computed."""


def _is_first_of(period: str) -> str:
    return f"NOT EXISTS (SELECT FROM timeline.day b WHERE changed_in IS NOT NULL AND day >= {period} AND day < d.day)"


HAS_MARTS_TO_RENEW: Final = f"""(changed_in IS NOT NULL
  AND ({_OF_DAY_ARE_OLD}
    OR {_OF_WEEK_ARE_OLD} AND {_is_first_of(WEEK)}
    OR {_OF_MONTH_ARE_OLD} AND {_is_first_of(MONTH)}))"""
"""The same, but of a week or month, which one of its days renews, only the first day is named."""

# Of rows of other tables, under any name.

WELL_FORMED: Final = f"(server_id ~ '^{SERVER_ID}$' AND character_id ~ '^{CHARACTER_ID}$')"
"""The API can be asked for the character: the roster may be filled by SQL, with anything."""

LIVE: Final = "(SELECT worker_id FROM timeline.worker WHERE expires_at > clock_timestamp() AND finished_at IS NULL)"
"""The workers whose claims hold."""

LOST: Final = "CASE WHEN expires_at > clock_timestamp() THEN 0 ELSE unlanded END"
"""What a row of `timeline.worker` tells was fetched and never got into the ledger: those at work may land it still."""

# What is done to days before and after their character-days change.

LOCK_DAYS: Final = "SELECT FROM timeline.day WHERE day = ANY(%(days)s) ORDER BY day FOR NO KEY UPDATE"
"""Lets nobody else say of some days that they are proven, or that something landed, until the transaction ends.

A statement after it sees what others had said by then."""

TOUCH: Final = "UPDATE timeline.day SET verified_at = NULL, changed_in = nextval('timeline.mart_generation')"
"""Says of the days in its WHERE that they changed."""
