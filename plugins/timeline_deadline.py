"""From when on Airflow reckons that a run is late: from when it was created, since its day may be long ago."""

from datetime import UTC, datetime

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference


class RunCreated(BaseDeadlineReference):
    """The time at which a run is created; Airflow asks for it only then.

    Not DAGRUN_LOGICAL_DATE: a run by hand for a day long ago would be late before it began. Not DAGRUN_QUEUED_AT: 3.3.2
    cannot clear the tasks of a run with such a deadline.
    """

    def _evaluate_with(self, **_: object) -> datetime:
        return datetime.now(UTC)


class TimelineDeadline(AirflowPlugin):
    """Makes it known to the scheduler and the API server, which create the runs."""

    name = "timeline_deadline"
    deadline_references = [RunCreated]  # noqa: RUF012
