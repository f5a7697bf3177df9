"""Whether the lake and PostgreSQL hold the same marts, row by row."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

from neople_timeline.catalogue import MARTS, Mart, period_of
from neople_timeline.checks import Disagreement, Tally
from neople_timeline.digest import digest_hashes
from neople_timeline.lake import Lake
from neople_timeline.marts.periods import periods_of
from neople_timeline.marts.publish import mart_key
from neople_timeline.warehouse import marts as mart_rows

ROWS_AT_ONCE: Final = 20_000


def check_marts(lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> list[Disagreement]:
    """Compare the published marts of the days, and of their weeks and months; those that differ are computed anew.

    Nobody publishes while one is compared: the two would be of different runs.
    """
    findings: list[Disagreement] = []
    for mart in MARTS:
        for period in periods_of(days, mart.period):
            with connection.transaction():
                mart_rows.lock_publishing(connection)
                if not _agree(lake, connection, mart, period):
                    mart_rows.distrust_mart(connection, mart, period)
                    day = next(day for day in days if period_of(day, mart.period) == period)
                    finding = f"of {period} is not what was published: run `neople-timeline day {day}`"
                    findings.append(Disagreement(day, None, f"the mart {mart.name}", finding))
    return findings


def _agree(lake: Lake, connection: psycopg.Connection, mart: Mart, period: date) -> bool:
    """Say whether both have the rows that were published; what was never published is no disagreement."""
    published = mart_rows.count_published(connection, mart, period)
    if published is None:
        return True
    in_lake = _read_object(lake, mart, period)
    in_warehouse = _tally(mart_rows.stream_rows(connection, mart, period))
    return in_lake == in_warehouse and in_warehouse.events == published


def _read_object(lake: Lake, mart: Mart, period: date) -> Tally | None:
    """Tally a mart's object; None for one that is gone, or no Parquet file of ours."""
    found = lake.read(mart_key(mart, period))
    if found is None:
        return None
    try:
        file = pq.ParquetFile(pa.BufferReader(found.data))
        batches = file.iter_batches(ROWS_AT_ONCE, columns=[column.name for column in mart.columns])
        return _tally(row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True))
    except (pa.ArrowException, OSError):
        return None


def _tally(rows: Iterable[tuple[object, ...]]) -> Tally:
    hashes = [xxh3_64_intdigest(repr(row).encode()) for row in rows]
    return Tally(len(hashes), digest_hashes(hashes))
