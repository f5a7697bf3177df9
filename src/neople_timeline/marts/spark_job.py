"""The marts on Spark: `spark-submit spark_job.py RUN DAY…`.

What it computes is frame → frame; `main` only wires. Every secret comes from the environment (LAKE_URL and AWS_*,
WAREHOUSE_URL), none from the command line.
"""

import logging
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Final, get_args

import msgspec
from pyspark.sql import DataFrame, SparkSession  # type: ignore[import-not-found,unused-ignore]

from neople_timeline.catalogue import MARTS, VIEWS, Mart, Period
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts.periods import days_covered, period_of
from neople_timeline.marts.spark_run import Manifest, run_prefix
from neople_timeline.settings import Settings, read_settings
from neople_timeline.tables import TABLES, Table
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.marts import take_generation

log = logging.getLogger(__name__)

Source = Callable[[Table, Sequence[date]], DataFrame]
"""Opens `events` or `characters` of some days."""

SPARK_TYPES: Final = {"integer": "int", "text": "string", "jsonb": "string", "timestamptz": "timestamp"}


def main(arguments: Sequence[str]) -> None:
    """Compute the marts for a run and its days, and name the complete result in the run's manifest."""
    run, days = arguments[0], [date.fromisoformat(text) for text in arguments[1:]]
    settings = read_settings()
    lake = open_lake(settings)
    with connect(settings) as connection:
        generation = take_generation(connection)
    session = start_session(settings)
    attempt = f"{run_prefix(run)}/{uuid.uuid4().hex}"
    for mart, frame in run_marts(session, open_source(session, lake, settings), days):
        frame.write.parquet(address(settings, f"{attempt}/{mart.name}"))
    session.stop()
    objects = {mart.name: list_parquet(lake, f"{attempt}/{mart.name}") for mart in MARTS}
    manifest = Manifest(tuple(days), generation, objects)
    lake.put(f"{run_prefix(run)}/manifest.json", msgspec.json.encode(manifest))
    log.info("Computed %s marts of %s days for run %s", len(MARTS), len(days), run)


def run_marts(session: SparkSession, source: Source, days: Sequence[date]) -> Iterator[tuple[Mart, DataFrame]]:
    """Compute the marts for every day, week and month that the days touch."""
    for period in get_args(Period):
        covered = days_covered(days, period)
        for table in TABLES:
            source(table, covered).createOrReplaceTempView(table.name)
        rows = [(day, period_of(day, period)) for day in covered]
        session.createDataFrame(rows, "day date, period date").createOrReplaceTempView("days")
        for view in VIEWS:
            session.sql(view.sql).createOrReplaceTempView(view.name)
        for mart in MARTS:
            if mart.period == period:
                # Cached, because later marts read it by its name.
                frame = session.sql(mart.sql).cache()
                frame.createOrReplaceTempView(mart.name)
                yield mart, frame


def start_session(settings: Settings) -> SparkSession:
    """Start a session that can open the lake; executors get the credentials in their environment."""
    builder = SparkSession.builder.appName("neople-timeline marts")
    for name, value in configure(settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def configure(settings: Settings) -> dict[str, str]:
    """Make the session's configuration: answers that do not depend on the machine, and the way into the lake."""
    chosen = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.redaction.regex": "(?i)secret|password|token|access[._]?key",
    }
    if not settings.lake_url.startswith("s3://"):
        return chosen
    s3a = {
        "endpoint": settings.aws_endpoint_url,
        "endpoint.region": settings.aws_region,
        "path.style.access": "true" if settings.aws_endpoint_url else "",
        "aws.credentials.provider": "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
        if settings.aws_access_key_id
        else "",
    }
    secrets = {
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.aws_secret_access_key,
        "AWS_SESSION_TOKEN": settings.aws_session_token,
    }
    chosen |= {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items() if value}
    return chosen | {f"spark.executorEnv.{name}": value for name, value in secrets.items() if value}


def open_source(session: SparkSession, lake: Lake, settings: Settings) -> Source:
    """Open the lake's tables object by object, so that nothing but committed objects is read."""

    def open_table(table: Table, days: Sequence[date]) -> DataFrame:
        schema = ", ".join(f"{column.name} {SPARK_TYPES.get(column.sql, column.sql)}" for column in table.columns)
        keys = [key for day in days for key in list_parquet(lake, f"{table.name}/day={day}")]
        if not keys:
            return session.createDataFrame([], schema)
        return session.read.schema(schema).parquet(*(address(settings, key) for key in keys))

    return open_table


def list_parquet(lake: Lake, prefix: str) -> tuple[str, ...]:
    """List the Parquet objects below a prefix; what a committer keeps for itself is left out."""
    keys = (key.removeprefix(f"{prefix}/") for key in lake.list_keys(prefix))
    return tuple(
        f"{prefix}/{key}" for key in keys if key.endswith(".parquet") and "/" not in key and key[0] not in "._"
    )


def address(settings: Settings, key: str) -> str:
    """Give the address by which Spark knows a key of the lake."""
    root = settings.lake_url
    return f"{f's3a{root[2:]}' if root.startswith('s3://') else root}/{key}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(sys.argv[1:])
