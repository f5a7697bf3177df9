"""What leaves the pipeline for those who watch it."""

import asyncio
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.observability import stats

import timeline_alerts
import timeline_backfill
import timeline_terms
from neople_timeline import pipeline
from neople_timeline.settings import Settings
from neople_timeline.warehouse.measures import Measures

DAY = date(2026, 11, 15)
GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
MEASURED = Measures(1000, 40, 1, 2, 3, 0, 55, 5, 0.9, 1.5, None)


class FakeTask:
    dag_id = "timeline_backfill"
    run_id = "manual__2026-11-16T00:00:00+00:00"

    def __init__(self, states: dict[str, str], *, refused: bool | None = None) -> None:
        self.states, self.refused = states, refused

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: self.states}

    def xcom_pull(self, task_ids: list[str] | str, key: str) -> Any:
        if key == "refused":
            assert task_ids == "plan"
            return self.refused
        assert key == "failure"
        return ["API003: the key is not known"]


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(timeline_alerts, "connect_settings", Settings)

    def mail_alert(_: Settings, *mail: Any) -> bool:
        sent.append(mail)
        return True

    monkeypatch.setattr(pipeline, "mail_alert", mail_alert)
    return sent


def test_figures_go_to_airflows_own_metrics_as_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, float] = {}
    monkeypatch.setattr(timeline_alerts, "connect_settings", Settings)
    monkeypatch.setattr(pipeline, "measure_day", lambda _, day: MEASURED if day == DAY else None)
    monkeypatch.setattr(stats, "gauge", sent.__setitem__)

    timeline_alerts.send_measures(DAY)

    assert sent["timeline.requests"] == 55
    assert sent["timeline.used_share"] == 0.9
    assert "timeline.lag_seconds" not in sent  # not known is not zero


def test_a_failed_backfill_is_mailed_with_task_reason_and_link(mails: list[tuple[Any, ...]]) -> None:
    task = FakeTask({"plan": "success", "collect_3": "failed"})
    context: Any = {"ti": task, "dag_run": SimpleNamespace(clear_number=2)}
    reason = timeline_alerts.explain_failure(context)
    assert reason is not None
    assert timeline_alerts.mail_failure(context, DAY, reason)

    ((edition, day, title, lines),) = mails
    assert (edition, day, title) == (f"failed {FakeTask.run_id} 2", DAY, "[failed] timeline_backfill 2026-11-15")
    assert lines[-1] == (
        "collect_3: API003: the key is not known. "
        "http://localhost:8080/dags/timeline_backfill/runs/manual__2026-11-16T00%3A00%3A00%2B00%3A00"
    )


@pytest.mark.parametrize(
    ("task", "skipped"),
    [
        (FakeTask({"plan": "success", "collect_0": "success"}), "nothing failed"),
        (FakeTask({"plan": "failed"}, refused=True), "plan refused this run.s parameters"),
        (FakeTask({"plan": "failed"}), ""),
        (FakeTask({"plan": "success", "collect_0": "failed"}), ""),
    ],
)
def test_a_backfill_is_told_of_once_all_has_ended_if_something_failed_that_was_not_refused(
    monkeypatch: pytest.MonkeyPatch, mails: list[tuple[Any, ...]], task: FakeTask, skipped: str
) -> None:
    context = {
        "ti": task,
        "dag_run": SimpleNamespace(clear_number=0),
        "params": {"first": f"{DAY}"},
    }
    for module in (timeline_backfill, timeline_terms):
        monkeypatch.setattr(module, "get_current_context", lambda: context)
    if skipped:
        with pytest.raises(AirflowSkipException, match=skipped):
            timeline_backfill.alert.function()
    else:
        assert timeline_backfill.alert.function()
    assert len(mails) == (0 if skipped else 1)


@pytest.mark.parametrize(
    ("interval_start", "conf", "late"),
    [
        ("2026-11-14T21:00:00Z", None, DAY),
        ("2026-11-14T21:00:00Z", {"day": "2026-10-01"}, date(2026, 10, 1)),
        ("2026-11-14T21:00:00Z", {"day": None, "again": True}, DAY),
        (None, {}, date(2026, 11, 14)),  # by hand, without a logical date: five minutes later the 15th would be over
    ],
)
def test_a_late_day_is_mailed_with_its_state_and_link(
    mails: list[tuple[Any, ...]], interval_start: str | None, conf: dict[str, Any] | None, late: date
) -> None:
    run: dict[str, Any] = {
        "dag_id": "timeline_daily",
        "dag_run_id": "scheduled__2026",
        "data_interval_start": interval_start,
        "run_after": "2026-11-15T21:00:00Z",
        "queued_at": (datetime.now(UTC) - timedelta(hours=3, minutes=1)).isoformat(),
        "conf": conf,
        "state": "running",
    }

    asyncio.run(timeline_alerts.mail_lateness({"dag_run": run}))

    ((edition, day, title, lines),) = mails
    assert (edition, day, title) == ("late", late, f"[late] timeline_daily {late}")
    assert "running 3 hours after its start" in lines[2]
    assert lines[3] == "http://localhost:8080/dags/timeline_daily/runs/scheduled__2026"


@pytest.mark.parametrize(("state", "minutes"), [("running", 1), ("failed", 181), ("success", 181)])
def test_a_run_that_began_anew_or_has_ended_is_not_late(mails: list[tuple[Any, ...]], state: str, minutes: int) -> None:
    queued_at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    run: dict[str, Any] = {
        "dag_id": "timeline_daily",
        "dag_run_id": "scheduled__2026",
        "data_interval_start": None,
        "run_after": "2026-11-15T21:00:00Z",
        "queued_at": queued_at,
        "conf": {},
        "state": state,
    }

    asyncio.run(timeline_alerts.mail_lateness({"dag_run": run}))

    assert mails == []


def test_the_daily_run_has_a_deadline_that_the_triggerer_can_call() -> None:
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415

    deadline = DagBag(Path(timeline_alerts.__file__).parent).dags["timeline_daily"].deadline
    assert isinstance(deadline, list)
    (alert,) = deadline
    assert isinstance(alert.callback, AsyncCallback)
    assert alert.callback.path == "timeline_alerts.mail_lateness"


def test_a_run_is_late_three_hours_after_it_was_created_whatever_day_it_is_about() -> None:
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415
    from airflow.serialization.decoders import decode_deadline_alert  # noqa: PLC0415
    from airflow.serialization.encoders import encode_deadline_alert  # noqa: PLC0415

    deadline = DagBag(Path(timeline_alerts.__file__).parent).dags["timeline_daily"].deadline
    assert isinstance(deadline, list)
    (alert,) = deadline
    # As the scheduler and the API server do it, who know the DAG from the metastore.
    stored = decode_deadline_alert({"__var": encode_deadline_alert(alert), "__type": "deadline_alert"})
    due = stored.reference.evaluate_with(
        session=None, interval=stored.interval, dag_id="timeline_daily", run_id="manual__2017-09-21"
    )
    assert abs(due - datetime.now(UTC) - timedelta(hours=3)) < timedelta(minutes=1)


def test_the_dashboard_asks_for_exactly_the_figures_that_are_sent() -> None:
    board = (GRAFANA / "neople-timeline-metrics.json").read_text()
    expressions = " ".join(target["expr"] for panel in json.loads(board)["panels"] for target in panel["targets"])

    assert set(re.findall(r"\bairflow_timeline_(\w+)", expressions)) == set(Measures.__dataclass_fields__)
