"""Compute the marts of some days with the chosen engine, and publish them."""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import psycopg

from neople_timeline.lake import Lake
from neople_timeline.marts.duckdb_engine import run_marts
from neople_timeline.marts.periods import cut_pieces
from neople_timeline.marts.publish import MartBuilt, publish_results
from neople_timeline.marts.spark_run import publish_run, submit_run
from neople_timeline.parts import list_objects
from neople_timeline.settings import Settings
from neople_timeline.tables import Table
from neople_timeline.warehouse.marts import take_generation


def build_marts(
    settings: Settings, lake: Lake, connection: psycopg.Connection, days: Sequence[date]
) -> tuple[MartBuilt, ...]:
    """Compute and publish all marts for the days, weeks and months that the days touch, piece by piece to stay small.

    A run that dies has published its first pieces; the days of the others are still listed as changed.
    """
    if settings.marts_engine == "spark":
        run = f"local-{uuid.uuid4().hex}"
        submit_run(settings, run, days)
        return publish_run(lake, connection, run)

    def fetch(table: Table, wanted: Sequence[date], folder: Path) -> list[Path]:
        return lake.fetch(list_objects(connection, table, wanted), folder)

    generation = take_generation(connection)
    rows: Counter[str] = Counter()
    for piece, marts in cut_pieces(days):
        built = publish_results(lake, connection, piece, run_marts(fetch, piece, marts), generation)
        rows.update({mart.name: mart.rows for mart in built})
    return tuple(MartBuilt(name, count) for name, count in rows.items())
