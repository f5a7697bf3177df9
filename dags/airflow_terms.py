"""The project's shards and errors in Airflow's terms: plain values for XComs, waiting and failing for tasks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import Context, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from neople_timeline.errors import ConfigError, DataError, RetryLater, StopCollecting
from neople_timeline.models import Plan, Shard

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=12)
"""How long a run waits for the API, the stores or the end of the day before it fails and says so."""

PlainShard = dict[str, Any]


def pack_plan(plan: Plan) -> list[PlainShard]:
    """Make a plan's shards plain enough for an XCom."""
    return [
        {"days": [day.isoformat() for day in shard.days], "index": shard.index, "of": shard.of} for shard in plan.shards
    ]


def unpack_shard(shard: PlainShard) -> Shard:
    """Undo `pack_plan` for one shard."""
    return Shard(tuple(map(date.fromisoformat, shard["days"])), shard["index"], shard["of"])


def list_days(shards: list[PlainShard]) -> tuple[date, ...]:
    """List a plan's days: every shard has all of them."""
    return unpack_shard(shards[0]).days if shards else ()


def name_spark_run(context: Context) -> str:
    """Name the Spark job's run: the same for every try of a DAG run."""
    return f"{context['ti'].dag_id} {context['ti'].run_id}"


@contextmanager
def as_airflow_says() -> Iterator[None]:
    """Turn the project's errors into what Airflow should do: wait without holding a slot, or fail without a retry."""
    context = get_current_context()
    try:
        yield
    except RetryLater as later:
        resume_at = datetime.now(UTC) + timedelta(seconds=later.seconds)
        if resume_at > _read_start(context) + LONGEST_WAIT:
            raise _fail(context, f"{later}. Given up: that is too long to wait, run it again then") from later
        log.warning("%s. This task comes back at %s and holds no slot until then.", later, f"{resume_at:%F %T} UTC")
        raise AirflowRescheduleException(resume_at) from later  # type: ignore[no-untyped-call]
    except (ConfigError, StopCollecting, DataError) as error:
        raise _fail(context, str(error)) from error


def _fail(context: Context, reason: str) -> AirflowFailException:
    context["ti"].xcom_push("failure", reason)
    return AirflowFailException(reason)


def _read_start(context: Context) -> datetime:
    return context["dag_run"].start_date or datetime.now(UTC)
