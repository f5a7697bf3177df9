"""Which days a mart has to read, and which of its periods it replaces, when some days have changed."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import get_args

import pyarrow as pa

from neople_timeline.catalogue import LEARNT_DAYS, MARTS, Mart, Period, period_of
from neople_timeline.models import days_between, end_of_month, end_of_week, week_of


def periods_of(days: Iterable[date], period: Period) -> tuple[date, ...]:
    """Name the periods that the days touch, in order."""
    return tuple(sorted({period_of(day, period) for day in days}))


def days_covered(days: Iterable[date], period: Period) -> tuple[date, ...]:
    """List every day of the periods that the days touch, in order."""
    return tuple(day for start in periods_of(days, period) for day in days_between(start, _last_day(start, period)))


def with_days_before(days: Iterable[date], number: int) -> tuple[date, ...]:
    """List the days, and as many before each, in order."""
    return tuple(sorted({day - timedelta(days=back) for day in days for back in range(number + 1)}))


def days_read(days: Sequence[date]) -> tuple[date, ...]:
    """List every day that the marts of some days read, in order."""
    covered = {day for period in get_args(Period) for day in days_covered(days, period)}
    return with_days_before(covered, LEARNT_DAYS)


def cut_pieces(days: Iterable[date]) -> Iterator[tuple[tuple[date, ...], tuple[Mart, ...]]]:
    """Cut days where a week or month ends, so that a piece fits into the memory, and give each the marts to compute.

    Weeks and months go with the first of their days, so none is computed twice, and none is older than one of its days:
    whether a run has to compute them again is read from the days' marts alone.
    """
    done: set[tuple[Period, date]] = set()
    for _, group in groupby(sorted(days), lambda day: (week_of(day), day.month)):
        piece = tuple(group)
        new = {(mart.period, period_of(piece[0], mart.period)) for mart in MARTS} - done
        yield piece, tuple(mart for mart in MARTS if (mart.period, period_of(piece[0], mart.period)) in new)
        done |= new


def tabulate_days(days: Sequence[date], period: Period) -> pa.Table:
    """Build the relation `days` that the marts join: each day with the day, week or month it is counted in."""
    return pa.table(
        {
            "day": pa.array(days, pa.date32()),
            "period": pa.array([period_of(day, period) for day in days], pa.date32()),
        }
    )


def _last_day(start: date, period: Period) -> date:
    if period == "week":
        return end_of_week(start)
    if period == "month":
        return end_of_month(start)
    return start
