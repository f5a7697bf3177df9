"""The report of a day of 100,000 characters, its page and then all of them: `python benchmarks/report.py`."""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg
from ground import open_ground

from neople_timeline import pipeline
from neople_timeline.report.page import render_page
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect, open_warehouse
from neople_timeline.warehouse.summary import read_summary

CROWD = Path(__file__).parents[1] / "tests" / "integration" / "crowd.sql"
DAY = date(2026, 10, 17)
"""The day that it makes."""


def main() -> None:
    """Print a line of a table for each part."""
    with open_ground() as ground, tempfile.TemporaryDirectory() as lake:
        with psycopg.connect(ground.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE crowd")
        settings = Settings(warehouse_url=ground.postgres.url("crowd"), lake_url=f"file://{lake}")
        with open_warehouse(settings) as connection:
            connection.execute(CROWD.read_bytes())
            connection.execute("ANALYZE")

        def make_page() -> int:
            with connect(settings) as connection:
                return len(render_page(read_summary(connection, DAY, settings.calendar), "ko"))

        def make_all() -> int:
            pipeline.publish_report(settings, DAY)
            return sum(path.stat().st_size for path in Path(lake).rglob("*.html"))

        sys.stdout.write("| what | seconds | kB |\n|---|---|---|\n")
        print_row("page of the day", make_page)
        print_row("all pages, into the lake", make_all)


def print_row(what: str, make: Callable[[], int]) -> None:
    """Time one part; it gives the bytes that it made."""
    begin = time.perf_counter()
    size = make()
    sys.stdout.write(f"| {what} | {time.perf_counter() - begin:.1f} | {size / 1e3:,.0f} |\n")


if __name__ == "__main__":
    main()
