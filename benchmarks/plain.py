"""The day as a first script does it: one request after the other → CSV → Parquet → S3, and INSERTs row by row."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import obstore
import pyarrow.csv
import pyarrow.parquet as pq
import requests
import sqlalchemy as sa
from ground import WINDOW
from meter import Meter
from obstore.store import S3Store

FIELDS = ("serverId", "characterId", "code", "name", "date", "data")


def main() -> None:
    """Run it for every character of the roster file."""
    with Path(os.environ["BENCH_ROSTER"]).open() as file:
        roster = list(csv.DictReader(file))
    home = Path(os.environ["BENCH_HOME"])
    home.mkdir()
    meter = Meter()
    rows: list[dict[str, Any]] = []
    with meter.step("collect"):
        for character in roster:
            rows += fetch(character)
    with meter.step("refine"):
        with (home / "events.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)
        newlines = pyarrow.csv.ParseOptions(newlines_in_values=True)
        pq.write_table(pyarrow.csv.read_csv(home / "events.csv", parse_options=newlines), home / "events.parquet")
        bucket, _, prefix = os.environ["LAKE_URL"].removeprefix("s3://").partition("/")
        store = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
        obstore.put(store, "events.parquet", (home / "events.parquet").read_bytes())
    with meter.step("load"):
        insert(rows)
    meter.report(events=len(rows))


def fetch(character: dict[str, str]) -> list[dict[str, Any]]:
    """Ask for all pages of a character."""
    address = os.environ["NEOPLE_API_URL"] + "/df/servers/{serverId}/characters/{characterId}/timeline"
    parameters: dict[str, str] = {"limit": "100", "startDate": WINDOW["start"], "endDate": WINDOW["end"]}
    rows: list[dict[str, Any]] = []
    while True:
        headers = {"apikey": os.environ["NEOPLE_API_KEY"]}
        timeline = requests.get(address.format(**character), parameters, headers=headers, timeout=20).json()["timeline"]
        rows += [{**character, **row, "data": json.dumps(row["data"], ensure_ascii=False)} for row in timeline["rows"]]
        if not timeline["next"]:
            return rows
        parameters = {"next": timeline["next"]}


def insert(rows: list[dict[str, Any]]) -> None:
    """Insert the rows as pandas' to_sql does."""
    engine = sa.create_engine(os.environ["WAREHOUSE_URL"].replace("postgresql://", "postgresql+psycopg://"))
    table = sa.Table("event", sa.MetaData(), *(sa.Column(name, sa.Text) for name in FIELDS))
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{**row, "code": str(row["code"])} for row in rows])


if __name__ == "__main__":
    main()
