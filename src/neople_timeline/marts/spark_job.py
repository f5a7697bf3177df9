"""The marts on Spark: `spark-submit spark_job.py RUN DAY…`.

What it computes is frame → frame; `main` only wires. Every secret comes from the environment (LAKE_URL and AWS_*,
WAREHOUSE_URL), none from the command line.
"""

import logging
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, get_args

import msgspec
from pyspark import SparkConf, SparkContext
from pyspark.sql import DataFrame, SparkSession

from neople_timeline.catalogue import LEARNT_DAYS, MARTS, VIEWS, Mart, Period, period_of
from neople_timeline.errors import RetryLater, TimelineError
from neople_timeline.lake import Lake, open_lake
from neople_timeline.marts.periods import days_covered, with_days_before
from neople_timeline.marts.spark_run import FAILED, Manifest, check_masters, run_prefix
from neople_timeline.models import KOREA
from neople_timeline.parts import list_objects
from neople_timeline.settings import Settings, read_settings
from neople_timeline.tables import TABLES, Table
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.marts import take_generation

log = logging.getLogger(__name__)

Source = Callable[[Table, Sequence[date]], DataFrame]
"""Opens `events` or `characters` of some days."""

Store = Callable[[Mart, DataFrame], DataFrame]
"""Keeps a mart's rows and gives them back for the marts that read it."""

PERIODS: Final = get_args(Period)

WORKER_PATIENCE_SECONDS: Final = 300

SPARK_TYPES: Final = {
    "integer": "int",
    "text": "string",
    "jsonb": "string",
    "timestamptz": "timestamp",
    "double precision": "double",
}


def main(arguments: Sequence[str]) -> None:
    """Compute the marts for a run and its days, or, without days, only try whether Spark reaches worker and lake."""
    run, days = arguments[0], [date.fromisoformat(text) for text in arguments[1:]]
    settings = read_settings()
    # Only then does SparkConf know what spark-submit was told.
    SparkContext._ensure_initialized()  # noqa: SLF001
    check_masters(SparkConf().get("spark.master", ""))
    lake = open_lake(settings)
    if days:
        compute_run(settings, lake, run, days)
    else:
        try_lake(settings, lake, run)


def compute_run(settings: Settings, lake: Lake, run: str, days: Sequence[date]) -> None:
    """Compute the marts of the days, and at the very end name the complete result in the run's manifest."""
    with connect(settings) as connection:
        generation = take_generation(connection)
    session = start_session(settings)
    await_worker(session)
    attempt = f"{run_prefix(run)}/{uuid.uuid4().hex}"
    objects: dict[str, tuple[str, ...]] = {}

    def store(mart: Mart, frame: DataFrame) -> DataFrame:
        frame.write.parquet(address(settings, f"{attempt}/{mart.name}"))
        objects[mart.name] = list_parquet(lake, f"{attempt}/{mart.name}")
        return read_objects(session, settings, mart, objects[mart.name])

    run_marts(session, open_source(session, settings), days, store)
    session.stop()
    manifest = Manifest(tuple(days), generation, objects)
    lake.put(f"{run_prefix(run)}/manifest.json", msgspec.json.encode(manifest))
    log.info("Computed %s marts of %s days for run %s", len(objects), len(days), run)


def try_lake(settings: Settings, lake: Lake, run: str) -> None:
    """Let a worker read one small object that is put into the lake for that, and deleted again."""
    session = start_session(settings)
    await_worker(session)
    key = f"{run_prefix(run)}/try.txt"
    lake.put(key, b"hello")
    try:
        session.read.text(address(settings, key)).collect()
    finally:
        lake.delete([key])
        session.stop()


def run_marts(session: SparkSession, source: Source, days: Sequence[date], store: Store) -> None:
    """Compute and store the marts for every day, week and month that the days touch."""
    covered = {day for period in PERIODS for day in days_covered(days, period)}
    show_days(session, source, with_days_before(covered, LEARNT_DAYS), "day")
    for view in VIEWS:
        frame = session.sql(view.sql)
        (frame.persist() if view.kept_for else frame).createOrReplaceTempView(view.name)
    for period in PERIODS:
        show_days(session, source, days_covered(days, period), period)
        for view in VIEWS:
            if not view.kept_for:
                session.sql(view.sql).createOrReplaceTempView(view.name)
        for mart in MARTS:
            if mart.period == period:
                store(mart, session.sql(mart.sql)).createOrReplaceTempView(mart.name)


def show_days(session: SparkSession, source: Source, days: Sequence[date], period: Period) -> None:
    """Let `events`, `characters` and `days` be those of some days, for all that is defined from now on."""
    for table in TABLES:
        source(table, days).createOrReplaceTempView(table.name)
    tabulate_days(session, days, period).createOrReplaceTempView("days")


def tabulate_days(session: SparkSession, days: Sequence[date], period: Period) -> DataFrame:
    """Make the relation `days`, as SQL text: like the marts it wants no Python on the cluster's machines."""
    rows = ", ".join(f"(DATE '{day}', DATE '{period_of(day, period)}')" for day in days)
    return session.sql(f"SELECT * FROM VALUES {rows} AS days (day, period)")


def await_worker(session: SparkSession) -> None:
    """Wait until a standalone cluster has given the job a worker; without any Spark would wait for ever."""
    conf = session.sparkContext.getConf()
    masters = conf.get("spark.master") or ""
    if not masters.startswith("spark://") or conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        return
    end = time.monotonic() + WORKER_PATIENCE_SECONDS
    # The driver is listed too.
    while session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 2:  # noqa: SLF001 - Python has no such call
        if time.monotonic() > end:
            raise RetryLater(
                f"no worker of {masters} took the job in {WORKER_PATIENCE_SECONDS} s: "
                "are workers up, with cores and memory to spare?",
                seconds=WORKER_PATIENCE_SECONDS,
            )
        time.sleep(0.5)


def start_session(settings: Settings) -> SparkSession:
    """Start a session that can open the lake; executors get the credentials in their environment."""
    builder = SparkSession.builder.appName("neople-timeline marts")
    for name, value in configure(settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def configure(settings: Settings) -> dict[str, str]:
    """Make the session's configuration: answers that do not depend on the machine, and the way into the lake."""
    chosen = {
        "spark.sql.session.timeZone": str(KOREA),
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


def open_source(session: SparkSession, settings: Settings) -> Source:
    """Open the lake's tables object by object, so that nothing but the ledger's parts is read."""

    def open_table(table: Table, days: Sequence[date]) -> DataFrame:
        with connect(settings) as connection:
            keys = list_objects(connection, table, days)
        return read_objects(session, settings, table, keys)

    return open_table


def read_objects(session: SparkSession, settings: Settings, table: Table, keys: Sequence[str]) -> DataFrame:
    """Open Parquet objects as a frame with the table's columns; without objects it is empty."""
    types = {column.name: SPARK_TYPES.get(column.sql, column.sql) for column in table.columns}
    if not keys:
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in types.items())
        return session.sql(f"SELECT {nulls} WHERE FALSE")
    schema = ", ".join(f"{name} {kind}" for name, kind in types.items())
    return session.read.schema(schema).parquet(*(address(settings, key) for key in keys))


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
    try:
        main(sys.argv[1:])
    except TimelineError as error:
        sys.exit(f"{FAILED}{error}")
