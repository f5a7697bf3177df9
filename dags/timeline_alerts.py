"""What leaves the pipeline for those who watch it: figures for monitoring, and mails about runs that fail or are late.

Reports tell of a day's failure themselves; these mails are for what has no report: a backfill, and a day that is late.
"""

import asyncio
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk import Context
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

from timeline_connections import connect_settings
from timeline_terms import DISPUTED, FAILURE, choose_day

LATE_AFTER = timedelta(hours=3)
"""How long a day's run may take from its start."""


def send_measures(day: date) -> None:
    """Send a day's figures as gauges `timeline.…` through Airflow's own OpenTelemetry or StatsD, if one is on."""
    from neople_timeline.pipeline import measure_day

    for name, value in asdict(measure_day(connect_settings(), day)).items():
        if value is not None:
            stats.gauge(f"timeline.{name}", value)


def explain_failure(context: Context, day: date | None = None) -> str | None:
    """Say which tasks of this run failed and why, or None if none did.

    To `day` a proof that failed for other days only is no failure: those say so on their own pages.
    """
    this = context["ti"]
    states = this.get_task_states(dag_id=this.dag_id, run_ids=[this.run_id])
    # A mapped task is listed once per shard, as `collect_0`, `collect_1` …
    failed = sorted(name for name, state in states.get(this.run_id, {}).items() if state == "failed")
    if not failed:
        return None
    if failed == ["verify"] and day:
        disputed = this.xcom_pull(task_ids="verify", key=DISPUTED)
        if disputed and f"{day}" not in disputed:
            return None
    tasks = sorted({name.rstrip("0123456789").rstrip("_") for name in failed})
    reasons = this.xcom_pull(task_ids=tasks, key=FAILURE) or []
    known = list(dict.fromkeys(reason for reason in reasons if reason))
    said = "; ".join(known) or "no reason was given, its log has more"
    return f"{', '.join(failed)}: {said}. {link_run(this.dag_id, this.run_id)}"


def link_run(dag_id: str, run_id: str) -> str:
    """Give the address of a run's page."""
    base = str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def mail_failure(context: Context, first: date, reason: str) -> bool:
    """Mail that a run without a report failed: once per run, and once more for each time that it was cleared."""
    from neople_timeline.pipeline import mail_alert

    this, run = context["ti"], context["dag_run"]
    title = f"[failed] {this.dag_id} {first}"
    edition = f"failed {this.run_id} {run.clear_number}"
    return mail_alert(connect_settings(), edition, first, title, [title, "", reason])


async def mail_lateness(context: dict[str, Any]) -> None:
    """Mail that a day's run has not ended in time; DeadlineAlert has the triggerer call it, who must find this file.

    Not a SyncCallback: in 3.3.2 the API server refuses Connections to callbacks on workers.
    """
    await asyncio.to_thread(_mail_lateness, context)


def _mail_lateness(context: dict[str, Any]) -> None:
    from neople_timeline.pipeline import mail_alert

    run = context["dag_run"]
    running = datetime.now(UTC) - datetime.fromisoformat(run["queued_at"])
    began_anew = running < LATE_AFTER  # its tasks were cleared meanwhile
    if began_anew or run["state"] not in {"queued", "running"}:
        return
    interval_start = run["data_interval_start"]
    day = choose_day(
        (run["conf"] or {}).get("day"),
        datetime.fromisoformat(interval_start) if interval_start else None,
        datetime.fromisoformat(run["run_after"]),
    )
    title = f"[late] {run['dag_id']} {day}"
    reason = f"The run is {run['state']} {running // timedelta(hours=1)} hours after its start, and goes on."
    mail_alert(connect_settings(), "late", day, title, [title, "", reason, link_run(run["dag_id"], run["dag_run_id"])])
