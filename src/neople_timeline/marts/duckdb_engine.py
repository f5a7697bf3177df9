"""The marts on DuckDB, inside this process: no server, no Java, no extension to download."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from neople_timeline.catalogue import MARTS, VIEWS, Mart, Period, View
from neople_timeline.marts.periods import days_covered, periods_of, tabulate_days, with_days_before
from neople_timeline.marts.results import MartResult, shape_result
from neople_timeline.models import KOREA
from neople_timeline.tables import TABLES, Table

Source = Callable[[Table, Sequence[date], Path], Sequence[Path]]
"""Gives the Parquet files of `events` or `characters` of some days; it may bring them into the folder."""

MEMORY_LIMIT: Final = "500MB"
"""What DuckDB may hold before it spills to disk; the finished marts need some memory beside it."""

DAYS_AT_ONCE: Final = 7
"""How many days of events are looked at together: few enough for the memory, enough to be worth the planning."""


def run_marts(source: Source, days: Sequence[date], marts: Sequence[Mart] = MARTS) -> Iterator[MartResult]:
    """Compute the marts for every day, week and month that the days touch, a few at a time to stay small.

    Sorting keeps one core busy: meanwhile the next mart is computed.
    """
    with (
        TemporaryDirectory(prefix="neople-marts-") as folder,
        _connect(folder) as connection,
        ThreadPoolExecutor(1) as sorter,
    ):
        inputs = _Inputs(connection, source, folder)
        for period in get_args(Period):
            chosen = [mart for mart in marts if mart.period == period]
            pieces: dict[str, list[Future[pa.Table]]] = {mart.name: [] for mart in chosen}
            for starts in _cut(periods_of(days, period) if chosen else (), DAYS_AT_ONCE if period == "day" else 1):
                inputs.show_periods(starts, period)
                for mart, rows in _compute(connection, chosen):
                    pieces[mart.name].append(sorter.submit(shape_result, mart, rows))
            for mart in chosen:  # each piece is sorted, and by its period first
                sorted_rows = (piece.result() for piece in pieces.pop(mart.name))  # no name keeps them in memory
                yield MartResult(mart, pa.concat_tables([mart.schema.empty_table(), *sorted_rows]))


def _compute(connection: duckdb.DuckDBPyConnection, marts: Sequence[Mart]) -> Iterator[tuple[Mart, pa.Table]]:
    """Compute marts of one period one after the other: the later ones may read the earlier."""
    for mart in marts:
        rows = ask(connection, mart.sql)
        connection.register(mart.name, rows)
        yield mart, rows
    for mart in marts:
        connection.unregister(mart.name)


class _Inputs:
    """Which days DuckDB sees in `events`, `characters` and `days`, and which the views that it keeps hold by now."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, folder: str) -> None:
        self._connection = connection
        self._source = source
        self._folder = folder
        self._kept: set[tuple[str, date]] = set()

    def show_periods(self, starts: Sequence[date], period: Period) -> None:
        """Show all days of some periods, and no others; kept views hold those that they need beside what they held."""
        covered = days_covered(starts, period)
        for view in VIEWS:
            if period in view.kept_for:
                self._keep(view, with_days_before(covered, view.days_before))
        self._connection.register("days", tabulate_days(covered, period))
        self._show(covered)

    def _keep(self, view: View, days: Sequence[date]) -> None:
        for some in _cut([day for day in days if (view.name, day) not in self._kept], DAYS_AT_ONCE):
            self._show(some)
            with _interruptible():
                self._connection.execute(f"INSERT INTO {view.name} {view.sql}")
            self._kept.update((view.name, day) for day in some)

    def _show(self, days: Sequence[date]) -> None:
        files = {table.name: self._source(table, days, Path(self._folder)) for table in TABLES}
        _show_files(self._connection, self._folder, files)


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Ask DuckDB; what it makes of Ctrl-C becomes KeyboardInterrupt again."""
    with _interruptible():
        return connection.sql(query).to_arrow_table()  # all threads make the table; that of `execute` is made by one


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        raise


def _cut(starts: Sequence[date], size: int) -> list[Sequence[date]]:
    return [starts[index : index + size] for index in range(0, len(starts), size)]


def _connect(folder: str) -> duckdb.DuckDBPyConnection:
    # DuckDB's own choice for what does not fit into memory would be a folder `.tmp` wherever we are started.
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": f"{folder}/spill"})
    connection.execute(f"SET TimeZone = '{KOREA}'")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET parquet_metadata_cache = true")
    connection.register("days", tabulate_days((), "day"))
    _show_files(connection, folder, {table.name: () for table in TABLES})
    for view in VIEWS:
        connection.execute(f"CREATE TEMP {'TABLE' if view.kept_for else 'VIEW'} {view.name} AS {view.sql}")
    return connection


def _show_files(connection: duckdb.DuckDBPyConnection, folder: str, files: Mapping[str, Sequence[Path]]) -> None:
    for table in TABLES:
        # Letters that DuckDB takes for patterns would find the files of other lakes.
        paths = [re.sub(r"[*?\[]", r"[\g<0>]", str(path)) for path in (_write_empty(table, folder), *files[table.name])]
        relation = connection.read_parquet(paths, union_by_name=True, hive_partitioning=False)
        relation.create_view(table.name, replace=True)


def _write_empty(table: Table, folder: str) -> Path:
    # It has all columns, whatever older files lack, and is there on days that have no file.
    path = Path(folder, f"{table.name}.parquet")
    if not path.exists():
        pq.write_table(table.schema.empty_table(), path)
    return path
