"""The task that submits the Spark job, with a spark-submit that only says what it was given."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import timeline_steps
import timeline_terms
from neople_timeline.local.airflow import describe_connections
from neople_timeline.settings import Settings

pytestmark = pytest.mark.spark

SETTINGS = Settings(
    neople_api_key="secret-key",
    lake_url="s3://lake",
    aws_access_key_id="secret-id",
    aws_secret_access_key="secret-access",
    warehouse_url="postgres://u:secret-pass@h:5432/d",
)
SHARDS = [{"days": [["2026-11-14", "2026-11-15"]], "index": 0, "of": 1}]


class FakeTask:
    dag_id, run_id = "timeline_daily", "manual__2026-11-15"

    def __init__(self) -> None:
        self.pushed: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.pushed[key] = value


class FakeRun:
    start_date = datetime.now(UTC)


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTask]:
    """Connections, and a spark-submit that writes down its arguments and environment and ends as `outcome` says."""
    for name, connection in describe_connections(SETTINGS).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    spark = {"conn_type": "spark", "host": "spark://127.0.0.1", "port": 7077}
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(spark))
    program = tmp_path / "spark-submit"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nenv > {tmp_path}/environment\n. {tmp_path}/outcome\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "outcome").write_text("exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("neople_timeline.pipeline.prepare_marts", lambda _settings, days: days)
    task = FakeTask()
    monkeypatch.setattr(timeline_terms, "get_current_context", lambda: {"ti": task, "dag_run": FakeRun()})
    with ExitStack() as opened:  # the provider's hook leaves open what it reads from
        monkeypatch.setattr(subprocess, "Popen", lambda *given, **more: opened.enter_context(Popen(*given, **more)))
        yield task


def submit(task: FakeTask) -> None:
    from timeline_spark import SubmitMarts  # noqa: PLC0415 - needs the provider

    context: Any = {"ti": task, "dag_run": FakeRun()}
    SubmitMarts(task_id="submit_marts", shards=SHARDS).execute(context)


def test_secrets_travel_in_the_environment_alone(
    task: FakeTask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    submit(task)

    arguments = (tmp_path / "arguments").read_text()
    assert "--master spark://127.0.0.1:7077" in arguments
    assert "--deploy-mode client" in arguments
    assert arguments.split("spark_job.py ")[1] == "timeline_daily manual__2026-11-15 2026-11-14 2026-11-15\n"
    assert "secret" not in arguments + caplog.text
    given = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines() if "=" in line)
    assert given["AWS_SECRET_ACCESS_KEY"] == SETTINGS.aws_secret_access_key
    assert "secret-pass" in given["WAREHOUSE_URL"]
    assert "NEOPLE_API_KEY" not in given
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


def test_a_failed_job_says_why_and_is_tried_again(task: FakeTask, tmp_path: Path) -> None:
    said = "neople-timeline: no Spark master answers at spark://127.0.0.1:7077: is the cluster up?"
    (tmp_path / "outcome").write_text(f'echo WARN; echo "{said}"; echo INFO ShutdownHook; exit 1')

    with pytest.raises(
        AirflowException, match="the Spark job failed: no Spark master answers at spark://127"
    ) as raised:
        submit(task)

    assert not isinstance(raised.value, AirflowFailException)
    assert task.pushed["failure"] == str(raised.value)


def test_without_spark_submit_it_says_how_to_get_it(task: FakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(AirflowException, match="make install-spark"):
        submit(task)


@pytest.mark.parametrize("connection", [None, {"conn_type": "spark"}])
def test_without_a_spark_connection_nothing_is_submitted_to_yarn(
    task: FakeTask, connection: dict[str, Any] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT")
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))

    with pytest.raises(AirflowFailException, match="spark_default"):
        submit(task)

    assert not (tmp_path / "arguments").exists()


def test_both_dags_submit_before_they_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415

    monkeypatch.setenv("MARTS_ENGINE", "spark")
    bag = DagBag(Path(__file__).parents[2] / "dags")
    assert bag.import_errors == {}
    for dag in (bag.dags["timeline_daily"], bag.dags["timeline_backfill"]):
        submitted = dag.get_task("submit_marts")
        assert submitted.upstream_task_ids == {"load", "plan"}
        # Of the backfill's tasks one more follows all others: the one that tells of a failure.
        assert submitted.downstream_task_ids - {"alert"} == {"marts"}
        assert dag.get_task("marts").downstream_task_ids - {"alert"} == {"verify"}
        assert submitted.pool == "timeline_spark"
        assert submitted.execution_timeout == timeline_steps.LONGEST_SPARK_JOB
        assert submitted.retries
        assert submitted.retries >= 2
        assert submitted.doc_md
