"""All marts over 1 and 10 million events of one month, cold, on DuckDB and on Spark: `python benchmarks/marts.py`.

Each run is a process of its own, and reads the same Parquet files from a local folder; publishing is left out. Spark is
left out where it is not installed.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
import pyarrow.parquet as pq

from neople_timeline.catalogue import Mart
from neople_timeline.models import days_between
from neople_timeline.settings import make_settings
from neople_timeline.tables import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))
from plausible_month import make_characters, make_events

if TYPE_CHECKING:
    from pyspark.sql import DataFrame  # not installed everywhere

DAYS = tuple(days_between(date(2026, 10, 1), date(2026, 10, 31)))
CHARACTERS = 10_000
BATCH_EVENTS = 25_000
"""A batch of 1,000 chains has about as many."""


def main() -> None:
    """Print a line of a table per engine and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--engines", nargs="*", choices=["duckdb", "spark"])
    parser.add_argument("--run", nargs=2, metavar=("ENGINE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        compute(*arguments.run)
        return
    engines = arguments.engines or ["duckdb", *(["spark"] if importlib.util.find_spec("pyspark") else [])]
    sys.stdout.write("| events | engine | wall s | peak MB | rows |\n|---|---|---|---|---|\n")
    for events in arguments.events:
        with tempfile.TemporaryDirectory() as folder:
            write_month(Path(folder), events)
            for engine in engines:
                wall, peak, rows = measure(engine, folder)
                sys.stdout.write(f"| {events:,} | {engine} | {wall:.1f} | {peak:,.0f} | {rows:,} |\n")
                sys.stdout.flush()


def write_month(folder: Path, events: int) -> None:
    """Write a month's events of 10,000 characters, one object per day, as refining does: by character, in batches."""
    order: list[tuple[str, Literal["ascending", "descending"]]] = [
        (name, "ascending") for name in ("server_id", "character_id", "occurred_minute", "ordinal")
    ]
    for day in DAYS:
        for name, table in (
            ("events", make_events(day, events // len(DAYS), characters=CHARACTERS).sort_by(order)),
            ("characters", make_characters(day, characters=CHARACTERS)),
        ):
            path = folder / name / f"day={day}"
            path.mkdir(parents=True)
            pq.write_table(table, path / "bucket-00-of-01.parquet", compression="zstd", row_group_size=BATCH_EVENTS)


def measure(engine: str, folder: str) -> tuple[float, float, int]:
    """Run an engine in a process of its own: seconds, the most memory of it and its children, rows."""
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--run", engine, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        peaks = [0.0]
        watcher = threading.Thread(target=watch, args=(process, peaks))
        watcher.start()
        output = process.communicate()[0]
        watcher.join()
    wall = time.perf_counter() - begin
    return wall, peaks[0], json.loads(output.splitlines()[-1])["rows"]


def watch(process: subprocess.Popen[str], peaks: list[float]) -> None:
    """Follow the resident memory of a process and its children, in MB."""
    leader = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [leader, *leader.children(recursive=True)]
            peaks[0] = max(peaks[0], sum(one.memory_info().rss for one in family) / 2**20)
        time.sleep(0.1)


def find_files(folder: str, table: Table, days: Sequence[date]) -> list[Path]:
    """List the files of a table and some days."""
    return [path for day in days for path in Path(folder, table.name).glob(f"day={day}/*")]


def compute(engine: str, folder: str) -> None:
    """Compute all marts of the month and print how many rows they have."""
    settings = make_settings({"lake_url": f"file://{folder}"})
    rows = 0
    if engine == "duckdb":
        from neople_timeline.marts import duckdb_engine  # noqa: PLC0415

        results = duckdb_engine.run_marts(lambda table, days, _: find_files(folder, table, days), DAYS)
        rows = sum(result.table.num_rows for result in results)
    else:
        from neople_timeline.marts import spark_job  # noqa: PLC0415 - not installed everywhere

        session = spark_job.start_session(settings)
        counts: list[int] = []

        def store(mart: Mart, frame: "DataFrame") -> "DataFrame":
            path = f"file://{folder}/marts/{mart.name}"
            frame.write.parquet(path)
            stored = session.read.parquet(path)
            counts.append(stored.count())
            return stored

        def open_table(table: Table, days: Sequence[date]) -> "DataFrame":
            keys = [str(path.relative_to(folder)) for path in find_files(folder, table, days)]
            return spark_job.read_objects(session, settings, table, keys)

        spark_job.run_marts(session, open_table, DAYS, store)
        rows = sum(counts)
    sys.stdout.write(json.dumps({"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
