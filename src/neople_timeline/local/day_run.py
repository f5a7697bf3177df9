"""One day's run in the local Airflow: started once, followed while it runs, summed up at its end."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from neople_timeline import pipeline
from neople_timeline.errors import RetryLater
from neople_timeline.local.airflow import RestApi
from neople_timeline.local.processes import LocalError
from neople_timeline.settings import Settings

DAG = "timeline_daily"
DAG_URL = f"/api/v2/dags/{DAG}"
STEPS = ("plan", "collect", "refine", "load", "marts", "verify", "report", "complete")
POOL_SLOTS = 2
ENDED = ("success", "failed")
RESTART_SECONDS = 300
"""How long a part may take until it answers again."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: each step's task states, and the ledger's character-days by state."""

    state: str
    tasks: dict[str, Counter[str]]
    ledger: Counter[str]
    events: int


def wait_for_dag(api: RestApi, patience_seconds: float = 120) -> None:
    """Wait until Airflow knows the DAG; a DAG file with errors is a LocalError at once, because its runs would hang."""
    deadline = time.monotonic() + patience_seconds
    while True:
        if errors := api.call("GET", "/api/v2/importErrors")["import_errors"]:
            raise LocalError(f"{errors[0]['filename']} cannot be imported:\n{errors[0]['stack_trace']}")
        if api.call("GET", DAG_URL, accept=404):
            return
        if time.monotonic() > deadline:
            raise LocalError(f"the DAG processor did not find {DAG} within {patience_seconds:.0f} s")
        time.sleep(0.2)


def ensure_pools(api: RestApi, slots: int = POOL_SLOTS) -> None:
    """Make the pools unless they are there: collectors of a backfill get half as many slots."""
    for name, size, what in (
        ("timeline_collect", slots, "Collectors of a daily run at once"),
        ("timeline_backfill", slots // 2, "Collectors of a backfill at once"),
        ("timeline_spark", 1, "Spark jobs at once"),
    ):
        pool = {"name": name, "slots": size, "description": what}
        api.call("POST", "/api/v2/pools", pool, accept=409)


def ensure_run(api: RestApi, settings: Settings, day: date) -> str:
    """Have exactly one run of a day: the one that is there, or one as the schedule would make it.

    A run that failed goes on where it failed; one that ended well runs again if characters are lacking. Return its id.
    """
    starts_at = settings.calendar.begins_at(day)
    run = _find_run(api, starts_at)
    if run is None:
        wanted = {
            "logical_date": starts_at.isoformat(),
            "data_interval_start": starts_at.isoformat(),
            "data_interval_end": (starts_at + timedelta(days=1)).isoformat(),
        }
        run = api.call("POST", f"{DAG_URL}/dagRuns", wanted, accept=409) or _find_run(api, starts_at)
    elif run["state"] == "failed":
        # The report runs after a failure too. It succeeded in telling of it, and has to tell now how it ended.
        report = {"dry_run": False, "dag_run_id": run["dag_run_id"], "task_ids": ["report"], "only_failed": False}
        api.call("POST", f"{DAG_URL}/clearTaskInstances", report)
        api.call("POST", f"{_url(run['dag_run_id'])}/clear", {"dry_run": False, "only_failed": True})
    elif run["state"] == "success" and pipeline.forecast_backfill(settings, day, day).pending:
        api.call("POST", f"{_url(run['dag_run_id'])}/clear", {"dry_run": False, "only_failed": False})
    # Only now: the schedule makes no second run of a logical date that has one.
    api.call("PATCH", DAG_URL, {"is_paused": False})
    if run is None:
        raise LocalError(f"Airflow has no run of {day} and makes none")
    return str(run["dag_run_id"])


def follow(
    api: RestApi, settings: Settings, run_id: str, day: date, require_parts: Callable[[], None]
) -> Iterator[Progress]:
    """Yield a run's progress about once a second until it ends, or `require_parts` raises because a part is gone.

    What is up and does not answer is being started again, as `make cluster` does; it is waited for a while.
    """
    answered_at = time.monotonic()
    while True:
        try:
            progress = _look_at(api, settings, run_id, day)
        except (LocalError, RetryLater):
            require_parts()
            if time.monotonic() - answered_at > RESTART_SECONDS:
                raise
        else:
            answered_at = time.monotonic()
            yield progress
            if progress.state in ENDED:
                return
            require_parts()
        time.sleep(0.7)


def _look_at(api: RestApi, settings: Settings, run_id: str, day: date) -> Progress:
    state = api.call("GET", _url(run_id))["state"]
    found = api.call("GET", f"{_url(run_id)}/taskInstances?limit=200")["task_instances"]
    tasks = {step: Counter(str(task["state"]) for task in found if task["task_id"] == step) for step in STEPS}
    return Progress(state, tasks, *pipeline.count_ledger(settings, day))


def explain_failure(api: RestApi, run_id: str) -> list[str]:
    """Say which tasks failed, with the reasons that they gave."""
    tasks = api.call("GET", f"{_url(run_id)}/taskInstances?{urlencode({'state': 'failed', 'limit': 50})}")
    return [f"{_name(task)}: {_read_reason(api, run_id, task)}" for task in tasks["task_instances"]]


def _find_run(api: RestApi, logical_date: datetime) -> dict[str, Any] | None:
    moment = logical_date.isoformat()
    query = urlencode({"logical_date_gte": moment, "logical_date_lte": moment})
    runs = api.call("GET", f"{DAG_URL}/dagRuns?{query}")["dag_runs"]
    return runs[0] if runs else None


def _url(run_id: str) -> str:
    return f"{DAG_URL}/dagRuns/{quote(run_id, safe='')}"


def _name(task: dict[str, Any]) -> str:
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] >= 0 else str(task["task_id"])


def _read_reason(api: RestApi, run_id: str, task: dict[str, Any]) -> str:
    url = f"{_url(run_id)}/taskInstances/{task['task_id']}/xcomEntries/failure?map_index={task['map_index']}"
    entry = api.call("GET", url, accept=404)
    return str(entry["value"]) if entry else "see its log on the Airflow page"
