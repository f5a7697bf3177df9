"""The project's shards and errors in Airflow's terms: plain values for XComs, waiting and failing for tasks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict

from airflow.sdk import Context, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException

from neople_timeline.errors import (
    LONGEST_WAIT,
    NEW_WAIT_AFTER,
    ConfigError,
    DataError,
    NotOver,
    Refused,
    RetryLater,
    StopCollecting,
)
from neople_timeline.models import Plan, Shard, days_between, split_runs
from neople_timeline.settings import read_airflow_settings

log = logging.getLogger(__name__)

LONGEST_WAIT_FOR_DAY = timedelta(hours=1)
"""A scheduled run starts when its day ends, and waits for the last events and for clocks that differ. Whoever asks for
a day that ends later than this has asked too early."""

WAITING = "waiting"
"""The key under which a task keeps since when it waits, and until when, from one try to the next."""

FAILURE = "failure"
"""The key of the XCom by which a task says why it failed."""

REFUSED = "refused"
"""The key of the XCom by which a task says that it failed for what it was asked for, and did nothing."""

DISPUTED = "disputed"
"""The key of the XCom by which a proof says on which days something disagrees."""


class PlainShard(TypedDict):
    """A shard that is plain enough for an XCom, and short though it be about years."""

    days: list[list[str]]
    """The first and the last of days that follow each other."""
    index: int
    of: int


def pack_plan(plan: Plan) -> list[PlainShard]:
    """Make a plan's shards plain."""
    return [
        {
            "days": [[f"{run[0]}", f"{run[-1]}"] for run in split_runs(shard.days)],
            "index": shard.index,
            "of": shard.of,
        }
        for shard in plan.shards
    ]


def unpack_shard(shard: PlainShard) -> Shard:
    """Undo `pack_plan` for one shard."""
    runs = (map(date.fromisoformat, run) for run in shard["days"])
    return Shard(tuple(day for first, last in runs for day in days_between(first, last)), shard["index"], shard["of"])


def list_days(shards: list[PlainShard]) -> tuple[date, ...]:
    """List a plan's days: every shard has all of them."""
    return unpack_shard(shards[0]).days if shards else ()


def choose_day(chosen: str | None, interval_start: datetime | None, run_after: datetime) -> date:
    """Name the day a run is about: the one chosen, else the one its data interval covers, else the last that is over.

    Scheduled runs and backfills have the interval of their day, a run triggered by hand that of the last whole day
    before its logical date; one without a logical date, as from an asset, has none.
    """
    if chosen:
        return date.fromisoformat(chosen)
    calendar = read_airflow_settings().calendar
    return calendar.day_at(interval_start) if interval_start else calendar.last_over(run_after)


def refuse_unknown_parameters(context: Context) -> None:
    """Refuse a run with a parameter that its DAG does not have: Airflow itself ignores what is misspelled."""
    known = set(context["dag"].params)
    if unknown := sorted(set(context["dag_run"].conf or {}) - known):
        raise Refused(f"there is no parameter {', '.join(unknown)}: there are {', '.join(sorted(known))}")


def skip_what_was_refused(context: Context) -> None:
    """Skip a task that would tell others of a run whose `plan` refused what it was asked for: who asked sees that."""
    if context["ti"].xcom_pull(task_ids="plan", key=REFUSED):
        raise AirflowSkipException("plan refused this run's parameters: no report, no mail")


def name_spark_run(context: Context) -> str:
    """Name the Spark job's run: the same for every try of a DAG run."""
    return f"{context['ti'].dag_id} {context['ti'].run_id}"


@contextmanager
def in_airflow_terms() -> Iterator[None]:
    """Turn the project's errors into what Airflow should do: wait without holding a slot, or fail without a retry."""
    context = get_current_context()
    try:
        yield
    except RetryLater as later:
        pause = timedelta(seconds=later.seconds)
        if isinstance(later, NotOver) and pause > LONGEST_WAIT_FOR_DAY:
            raise _fail(context, str(later), is_refusal=True) from later
        resume_at = _wait_on(context, later, pause)
        log.warning("%s. This task comes back at %s and holds no slot until then.", later, f"{resume_at:%F %T} UTC")
        raise AirflowRescheduleException(resume_at) from later  # type: ignore[no-untyped-call]
    except (ConfigError, StopCollecting, DataError) as error:
        raise _fail(context, str(error), is_refusal=isinstance(error, Refused)) from None


def _fail(context: Context, reason: str, *, is_refusal: bool = False) -> AirflowFailException:
    log.error("%s", reason)  # on a line of its own: Airflow shows it within a traceback
    context["ti"].xcom_push(FAILURE, reason)
    if is_refusal:
        context["ti"].xcom_push(REFUSED, value=True)
    return AirflowFailException(reason)


def _wait_on(context: Context, later: RetryLater, pause: timedelta) -> datetime:
    """Note that a task waits once more, and say until when; one that has waited too long fails."""
    now, store = datetime.now(UTC), context["task_state_store"]
    kept: Any = store.get(WAITING) or {"since": f"{now}", "until": f"{now}"}
    since, until = (datetime.fromisoformat(kept[name]) for name in ("since", "until"))
    since = now if now - until >= NEW_WAIT_AFTER else since
    if now + pause > since + LONGEST_WAIT:
        store.delete(WAITING)  # who clears the task gives it the whole time again
        raise _fail(
            context,
            f"{later}. Given up after waiting since {since:%F %H:%M} UTC. What was complete is kept: clear the failed"
            " tasks once this is mended, and they go on from there",
        ) from later
    store.set(WAITING, {"since": f"{since}", "until": f"{now + pause}"})
    return now + pause
