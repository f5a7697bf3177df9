"""The least that the day can cost: the same libraries ask, decode, write Parquet and COPY; nothing is kept or proven.

No raw landing, no ledger, no digest, no typed columns, no limit, no retries; one attempt in memory, all or nothing.
"""

import asyncio
import csv
import io
import os
from pathlib import Path

import msgspec
import obstore
import pgpq
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop
from ground import WINDOW
from meter import Meter
from obstore.store import S3Store
from pyreqwest.client import Client, ClientBuilder

AT_ONCE = 100
COLUMNS: dict[str, pa.DataType] = {"who": pa.string(), "code": pa.int32(), "date": pa.string(), "data": pa.string()}
SCHEMA = pa.schema(COLUMNS)


class Row(msgspec.Struct, gc=False):
    """One event, its payload as it came."""

    code: int
    date: str
    data: msgspec.Raw


class Timeline(msgspec.Struct, gc=False):
    """A page."""

    rows: list[Row]
    next: str | None = None


class Answer(msgspec.Struct, gc=False):
    """What of an answer is used."""

    timeline: Timeline


_answers = msgspec.json.Decoder(Answer)


def main() -> None:
    """Run it for every character of the roster file."""
    with Path(os.environ["BENCH_ROSTER"]).open() as file:
        roster = list(csv.DictReader(file))
    meter = Meter()
    with meter.step("collect"):
        events = uvloop.run(fetch_all(roster))
    with meter.step("refine"):
        table = pa.table(
            [
                [who for who, _ in events],
                [row.code for _, row in events],
                [row.date for _, row in events],
                pa.array([bytes(row.data) for _, row in events], pa.binary()).cast(pa.string()),
            ],
            schema=SCHEMA,
        )
        data = io.BytesIO()
        pq.write_table(table, data, compression="zstd")
        bucket, _, prefix = os.environ["LAKE_URL"].removeprefix("s3://").partition("/")
        store = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
        obstore.put(store, "events.parquet", data.getvalue())
    with meter.step("load"):
        load(table)
    meter.report(events=len(events))


async def fetch_all(roster: list[dict[str, str]]) -> list[tuple[str, Row]]:
    """Ask for all pages of all characters, some at once."""
    events: list[tuple[str, Row]] = []
    left = iter(roster)
    client = ClientBuilder().default_headers({"apikey": os.environ["NEOPLE_API_KEY"]}).build()

    async def work() -> None:
        for character in left:
            events.extend(await fetch(client, character))

    async with client:
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return events


async def fetch(client: Client, character: dict[str, str]) -> list[tuple[str, Row]]:
    """Ask for all pages of a character."""
    who = f"{character['serverId']}/{character['characterId']}"
    base = os.environ["NEOPLE_API_URL"]
    address = f"{base}/df/servers/{character['serverId']}/characters/{character['characterId']}/timeline"
    start, end = (minute.replace("-", "").replace(":", "").replace(" ", "T") for minute in WINDOW.values())
    query = f"limit=100&startDate={start}&endDate={end}"
    events: list[tuple[str, Row]] = []
    while True:
        response = await client.get(f"{address}?{query}").build().send()
        page = _answers.decode((await response.bytes()).to_bytes()).timeline
        events += [(who, row) for row in page.rows]
        if not page.next:
            return events
        query = f"next={page.next}"


def load(table: pa.Table) -> None:
    """COPY the rows in PostgreSQL's binary form."""
    with psycopg.connect(os.environ["WAREHOUSE_URL"]) as connection:
        connection.execute("CREATE TABLE event (who text, code integer, date text, data text)")
        encoder = pgpq.ArrowToPostgresBinaryEncoder(table.schema)
        with connection.cursor().copy("COPY event FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.write(encoder.write_header())
            for batch in table.to_batches(25_000):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())


if __name__ == "__main__":
    main()
