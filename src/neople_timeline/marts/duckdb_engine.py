"""The marts on DuckDB, inside this process: no server, no Java, no extension to download."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import duckdb
import pyarrow.parquet as pq

from neople_timeline.catalogue import MARTS, VIEWS, Mart, Period
from neople_timeline.marts.periods import days_covered, tabulate_days
from neople_timeline.marts.results import MartResult, shape_result
from neople_timeline.tables import TABLES

Source = Callable[[str, Sequence[date], Path], Sequence[Path]]
"""Gives the Parquet files of `events` or `characters` of some days, brought into a folder, as `Lake.fetch` does."""

MEMORY_LIMIT: Final = "500MB"
"""What DuckDB may hold before it spills to disk; the finished marts need some memory beside it."""


def run_marts(source: Source, days: Sequence[date], marts: Sequence[Mart] = MARTS) -> Iterator[MartResult]:
    """Compute the marts for every day, week and month that the days touch."""
    with TemporaryDirectory(prefix="neople-marts-") as folder:
        for period in get_args(Period):
            chosen = [mart for mart in marts if mart.period == period]
            if chosen:
                yield from _run_period(source, days, period, chosen, Path(folder))


def _run_period(
    source: Source, days: Sequence[date], period: Period, marts: Sequence[Mart], folder: Path
) -> Iterator[MartResult]:
    covered = days_covered(days, period)
    # DuckDB's own choice for what does not fit into memory would be a folder `.tmp` wherever we are started.
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": f"{folder}/spill"}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for table in TABLES:
            # Without rows; it has all columns, whatever older files lack, and is there on days without files.
            empty = folder / f"{table.name}.parquet"
            pq.write_table(table.schema.empty_table(), empty)
            files = [str(path) for path in (empty, *source(table.name, covered, folder))]
            connection.read_parquet(files, union_by_name=True, hive_partitioning=False).create_view(table.name)
        connection.register("days", tabulate_days(covered, period))
        for view in VIEWS:
            connection.execute(f"CREATE TEMP VIEW {view.name} AS {view.sql}")
        for mart in marts:
            rows = shape_result(mart, connection.execute(mart.sql).to_arrow_table())
            connection.register(mart.name, rows)
            yield MartResult(mart, rows)
