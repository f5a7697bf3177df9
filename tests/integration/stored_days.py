"""Days of plausible events in a lake, and the parts that the ledger has of them, for tests that compute marts."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from plausible_month import make_characters, make_events

from neople_timeline.digest import hash_bytes
from neople_timeline.lake import Lake
from neople_timeline.part_objects import object_key
from neople_timeline.tables import CHARACTERS, EVENTS, Table
from neople_timeline.warehouse.parts import Part, record_part


def store_days(
    lake: Lake, connection: psycopg.Connection, days: Iterable[date], *, events: int = 400, seed: int = 1
) -> None:
    """Store some days, in place of what is there of them."""
    for day in days:
        part = Part(day, bucket=0, buckets=1)
        rows = {EVENTS: make_events(day, events, seed), CHARACTERS: make_characters(day, seed)}
        etags = {table.name: put(lake, part, table, rows[table]) for table in rows}
        hashes = {table.name: hash_bytes(lake.get(object_key(part, table))) for table in rows}
        connection.execute("INSERT INTO timeline.day (day, buckets) VALUES (%s, 1) ON CONFLICT DO NOTHING", (day,))
        record_part(connection, replace(part, etags=etags, hashes=hashes))


def put(lake: Lake, part: Part, table: Table, rows: pa.Table) -> str | None:
    """Write a part's object; give its entity tag."""
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    lake.put(object_key(part, table), buffer.getvalue().to_pybytes())
    return lake.etag(object_key(part, table))
