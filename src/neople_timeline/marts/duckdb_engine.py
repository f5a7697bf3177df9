"""The marts on DuckDB, inside this process: no server, no Java, no extension to download."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from neople_timeline.catalogue import MARTS, VIEWS, Mart, Period
from neople_timeline.marts.periods import days_covered, periods_of, tabulate_days
from neople_timeline.marts.results import MartResult, shape_result
from neople_timeline.tables import TABLES, Table

Source = Callable[[str, Sequence[date], Path], Sequence[Path]]
"""Gives the Parquet files of `events` or `characters` of some days, brought into a folder, as `Lake.fetch` does."""

MEMORY_LIMIT: Final = "500MB"
"""What DuckDB may hold before it spills to disk; the finished marts need some memory beside it."""

AT_ONCE: Final[Mapping[Period, int]] = {"day": 7, "week": 1, "month": 1}
"""How many periods one query answers: few enough for the memory, enough for queries to be worth their planning."""


def run_marts(source: Source, days: Sequence[date], marts: Sequence[Mart] = MARTS) -> Iterator[MartResult]:
    """Compute the marts for every day, week and month that the days touch, a few at a time to stay small."""
    with TemporaryDirectory(prefix="neople-marts-") as folder, _connect(folder) as connection:
        for period in get_args(Period):
            chosen = [mart for mart in marts if mart.period == period]
            tables = {mart.name: [mart.schema.empty_table()] for mart in chosen}
            for starts in _cut(periods_of(days, period), AT_ONCE[period]) if chosen else ():
                covered = days_covered(starts, period)
                connection.register("days", tabulate_days(covered, period))
                for table in TABLES:
                    files = source(table.name, covered, Path(folder))
                    _show_files(connection, table, [_write_empty(table, folder), *files])
                for mart in chosen:
                    rows = shape_result(mart, ask(connection, mart.sql))
                    connection.register(mart.name, rows)
                    tables[mart.name].append(rows)
            # Each part is sorted, and by its period first.
            yield from (MartResult(mart, pa.concat_tables(tables.pop(mart.name))) for mart in chosen)


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Ask DuckDB; what it makes of Ctrl-C becomes KeyboardInterrupt again."""
    try:
        return connection.execute(query).to_arrow_table()
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        raise


def _cut(starts: Sequence[date], size: int) -> list[Sequence[date]]:
    return [starts[index : index + size] for index in range(0, len(starts), size)]


def _connect(folder: str) -> duckdb.DuckDBPyConnection:
    # DuckDB's own choice for what does not fit into memory would be a folder `.tmp` wherever we are started.
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": f"{folder}/spill"})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET parquet_metadata_cache = true")
    connection.register("days", tabulate_days((), "day"))
    for table in TABLES:
        _show_files(connection, table, [_write_empty(table, folder)])
    for view in VIEWS:
        connection.execute(f"CREATE TEMP VIEW {view.name} AS {view.sql}")
    return connection


def _show_files(connection: duckdb.DuckDBPyConnection, table: Table, files: Sequence[Path]) -> None:
    paths = [str(path) for path in files]
    connection.read_parquet(paths, union_by_name=True, hive_partitioning=False).create_view(table.name, replace=True)


def _write_empty(table: Table, folder: str) -> Path:
    # It has all columns, whatever older files lack, and is there on days that have no file.
    path = Path(folder, f"{table.name}.parquet")
    if not path.exists():
        pq.write_table(table.schema.empty_table(), path)
    return path
