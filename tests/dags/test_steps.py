"""What the tasks do beside calling the pipeline: name the day, turn errors into Airflow's terms, tell of failures."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from fake_task import AFTERNOON, FakeTask, give_context
from pendulum import instance

import timeline_alerts
import timeline_daily
import timeline_steps
import timeline_terms
from neople_timeline import pipeline
from neople_timeline.errors import ConfigError
from neople_timeline.models import Collected, Plan, Shard, Usage
from neople_timeline.settings import Settings
from neople_timeline.summary import Published


class FakeRun:
    run_type = "manual"
    conf: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, run_after: datetime | None = None, interval_start: datetime | None = None) -> None:
        self.run_after, self.data_interval_start = run_after, interval_start


TIMETABLE = CronDataIntervalTimetable("00 06 * * *", timezone="Asia/Seoul")


def trigger(logical_date: datetime | None) -> FakeRun:
    """Make a run as Airflow does for somebody who presses the button; the form's logical date is now, or none."""
    interval = logical_date and TIMETABLE.infer_manual_data_interval(run_after=instance(logical_date))
    return FakeRun(AFTERNOON, interval.start if interval else None)


def read_day(run: FakeRun, chosen: str | None = None) -> date:
    return timeline_daily.read_day({"params": {"day": chosen}, "dag_run": run})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("logical_date", "day"),
    [
        (AFTERNOON, date(2026, 11, 22)),
        (None, date(2026, 11, 22)),  # as from an asset
        (datetime(2026, 11, 22, 21, tzinfo=UTC), date(2026, 11, 22)),  # 06:00 in Korea, when the day has just ended
        (datetime(2026, 11, 22, 20, 59, tzinfo=UTC), date(2026, 11, 21)),
        (datetime(2026, 11, 15, tzinfo=UTC), date(2026, 11, 14)),
    ],
)
def test_a_run_started_by_hand_is_about_the_newest_day_that_is_over(logical_date: datetime | None, day: date) -> None:
    assert read_day(trigger(logical_date)) == day
    assert read_day(trigger(logical_date), "2026-10-01") == date(2026, 10, 1)


def test_each_run_of_the_schedule_and_of_airflow_backfill_is_about_its_own_day() -> None:
    during = TimeRestriction(instance(datetime(2026, 11, 19, 21, tzinfo=UTC)), instance(AFTERNOON), catchup=True)
    found, last = [], None
    while run := TIMETABLE.next_dagrun_info(last_automated_data_interval=last, restriction=during):
        last = run.data_interval
        assert last
        found.append((read_day(FakeRun(run.run_after, last.start)), run.run_after))

    assert found == [(date(2026, 11, day), datetime(2026, 11, day, 21, tzinfo=UTC)) for day in (20, 21, 22, 23)]


@pytest.mark.parametrize(
    ("run_type", "owes"), [("scheduled", True), ("manual", False), ("backfill", False), ("asset_triggered", False)]
)
def test_only_runs_of_the_schedule_owe_the_days_that_it_has_left_out(
    monkeypatch: pytest.MonkeyPatch,
    run_type: str,
    owes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    asked: dict[str, Any] = {}

    def plan_day(_settings: Settings, day: date, **flags: bool) -> Plan:
        asked.update(day=day, **flags)
        return Plan((day,), (), 0, 0)

    run = trigger(AFTERNOON)
    run.run_type = run_type
    params = {"day": None, "again": False}
    context = {"params": params, "dag": SimpleNamespace(params=params), "dag_run": run}
    give_context(monkeypatch)
    monkeypatch.setattr(timeline_daily, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_daily, "connect_settings", Settings)
    monkeypatch.setattr(pipeline, "plan_day", plan_day)
    assert timeline_daily.plan.function() == []
    assert asked == {"day": date(2026, 11, 22), "again": False, "follows": owes}


def test_the_report_tells_of_a_failure_by_task_and_reason() -> None:
    states = {"plan": "success", "collect_0": "failed", "collect_11": "failed", "refine": "upstream_failed"}
    task = FakeTask(states, ["the key is blocked", None, "the key is blocked"])

    text = timeline_alerts.explain_failure({"ti": task})  # type: ignore[typeddict-item]

    assert text == ("collect_0, collect_11: the key is blocked. http://localhost:8080/dags/timeline_daily/runs/run")
    assert task.asked == ["collect"]


@pytest.mark.parametrize(
    ("states", "disputed", "is_told"),
    [
        ({"verify": "failed"}, ["2026-11-14"], False),
        ({"verify": "failed"}, ["2026-11-14", "2026-11-15"], True),
        ({"verify": "failed"}, None, True),
        ({"load": "failed", "verify": "upstream_failed"}, None, True),
        ({"marts": "failed", "verify": "failed"}, ["2026-11-14"], True),
    ],
)
def test_a_proof_that_failed_for_other_days_is_no_failure_of_the_runs_own(
    states: dict[str, str], disputed: list[str] | None, *, is_told: bool
) -> None:
    task = FakeTask(states, ["1 disagreement"])
    task.pushed["disputed"] = disputed
    context: Any = {"ti": task}
    assert (timeline_alerts.explain_failure(context, date(2026, 11, 15)) is not None) is is_told
    assert timeline_alerts.explain_failure(context) is not None


def test_a_day_that_went_well_has_no_failure_to_tell() -> None:
    assert timeline_alerts.explain_failure({"ti": FakeTask({"plan": "success", "verify": "success"})}) is None  # type: ignore[typeddict-item]


def test_a_collector_logs_how_far_it_has_come_of_what_its_shard_has_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    day = date(2026, 11, 15)

    def collect_shard(_settings: Settings, shard: Shard, *, kind: str, progress: Callable[[Collected], None]) -> Any:
        assert (shard, kind) == (Shard((day,), 1, 2), "daily")
        done = Collected(30, 700, 0, 0, Usage(60, seconds=30))
        progress(done)
        return done

    caplog.set_level("INFO")
    give_context(monkeypatch)
    monkeypatch.setattr(timeline_steps, "connect_settings", Settings)
    monkeypatch.setattr(timeline_steps, "tell_lineage", lambda *_, **__: None)
    monkeypatch.setattr(pipeline, "count_due", lambda _settings, shard: {1: 90}[shard.index])
    monkeypatch.setattr(pipeline, "collect_shard", collect_shard)
    collected = timeline_steps.collect.function({"days": [[f"{day}", f"{day}"]], "index": 1, "of": 2}, "daily")
    assert (collected["landed"], collected["requests"]) == (30, 60)
    assert caplog.messages == ["30 of 90 character-days, 700 events, 2 requests/s, about 60 s left"]


def test_marts_get_all_days_of_the_plan_and_the_report_the_pages_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, day = date(2026, 11, 12), date(2026, 11, 15)
    built: list[Any] = []
    days = [[f"{earlier}", f"{earlier}"], ["2026-11-14", f"{day}"]]
    shard: timeline_terms.PlainShard = {"days": days, "index": 0, "of": 1}
    task = give_context(monkeypatch)
    run = FakeRun()
    run.conf = {"day": f"{day}"}
    context = {"ti": task, "dag_run": run, "params": run.conf}
    page = Published("s3://lake/page", mailed=False, debts=0)

    def build_marts(_settings: Settings, days: tuple[date, ...]) -> tuple[()]:
        built.append(days)
        return ()

    def publish_report(_settings: Settings, one: date, _failure: str | None) -> Published:
        built.append(one)
        return page

    def republish_reports(_settings: Settings, but: date | None = None) -> dict[date, Published]:
        built.append(f"others but {but}")
        return {earlier: page}

    for step in (build_marts, publish_report, republish_reports):
        monkeypatch.setattr(pipeline, step.__name__, step)
    for module in (timeline_steps, timeline_daily):
        monkeypatch.setattr(module, "connect_settings", Settings)
    monkeypatch.setattr(timeline_daily, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_daily, "send_measures", lambda _day: None)

    timeline_steps.marts.function([shard])
    timeline_daily.report.function()
    assert timeline_steps.republish.function() == {f"{earlier}": page.url}

    assert built == [(earlier, date(2026, 11, 14), day), day, f"others but {day}", "others but None"]


@pytest.mark.parametrize("conf", [{"day": "2016-01-01"}, {"day": "2026-11-15", "agian": True}, {"dya": "2026-11-15"}])
def test_a_run_that_was_asked_for_and_refused_is_reported_to_nobody(
    monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any]
) -> None:
    run = trigger(AFTERNOON)
    run.conf = conf
    params = {"day": None, "again": False}
    context = {"dag_run": run, "dag": SimpleNamespace(params=params), "params": {**params, **conf}}
    context["ti"] = give_context(monkeypatch)
    monkeypatch.setattr(timeline_daily, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_terms, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_daily, "connect_settings", Settings)
    with pytest.raises(AirflowFailException):
        timeline_daily.plan.function()
    with pytest.raises(AirflowSkipException, match="refused"):
        timeline_daily.report.function()


def test_a_run_of_the_schedule_that_plan_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    task = give_context(monkeypatch)
    task.pushed["refused"] = True  # an empty roster, say
    context = {"ti": task, "dag_run": trigger(AFTERNOON), "params": {"day": None}}
    monkeypatch.setattr(timeline_daily, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_daily, "connect_settings", Settings)
    monkeypatch.setattr(timeline_daily, "send_measures", lambda _day: None)
    monkeypatch.setattr(timeline_daily, "explain_failure", lambda *_: "the roster is empty")
    page = Published("s3://lake/page", mailed=True, debts=0)

    def publish_report(_settings: Settings, *report: Any) -> Published:
        told.append(report)
        return page

    monkeypatch.setattr(pipeline, "publish_report", publish_report)
    monkeypatch.setattr(pipeline, "republish_reports", lambda _settings, but: {} if but else None)
    timeline_daily.report.function()
    assert told == [(date(2026, 11, 22), "the roster is empty")]


def test_a_proof_that_failed_for_other_days_is_mailed_beside_the_report_of_a_day_that_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    context = {"ti": give_context(monkeypatch), "dag_run": trigger(AFTERNOON), "params": {"day": None}}
    monkeypatch.setattr(timeline_daily, "get_current_context", lambda: context)
    monkeypatch.setattr(timeline_daily, "connect_settings", Settings)
    monkeypatch.setattr(timeline_daily, "send_measures", lambda _day: None)
    monkeypatch.setattr(timeline_daily, "explain_failure", lambda _context, day=None: None if day else "verify: …")
    monkeypatch.setattr(timeline_daily, "mail_failure", lambda _context, *alert: told.append(alert))
    page = Published("s3://lake/page", mailed=True, debts=0)

    def publish_report(_settings: Settings, *report: Any) -> Published:
        told.append(report)
        return page

    monkeypatch.setattr(pipeline, "publish_report", publish_report)
    monkeypatch.setattr(pipeline, "republish_reports", lambda _settings, but: {} if but else None)
    timeline_daily.report.function()
    assert told == [(date(2026, 11, 22), None), (date(2026, 11, 22), "verify: …")]


def test_a_misspelled_parameter_is_refused_by_name() -> None:
    run = FakeRun()
    run.conf = {"dya": "2026-11-20", "again": True}
    context: Any = {"dag_run": run, "dag": SimpleNamespace(params={"day": None, "again": False})}
    with pytest.raises(ConfigError, match="no parameter dya: there are again, day"):
        timeline_terms.refuse_unknown_parameters(context)
