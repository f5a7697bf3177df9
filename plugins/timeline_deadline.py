"""From when on Airflow reckons that a run is late: from when it was created, since its day may be long ago."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow.plugins_manager import AirflowPlugin

# `airflow.sdk` has these too, but does not tell type checkers of 3.3.2.
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert


class RunCreated(BaseDeadlineReference):
    """The time at which a run is created; Airflow asks for it only then.

    Not DAGRUN_LOGICAL_DATE: a run by hand for a day long ago would be late before it began. Not DAGRUN_QUEUED_AT: 3.3.2
    cannot clear the tasks of a run with such a deadline.
    """

    def _evaluate_with(self, **_: object) -> datetime:
        return datetime.now(UTC)


def make_deadline(late_after: timedelta, callback: Callable[..., object]) -> DeadlineAlert | None:
    """Have the triggerer call somebody when a run is late; nobody in `airflow dags test`.

    That cannot end a run with a deadline (apache/airflow#73428).
    """
    if sys.argv[1:3] == ["dags", "test"]:
        return None
    return DeadlineAlert(RunCreated(), late_after, AsyncCallback(callback))


class TimelineDeadline(AirflowPlugin):
    """Makes it known to the scheduler and the API server, which create the runs."""

    name = "timeline_deadline"
    deadline_references = [RunCreated]  # noqa: RUF012
