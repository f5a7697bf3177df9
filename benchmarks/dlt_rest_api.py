"""The day with dlt's declarative REST source, into the same S3 (as Parquet) and the same PostgreSQL."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations import filesystem, postgres
from dlt.sources.rest_api import rest_api_source
from ground import WINDOW
from meter import Meter


@dlt.resource(name="characters")  # type: ignore[untyped-decorator,unused-ignore]
def read_roster() -> Iterator[list[dict[str, str]]]:
    """Yield the characters of the roster file, as one page."""
    with Path(os.environ["BENCH_ROSTER"]).open() as file:
        yield list(csv.DictReader(file))


def main() -> None:
    """Run it for every character of the roster file."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    home = Path(os.environ["BENCH_HOME"])
    meter = Meter()
    with meter.step("collect"):
        rows = list(make_source().resources["timeline"])
    with meter.step("refine"):
        lake = filesystem(bucket_url=os.environ["LAKE_URL"], credentials=read_credentials())
        load(rows, lake, home / "s3", loader_file_format="parquet")
    with meter.step("load"):
        load(rows, postgres(os.environ["WAREHOUSE_URL"]), home / "postgres")
    meter.report(events=len(rows))


def make_source() -> Any:
    """Describe the API: one timeline per character, pages by cursor."""
    return rest_api_source(
        {
            "client": {
                "base_url": f"{os.environ['NEOPLE_API_URL']}/df/",
                "headers": {"apikey": os.environ["NEOPLE_API_KEY"]},
                "paginator": {"type": "cursor", "cursor_path": "timeline.next", "cursor_param": "next"},
            },
            "resources": [
                read_roster(),
                {
                    "name": "timeline",
                    "endpoint": {
                        "path": "servers/{resources.characters.serverId}/characters/{resources.characters.characterId}"
                        "/timeline",
                        "params": {"limit": 100, "startDate": WINDOW["start"], "endDate": WINDOW["end"]},
                        "data_selector": "timeline.rows",
                    },
                    "include_from_parent": ["serverId", "characterId"],
                    "parallelized": True,
                },
            ],
        }
    )


def load(rows: list[Any], destination: Any, home: Path, **options: Any) -> None:
    """Load rows with the payload as JSON, as ours are."""
    pipeline = dlt.pipeline("bench", pipelines_dir=str(home), destination=destination, dataset_name="bench")
    events = dlt.resource(rows, name="event", columns={"data": {"data_type": "json"}})
    pipeline.run(events, **options)


def read_credentials() -> dict[str, str]:
    """Take the S3 settings from the environment."""
    return {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "region_name": os.environ["AWS_REGION"],
    }


if __name__ == "__main__":
    main()
