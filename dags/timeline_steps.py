"""The steps that both DAGs are made of: what a task does is in `neople_timeline.pipeline`.

XComs carry days, shards and counts, never rows. What is heavy is imported inside the tasks, because every task reads
its DAG file anew.
"""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow.sdk import Asset, get_current_context, task

from neople_timeline.errors import ConfigError
from neople_timeline.models import Kind
from neople_timeline.settings import read_airflow_settings
from timeline_connections import connect_settings
from timeline_lineage import MART_FOLDERS, PARQUET, RAW, ROWS, list_mart_tables, tell_lineage
from timeline_terms import DISPUTED, PlainShard, in_airflow_terms, list_days, name_spark_run, unpack_shard

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import Task

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

DAILY_POOL, BACKFILL_POOL = "timeline_collect", "timeline_backfill"
"""How many collectors of each DAG run at once; the limit of the API is kept whatever their sizes.

Collectors of a backfill hold their slots for hours: in one pool, the daily run would wait for them.
"""

SPARK_POOL = "timeline_spark"
"""One Spark job at a time: on a standalone cluster the first takes all cores, and the next would get none."""

BACKFILL_LAST: dict[str, Any] = {"priority_weight": 1, "weight_rule": "absolute"}
DAILY_FIRST: dict[str, Any] = {"priority_weight": 10, "weight_rule": "absolute"}
"""Which of them a free worker takes first."""

LONGEST_SPARK_JOB = timedelta(hours=2)
"""When a Spark job is given up and tried again; one that got no workers says so by itself after five minutes."""

LOGGED_DEBTS = 50
"""How many debts a task's log names: in an outage nearly all of a population are owed."""

RETRIES = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
}

LAKE_EVENTS = Asset("timeline_events_in_lake")
WAREHOUSE_EVENTS = Asset("timeline_events_in_warehouse")
"""Updated when days are proven, with their rows and digests as metadata; the marts are built by then."""


def explain_mapped(step: "Task[P, R]") -> "Task[P, R]":
    """Show a task's docstring on Airflow's pages where it is mapped too; of the others Airflow does so by itself."""
    return step.override(doc_md=step.function.__doc__)


@explain_mapped
@task(multiple_outputs=False)
def collect(shard: PlainShard, kind: Kind) -> dict[str, int]:
    """Ask the API for everything that is open in a shard and land the answers in the lake as they came."""
    with in_airflow_terms():
        from neople_timeline.pipeline import collect_shard, count_due
        from neople_timeline.progress_log import ProgressLog

        settings, mine = connect_settings(), unpack_shard(shard)
        done = collect_shard(settings, mine, kind=kind, progress=ProgressLog(count_due(settings, mine)))
    tell_lineage(settings, writes=[RAW])
    return {
        "landed": done.landed,
        "events": done.events,
        "missing": done.missing,
        "owed": done.owed,
        "requests": done.usage.requests,
        "wasted": done.usage.wasted,
    }


@explain_mapped
@task(multiple_outputs=False)
def refine(shard: PlainShard) -> dict[str, int]:
    """Make typed Parquet of a shard's raw answers, one object per table, day and bucket."""
    with in_airflow_terms():
        from neople_timeline.pipeline import refine_shard

        settings = connect_settings()
        done = refine_shard(settings, unpack_shard(shard))
    tell_lineage(settings, reads=[RAW], writes=PARQUET)
    return {"events": done.events, "objects": done.objects}


@explain_mapped
@task(multiple_outputs=False)
def load(shard: PlainShard) -> dict[str, int]:
    """Put a shard's Parquet into PostgreSQL in the place of what was there of it, in one transaction per part."""
    with in_airflow_terms():
        from neople_timeline.pipeline import load_shard

        settings = connect_settings()
        done = load_shard(settings, unpack_shard(shard))
    tell_lineage(settings, reads=PARQUET, writes=ROWS)
    return {"events": done.events, "characters": done.characters}


def make_mart_tasks(shards: Any) -> tuple[Any, ...]:
    """Make the tasks that compute the marts, in order: one where DuckDB does it, two around a Spark cluster."""
    if read_airflow_settings().marts_engine != "spark":
        return (marts(shards),)
    try:
        from timeline_spark import SubmitMarts  # an optional part
    except ImportError as error:
        raise ConfigError(
            f"MARTS_ENGINE is spark, but the dependency group `spark` is not installed: {error}"
        ) from None
    submitted = SubmitMarts(
        task_id="submit_marts",
        shards=shards,
        pool=SPARK_POOL,
        execution_timeout=LONGEST_SPARK_JOB,
        doc_md="Compute the marts on the Spark cluster into the lake, where nobody reads them yet.",
    )
    return submitted, publish_spark_marts()


@task(multiple_outputs=False)
def marts(shards: list[PlainShard]) -> dict[str, int]:
    """Answer the questions of players and analysts for the days that changed: lake and PostgreSQL, rows by mart."""
    with in_airflow_terms():
        from neople_timeline.pipeline import build_marts

        settings = connect_settings()
        built = build_marts(settings, list_days(shards))
    tell_lineage(settings, reads=PARQUET, writes=[MART_FOLDERS, *list_mart_tables()])
    return {mart.name: mart.rows for mart in built}


@task(task_id="marts", multiple_outputs=False)
def publish_spark_marts() -> dict[str, int]:
    """Publish what the Spark job of this run computed: lake and PostgreSQL, rows by mart."""
    with in_airflow_terms():
        from neople_timeline.pipeline import publish_marts

        settings = connect_settings()
        published = publish_marts(settings, name_spark_run(get_current_context()))
    tell_lineage(settings, reads=PARQUET, writes=[MART_FOLDERS, *list_mart_tables()])
    return {mart.name: mart.rows for mart in published}


@task(multiple_outputs=False, outlets=[LAKE_EVENTS, WAREHOUSE_EVENTS])
def verify(shards: list[PlainShard]) -> dict[str, int]:
    """Compare ledger, raw answers, Parquet and PostgreSQL per character-day; any disagreement fails the run.

    What was proven of each day goes with the Assets, to whom it matters.
    """
    with in_airflow_terms():
        from neople_timeline.pipeline import prove_days, total_days

        settings = connect_settings()
        found = prove_days(settings, list_days(shards))
        for debt in found.owed[:LOGGED_DEBTS]:
            log.warning("Owed: %s of %s: %s", "/".join(debt.character), debt.day, debt.reason)
        if len(found.owed) > LOGGED_DEBTS:
            log.warning("Owed: %s in all; `neople-timeline owed` lists them", len(found.owed))
        get_current_context()["ti"].xcom_push(DISPUTED, [f"{finding.day}" for finding in found.disagreements])
        found.require_agreement()
        totals = total_days(settings, found.days)
    facts: dict[str, Any] = {
        "days": [f"{day}" for day in found.days],
        "events": found.events,
        "owed": len(found.owed),
        "by_day": {
            f"{one.day}": {"rows": one.events, "characters": one.characters, "digest": one.digest} for one in totals
        },
    }
    for asset in (LAKE_EVENTS, WAREHOUSE_EVENTS):
        get_current_context()["outlet_events"][asset].extra = facts
    return {"days": len(found.days), "events": found.events, "owed": len(found.owed)}


@task(multiple_outputs=False)
def republish() -> dict[str, str]:
    """Write anew the page of every day that changed since it was reported: where each is."""
    with in_airflow_terms():
        from neople_timeline.pipeline import republish_reports

        return {f"{day}": done.url for day, done in republish_reports(connect_settings()).items()}
