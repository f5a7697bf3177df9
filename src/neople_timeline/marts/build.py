"""Compute the marts of some days and publish them: as Parquet in the lake and as tables in PostgreSQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, get_args

import psycopg

from neople_timeline.catalogue import Mart, Period
from neople_timeline.errors import RetryLater
from neople_timeline.lake import Lake
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.marts.periods import days_covered, periods_of
from neople_timeline.marts.results import MartResult, encode_parquet
from neople_timeline.settings import Settings
from neople_timeline.warehouse.marts import fingerprint_parts, lock_publishing, replace_periods

TRIES: Final = 3
"""Computations until the input stays the same from reading to publishing."""


class LakeChangedError(RetryLater):
    """What the marts were computed from has been replaced meanwhile."""


@dataclass(frozen=True)
class MartBuilt:
    """A mart that was published, and how many rows its periods have now."""

    name: str
    rows: int


def build_marts(
    settings: Settings, lake: Lake, connection: psycopg.Connection, days: Sequence[date]
) -> tuple[MartBuilt, ...]:
    """Compute and publish, with DuckDB, all marts for the days, weeks and months that the days touch.

    Other runs that go on changing these days' data are RetryLater.
    """
    for attempt in range(1, TRIES + 1):
        source = fingerprint_source(connection, days)
        try:
            return publish_results(lake, connection, days, run_marts(lake.dataset, days), source)
        except LakeChangedError:
            if attempt == TRIES:
                raise
    raise AssertionError


def fingerprint_source(connection: psycopg.Connection, days: Sequence[date]) -> str:
    """Digest what the marts of the days are computed from; take it before reading."""
    covered = {day for period in get_args(Period) for day in days_covered(days, period)}
    return fingerprint_parts(connection, sorted(covered))


def publish_results(
    lake: Lake, connection: psycopg.Connection, days: Sequence[date], results: Iterable[MartResult], source: str
) -> tuple[MartBuilt, ...]:
    """Replace the results' periods in the lake and in PostgreSQL, all marts or none (as PostgreSQL shows them).

    If the lake changed since `source` was taken, publish nothing and raise LakeChangedError: somebody newer may have
    published already.
    """
    ready = list(results)
    with connection.transaction():
        lock_publishing(connection)
        if fingerprint_source(connection, days) != source:
            raise LakeChangedError("the lake changed while its marts were computed: compute them again", seconds=5)
        for result in ready:
            periods = periods_of(days, result.mart.period)
            replace_periods(connection, result.mart, periods, result.table)
            for period in periods:
                lake.put(mart_key(result.mart, period), encode_parquet(result.select_period(period)))
    return tuple(MartBuilt(result.mart.name, result.table.num_rows) for result in ready)


def mart_key(mart: Mart, period: date) -> str:
    """Name the Parquet object of a mart's day, week or month."""
    return f"marts/{mart.name}/{mart.period}={period}/part.parquet"
