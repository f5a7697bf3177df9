"""Whether the lake and PostgreSQL hold the same marts, row by row."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.checks import Disagreement, Tally
from neople_timeline.digest import digest_hashes
from neople_timeline.lake import Lake
from neople_timeline.marts.periods import periods_of
from neople_timeline.marts.publish import mart_key
from neople_timeline.warehouse import marts as warehouse

ROWS_AT_ONCE: Final = 20_000


def check_marts(lake: Lake, connection: psycopg.Connection, days: Sequence[date]) -> list[Disagreement]:
    """Compare the published marts of the days, and of their weeks and months; those that differ are computed anew.

    Nobody publishes while one is compared: the two would be of different runs.
    """
    findings: list[Disagreement] = []
    for mart in MARTS:
        with connection.transaction():
            warehouse.lock_publishing(connection)
            findings += _check_mart(lake, connection, mart, days)
    return findings


def _check_mart(lake: Lake, connection: psycopg.Connection, mart: Mart, days: Sequence[date]) -> Iterator[Disagreement]:
    for period in warehouse.list_published(connection, mart, periods_of(days, mart.period)):
        stored = _tally(warehouse.stream_rows(connection, mart, period))
        if _tally(_read_rows(lake, mart, period)) == stored:
            continue
        warehouse.forget_mart(connection, mart, period)
        day = next(day for day in days if period in periods_of([day], mart.period))
        finding = f"of {period} differs between the lake and PostgreSQL: run `neople-timeline day {day}`"
        yield Disagreement(day, None, f"the mart {mart.name}", finding)


def _read_rows(lake: Lake, mart: Mart, period: date) -> Iterator[tuple[object, ...]]:
    """Read a mart's object; one that is gone, or no Parquet file of ours, has no rows."""
    found = lake.read(mart_key(mart, period))
    if found is None:
        return
    try:
        file = pq.ParquetFile(pa.BufferReader(found.data))
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column.name for column in mart.columns]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (pa.ArrowException, OSError):
        return


def _tally(rows: Iterable[tuple[object, ...]]) -> Tally:
    hashes = [xxh3_64_intdigest(repr(row).encode()) for row in rows]
    return Tally(len(hashes), digest_hashes(hashes))
