"""The marts on DuckDB, inside this process: no server, no Java, no extension to download."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from tempfile import TemporaryDirectory
from typing import Final, get_args

import duckdb
import pyarrow.dataset as ds

from neople_timeline.catalogue import MARTS, VIEWS, Mart, Period
from neople_timeline.marts.periods import days_covered, tabulate_days
from neople_timeline.marts.results import MartResult, shape_result

Source = Callable[[str, Sequence[date]], ds.Dataset]
"""Opens `events` or `characters` of some days, as `Lake.dataset` does."""

MEMORY_LIMIT: Final = "600MB"
"""What DuckDB may hold before it spills to disk; Arrow's readers need some memory beside it."""


def run_marts(source: Source, days: Sequence[date], marts: Sequence[Mart] = MARTS) -> Iterator[MartResult]:
    """Compute the marts for every day, week and month that the days touch."""
    for period in get_args(Period):
        chosen = [mart for mart in marts if mart.period == period]
        if chosen:
            yield from _run_period(source, days, period, chosen)


def _run_period(source: Source, days: Sequence[date], period: Period, marts: Sequence[Mart]) -> Iterator[MartResult]:
    covered = days_covered(days, period)
    with TemporaryDirectory(prefix="neople-marts-") as spill, _connect(spill) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.register("events", source("events", covered))
        connection.register("characters", source("characters", covered))
        connection.register("days", tabulate_days(covered, period))
        for view in VIEWS:
            connection.execute(f"CREATE TEMP VIEW {view.name} AS {view.sql}")
        for mart in marts:
            table = shape_result(mart, connection.execute(mart.sql).to_arrow_table())
            connection.register(mart.name, table)
            yield MartResult(mart, table)


def _connect(spill: str) -> duckdb.DuckDBPyConnection:
    # DuckDB's own choice for what does not fit into memory would be a folder `.tmp` wherever we are started.
    return duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill})
