"""Parts: the Parquet objects of a day and bucket, what they were made from, and their load into PostgreSQL."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import pgpq
import psycopg
import pyarrow.parquet as pq
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb

from neople_timeline.models import MOST_BUCKETS, CharacterKey, LedgerEntry, Shard
from neople_timeline.tables import CHARACTERS, EVENTS, Table
from neople_timeline.warehouse.connection import ask_number, hold_locks
from neople_timeline.warehouse.predicates import IS_STORED, LOCK_DAYS, OPEN, TOUCH

PART_LOCK: Final = 710_520
BATCH_ROWS: Final = 5_000


@dataclass(frozen=True)
class Part:
    """What is known of a day and bucket; `version` 0 was never refined."""

    day: date
    bucket: int
    buckets: int
    version: int = 0
    loaded_version: int | None = None
    sources: str = ""
    etags: Mapping[str, str | None] = field(default_factory=dict)
    """The entity tag of each table's object, by the table's name."""
    hashes: Mapping[str, str | None] = field(default_factory=dict)
    """The hash of each object's bytes, by the table's name."""
    events: int = 0
    characters: int = 0

    @property
    def identity(self) -> tuple[date, int, int]:
        """Tell it from other parts, and from itself once it was refined anew."""
        return self.day, self.bucket, self.version


PARTS: Final = """
SELECT d.day, b.bucket, d.buckets, coalesce(p.version, 0), p.loaded_version, coalesce(p.sources, ''),
  jsonb_build_object('events', p.events_etag, 'characters', p.characters_etag),
  jsonb_build_object('events', p.events_hash, 'characters', p.characters_hash),
  coalesce(p.events, 0), coalesce(p.characters, 0)
FROM timeline.day d CROSS JOIN generate_series(0, %s - 1) AS b(bucket)
LEFT JOIN timeline.part p ON p.day = d.day AND p.bucket = b.bucket
WHERE d.day = ANY(%s) AND b.bucket < d.buckets AND b.bucket %% %s = %s
ORDER BY d.day, b.bucket
"""


def list_parts(connection: psycopg.Connection, shard: Shard) -> list[Part]:
    """List the parts of a shard, refined or not, by day and bucket."""
    rows = connection.execute(PARTS, (MOST_BUCKETS, list(shard.days), shard.of, shard.index))
    return [Part(*row) for row in rows]


def hold_parts(connection: psycopg.Connection, parts: Sequence[Part]) -> AbstractContextManager[None]:
    """Keep other runs from publishing the same parts."""
    return hold_locks(connection, [(PART_LOCK, part.day.toordinal() * MOST_BUCKETS + part.bucket) for part in parts])


COUNT_ENTRIES: Final = """
SELECT day, count(*) FROM timeline.collection
WHERE day = ANY(%s) AND bucket %% %s = %s AND raw_key IS NOT NULL
GROUP BY day
"""


def count_entries(connection: psycopg.Connection, shard: Shard) -> list[tuple[date, int]]:
    """Count what the ledger has landed for each day of a shard, in the order of the days."""
    rows = connection.execute(COUNT_ENTRIES, (list(shard.days), shard.of, shard.index))
    counts: dict[date, int] = dict(rows.fetchall())
    return [(day, counts.get(day, 0)) for day in shard.days]


ENTRIES: Final = """
SELECT server_id, character_id, raw_key, events, digest FROM timeline.collection
WHERE day = %s AND bucket = %s AND raw_key IS NOT NULL
ORDER BY raw_key, server_id, character_id
"""


def read_entries(connection: psycopg.Connection, part: Part) -> list[LedgerEntry]:
    """Read what the ledger has landed for a part, in the order of its raw objects."""
    rows = connection.execute(ENTRIES, (part.day, part.bucket))
    keys: dict[str, str] = {}  # one object holds many: its name is kept once
    return [
        LedgerEntry(
            part.day, part.bucket, CharacterKey(server, character), keys.setdefault(raw_key, raw_key), events, digest
        )
        for server, character, raw_key, events, digest in rows
    ]


FORGET_ANSWERS: Final = f"""
WITH forgotten AS (
  UPDATE timeline.collection c SET raw_key = NULL, events = NULL, digest = NULL, asked_at = NULL
  WHERE day = ANY(%(days)s) AND raw_key = ANY(%(keys)s) AND {OPEN}
  RETURNING day
),
touched AS (
  {TOUCH} WHERE day IN (SELECT day FROM forgotten)
)
SELECT count(*) FROM forgotten
""".encode()


def forget_answers(connection: psycopg.Connection, days: Sequence[date], raw_keys: Sequence[str]) -> int:
    """Forget the earlier answers, in some objects, of character-days that are asked for anew; return how many."""
    with connection.transaction():
        connection.execute(LOCK_DAYS, {"days": list(days)})
        return ask_number(connection, FORGET_ANSWERS, {"days": list(days), "keys": list(raw_keys)})


def list_raw_keys(connection: psycopg.Connection, days: Sequence[date]) -> list[str]:
    """Name the raw objects that the ledger has for some days."""
    rows = connection.execute(
        "SELECT DISTINCT raw_key FROM timeline.collection WHERE day = ANY(%s) AND raw_key IS NOT NULL", (list(days),)
    )
    return [row[0] for row in rows]


POINT_TO_SALVAGED: Final = """
UPDATE timeline.collection c SET raw_key = %(key)s
FROM unnest(%(servers)s::text[], %(characters)s::text[], %(lost)s::text[]) AS s (server_id, character_id, raw_key)
WHERE c.day = %(day)s AND c.server_id = s.server_id AND c.character_id = s.character_id AND c.raw_key = s.raw_key
"""


def point_to_salvaged(connection: psycopg.Connection, part: Part, key: str, saved: Sequence[LedgerEntry]) -> int:
    """Point a part's character-days from their lost objects to another that has the same; return how many still were.

    Not those for which newer answers have landed meanwhile.
    """
    values = {
        "day": part.day,
        "key": key,
        "servers": [entry.character.server_id for entry in saved],
        "characters": [entry.character.character_id for entry in saved],
        "lost": [entry.raw_key for entry in saved],
    }
    return connection.execute(POINT_TO_SALVAGED, values).rowcount


def read_asked_at(connection: psycopg.Connection, part: Part) -> dict[CharacterKey, datetime]:
    """Read when a part's answers were asked for."""
    rows = connection.execute(
        "SELECT server_id, character_id, asked_at FROM timeline.collection"
        " WHERE day = %s AND bucket = %s AND raw_key IS NOT NULL",
        (part.day, part.bucket),
    )
    return {CharacterKey(server, character): asked_at for server, character, asked_at in rows}


RECORD_PART: Final = """
INSERT INTO timeline.part (
  day, bucket, version, sources, events_etag, characters_etag, events_hash, characters_hash, events, characters
)
VALUES (%s, %s, 1, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (day, bucket) DO UPDATE
SET version = part.version + 1, sources = EXCLUDED.sources,
  events_etag = EXCLUDED.events_etag, characters_etag = EXCLUDED.characters_etag,
  events_hash = EXCLUDED.events_hash, characters_hash = EXCLUDED.characters_hash,
  events = EXCLUDED.events, characters = EXCLUDED.characters, refined_at = clock_timestamp()
"""


def record_part(connection: psycopg.Connection, part: Part) -> None:
    """Record what a part's objects were made from."""
    connection.execute(
        RECORD_PART,
        (
            part.day,
            part.bucket,
            part.sources,
            part.etags["events"],
            part.etags["characters"],
            part.hashes["events"],
            part.hashes["characters"],
            part.events,
            part.characters,
        ),
    )


def replace_part(
    connection: psycopg.Connection, part: Part, events: pq.ParquetFile, characters: pq.ParquetFile
) -> bool:
    """Put a part's rows in the place of what PostgreSQL has of it, in one transaction, unless another run just did.

    Returns False, having changed nothing, if the part has been refined anew meanwhile.
    """
    with connection.transaction():
        current = connection.execute(
            "SELECT version, loaded_version FROM timeline.part WHERE day = %s AND bucket = %s FOR UPDATE",
            (part.day, part.bucket),
        ).fetchone()
        if current is None or current[0] != part.version:
            return False
        if current[1] == part.version:
            return True
        _delete_rows(connection, part)
        _copy(connection, EVENTS, events)
        _copy(connection, CHARACTERS, characters)
        _mark_loaded(connection, part)
    return True


def forget_objects(connection: psycopg.Connection, parts: Sequence[Part]) -> None:
    """Forget what the objects of some parts were made from, so that they are written and loaded anew."""
    connection.execute(
        "UPDATE timeline.part SET sources = ''"
        " WHERE (day, bucket) IN (SELECT * FROM unnest(%s::date[], %s::smallint[]))",
        ([part.day for part in parts], [part.bucket for part in parts]),
    )


def _delete_rows(connection: psycopg.Connection, part: Part) -> None:
    for table in (EVENTS, CHARACTERS):
        statement = f"""
            DELETE FROM timeline.{table.warehouse_name} AS t USING timeline.collection AS c
            WHERE t.day = %s AND c.day = %s AND c.bucket = %s
              AND c.server_id = t.server_id AND c.character_id = t.character_id
        """.encode()
        connection.execute(statement, (part.day, part.day, part.bucket))


def _copy(connection: psycopg.Connection, table: Table, rows: pq.ParquetFile) -> None:
    encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(table.schema, _make_encoders(table))
    names = ", ".join(column.name for column in table.columns)
    statement = f"COPY timeline.{table.warehouse_name} ({names}) FROM STDIN WITH (FORMAT BINARY)".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in rows.iter_batches(BATCH_ROWS):
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


def _make_encoders(table: Table) -> dict[str, Any]:
    types = {column.name: column.sql for column in table.columns}
    return {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if types[field.name] == "jsonb"
        else pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in table.schema
    }


# Only what these rows hold: an answer that landed after the part was refined stays to be loaded.
MARK_LOADED: Final = f"""
UPDATE timeline.collection c SET state = 'loaded'
WHERE c.day = %s AND c.bucket = %s AND c.state = 'landed' AND {IS_STORED}
""".encode()


def _mark_loaded(connection: psycopg.Connection, part: Part) -> None:
    # The day before its character-days, as everybody locks them.
    connection.execute(f"{TOUCH} WHERE day = %s".encode(), (part.day,))
    connection.execute(
        "UPDATE timeline.part SET loaded_version = version WHERE day = %s AND bucket = %s", (part.day, part.bucket)
    )
    connection.execute(MARK_LOADED, (part.day, part.bucket))
