"""The marts on a Spark cluster. Only imported where MARTS_ENGINE is spark: it needs the dependency group `spark`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException

from timeline_connections import SPARK, connect_settings, require_spark
from timeline_terms import FAILURE, in_airflow_terms, list_days, name_spark_run

JOB = find_spec("neople_timeline.marts.spark_job")


class SubmitMarts(SparkSubmitOperator):  # type: ignore[misc,unused-ignore]
    """Submit the Spark job for the days of a plan, and wait for it.

    The job's secrets go into its environment. `env_vars` of the operator would show them in the rendered fields, and on
    YARN and Kubernetes in the list of processes.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "shards")

    def __init__(self, *, shards: Any, **given: Any) -> None:
        # A standalone cluster runs Python jobs in no other mode; elsewhere the driver would not get our environment.
        super().__init__(
            application=(JOB and JOB.origin) or "", conn_id=SPARK, name="neople-timeline", deploy_mode="client", **given
        )
        self.shards = shards

    def execute(self, context: Context) -> None:
        """Run spark-submit; a failed job is tried again by Airflow, and its reason is told to the report."""
        from neople_timeline.marts import spark_run
        from neople_timeline.pipeline import prepare_marts

        with in_airflow_terms():
            require_spark()
            settings = connect_settings()
            days = prepare_marts(settings, list_days(self.shards))
        self.application_args = spark_run.make_arguments(name_spark_run(context), days)
        with lent_to_children(spark_run.make_environment(settings)):
            try:
                super().execute(context)
            except (AirflowException, FileNotFoundError) as error:
                reason = f"the Spark job failed: {spark_run.find_reason(str(error))}"
                context["ti"].xcom_push(FAILURE, reason)
                raise AirflowException(reason) from None


@contextmanager
def lent_to_children(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
