"""What every DAG of this project keeps to."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pendulum import instance

import timeline_steps
from neople_timeline.local import day_run

DAGS = Path(__file__).parents[2] / "dags"
HEAVY = ("pyarrow", "duckdb", "matplotlib", "obstore", "pyreqwest", "pgpq", "boto3", "neople_timeline.pipeline")


def read_dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    return read_dags()


def test_there_are_two_dags(dags: dict[str, Any]) -> None:
    assert set(dags) == {"timeline_daily", "timeline_backfill"}


def test_airflow_looks_for_dags_in_no_other_file() -> None:
    ignored = set((DAGS / ".airflowignore").read_text().split())
    assert {path.name for path in DAGS.glob("*.py")} - ignored == {"timeline_daily.py", "timeline_backfill.py"}
    assert [name for name in ignored if not (DAGS / name).exists()] == []


def test_each_dag_says_what_it_is_and_runs_once_at_a_time(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert dag.doc_md
        assert {"neople", "timeline"} <= set(dag.tags)
        assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_each_task_is_retried_bounded_owned_and_described(dags: dict[str, Any]) -> None:
    for task in (task for dag in dags.values() for task in dag.tasks):
        arguments = getattr(task, "partial_kwargs", None) or vars(task)
        assert arguments["retries"] >= 2, task.task_id
        assert arguments["retry_exponential_backoff"] >= 2, task.task_id
        assert arguments["execution_timeout"] is not None, task.task_id
        assert arguments["owner"] == "timeline", task.task_id
        assert task.doc_md, task.task_id


def test_the_day_goes_from_plan_to_report(dags: dict[str, Any]) -> None:
    dag = dags["timeline_daily"]
    story = ["plan", "collect", "refine", "load", "marts", "verify", "report", "complete"]
    for before, after in pairwise(story):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.get_task("report").trigger_rule == "all_done"
    # The report runs whatever happened, so something else has to make the run fail.
    assert dag.get_task("complete").upstream_task_ids == {"verify", "report"}
    assert dag.get_task("complete").trigger_rule == "all_success"


def test_a_backfill_ends_with_the_pages_that_it_changed(dags: dict[str, Any]) -> None:
    dag = dags["timeline_backfill"]
    assert dag.get_task("republish").upstream_task_ids == {"verify"}
    assert dag.get_task("alert").upstream_task_ids == {task.task_id for task in dag.tasks} - {"alert", "complete"}


def test_a_backfill_takes_no_slot_that_a_daily_run_waits_for(dags: dict[str, Any]) -> None:
    daily, backfill = dags["timeline_daily"], dags["timeline_backfill"]
    assert {task.task_id: task.pool for task in daily.tasks if task.pool != "default_pool"} == {
        "collect": "timeline_collect"
    }
    assert {task.task_id: task.pool for task in backfill.tasks if task.pool != "default_pool"} == {
        "collect": "timeline_backfill"
    }
    weights = {dag.dag_id: {task.priority_weight for task in dag.tasks} for dag in (daily, backfill)}
    assert weights == {"timeline_daily": {10}, "timeline_backfill": {1}}
    assert {repr(task.weight_rule) for dag in (daily, backfill) for task in dag.tasks} == {
        repr(daily.tasks[0].weight_rule)
    }


def test_whoever_sets_airflow_up_makes_the_pools_that_the_tasks_ask_for() -> None:
    asked_for = {timeline_steps.DAILY_POOL, timeline_steps.BACKFILL_POOL, timeline_steps.SPARK_POOL}
    prepared = (DAGS.parent / "deploy" / "prepare").read_text("utf-8")
    assert set(re.findall(r"airflow pools set (\w+)", prepared)) == asked_for
    api = Mock()
    day_run.ensure_pools(api)
    assert {call.args[2]["name"] for call in api.call.call_args_list} == asked_for


def test_a_variable_that_is_meant_for_somebody_else_breaks_no_dag_file() -> None:
    code = "import timeline_daily, timeline_backfill"
    foreign = {**os.environ, "AWS_ENDPOINT_URL": "minio:9000", "LAKE_URL": "x"}
    subprocess.run([sys.executable, "-c", code], cwd=DAGS, env=foreign, check=True)


def test_a_dag_file_imports_nothing_heavy_and_reads_no_database() -> None:
    for name in ("timeline_daily", "timeline_backfill"):
        code = f"import {name}, sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
        environment = {
            **os.environ,
            "PYTHONPATH": str(DAGS),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nowhere/x",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr


@pytest.mark.parametrize(
    ("starts_at", "logical_date"),
    [("06:00", datetime(2026, 11, 14, 21, tzinfo=UTC)), ("00:00", datetime(2026, 11, 14, 15, tzinfo=UTC))],
)
def test_the_schedule_covers_the_day_as_it_is_set(
    monkeypatch: pytest.MonkeyPatch, starts_at: str, logical_date: datetime
) -> None:
    from airflow.timetables.interval import CronDataIntervalTimetable  # noqa: PLC0415

    monkeypatch.setenv("DAY_STARTS_AT", starts_at)
    written = read_dags()["timeline_daily"].timetable
    timetable = CronDataIntervalTimetable(written.expression, timezone=written.timezone)

    interval = timetable.infer_manual_data_interval(run_after=instance(logical_date + timedelta(days=1, hours=3)))

    assert (interval.start, interval.end) == (logical_date, logical_date + timedelta(days=1))


def test_the_plugins_cost_a_task_nothing() -> None:
    heavy = (*HEAVY, "fastapi")
    code = f"import timeline_coverage, timeline_deadline, sys; print(*[m for m in {heavy!r} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(DAGS.parent / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr
