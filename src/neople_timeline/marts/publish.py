"""Publish computed marts: Parquet in the lake, rows in PostgreSQL, the same for both engines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import psycopg

from neople_timeline.catalogue import Mart
from neople_timeline.lake import Lake
from neople_timeline.marts.periods import periods_of
from neople_timeline.marts.results import MartResult, encode_parquet
from neople_timeline.warehouse.marts import list_newer, lock_publishing, replace_periods


@dataclass(frozen=True)
class MartBuilt:
    """A mart that was published, and how many rows it has now in the days, weeks or months that were computed."""

    name: str
    rows: int


def publish_results(
    lake: Lake, connection: psycopg.Connection, days: Sequence[date], results: Iterable[MartResult], generation: int
) -> tuple[MartBuilt, ...]:
    """Replace the results' periods in the lake and in PostgreSQL, which shows all of the marts or none.

    Periods that a later computation has published are left as they are: it began to read later, and whoever changes
    the lake computes the marts afterwards.
    """
    ready = list(results)
    with connection.transaction():
        lock_publishing(connection)
        # Seen before the warehouse is asked again: who lost the lock over a pause fails there, or overwrites nothing.
        etags = lake.etags(mart_key(one.mart, period) for one in ready for period in periods_of(days, one.mart.period))
        for result in ready:
            _publish_mart(lake, connection, days, result, generation, etags)
    return tuple(MartBuilt(result.mart.name, result.table.num_rows) for result in ready)


def mart_key(mart: Mart, period: date) -> str:
    """Name the Parquet object of a mart's day, week or month."""
    return f"marts/{mart.name}/{mart.period}={period}/part.parquet"


def _publish_mart(
    lake: Lake,
    connection: psycopg.Connection,
    days: Sequence[date],
    result: MartResult,
    generation: int,
    etags: Mapping[str, str | None],
) -> None:
    periods = periods_of(days, result.mart.period)
    newer = list_newer(connection, result.mart, periods, generation)
    tables = {period: result.select_period(period) for period in periods if period not in newer}
    replace_periods(connection, result.mart, tables, generation)
    for period, table in tables.items():
        key = mart_key(result.mart, period)
        lake.replace(key, encode_parquet(table), etag=etags[key])
