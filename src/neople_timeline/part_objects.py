"""The Parquet objects of parts in the lake: what they are called, and which of them are as they were recorded."""

import io

import pyarrow.parquet as pq

from neople_timeline.digest import hash_bytes
from neople_timeline.lake import Lake, part_key
from neople_timeline.tables import Table
from neople_timeline.warehouse.parts import Part


def object_key(part: Part, table: Table) -> str:
    """Name the Parquet object of a part and table."""
    return part_key(table.name, part.day, part.bucket, part.buckets)


def open_recorded(lake: Lake, part: Part, table: Table) -> pq.ParquetFile | None:
    """Open a part's object, or give None if it is not the one that was recorded, byte for byte.

    Its columns may be those of an older version of the program.
    """
    found = lake.read(object_key(part, table))
    if found is None or (found.etag, hash_bytes(found.data)) != (part.etags[table.name], part.hashes[table.name]):
        return None
    return pq.ParquetFile(io.BytesIO(found.data))
