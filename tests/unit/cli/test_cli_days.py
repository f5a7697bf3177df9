"""Commands that collect, prove and report days."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from stand_ins import CAIN, COMPLETE, DAY, DEBT, FAILED, INDEBTED, PLAN, PROVEN, run, stand_in

from neople_timeline import pipeline
from neople_timeline.checks import Disagreement
from neople_timeline.cli import screen
from neople_timeline.cli.screen import Screen, patiently
from neople_timeline.errors import (
    LONGEST_WAIT,
    NEW_WAIT_AFTER,
    ConfigError,
    NotOver,
    Refused,
    RetryLater,
    StopCollecting,
)
from neople_timeline.models import Calendar, Collected, Usage
from neople_timeline.pipeline import Loaded, Refined
from neople_timeline.summary import Published


def test_a_day_goes_through_every_step_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    result = run("day", "2026-11-15")
    assert result.exit_code == COMPLETE, result.output
    assert steps.names() == [
        "plan_day",
        "collect_shard",
        *["refine_shard", "load_shard"] * 2,
        "build_marts",
        "prove_days",
        "publish_report",
        "republish_reports",
    ]
    assert "5 character-days to collect" in result.output
    assert "2 wasted: 2 retried" in result.output
    assert "s3://lake/reports/x, mailed to players@example.org" in result.output


def show_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True) -> io.StringIO:
    shown = io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(screen, "err", Screen(file=shown, force_terminal=terminal, highlight=False, soft_wrap=True))
    return shown


def test_a_terminal_shows_each_step_while_it_is_at_work_and_nothing_of_it_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch)
    shown = show_on_a_terminal(monkeypatch)
    assert run("backfill", "2026-11-01", "2026-11-15").exit_code == COMPLETE
    steps = re.findall(r"(\w[\w ]*(?: \d/\d)?) \S*0:00:00", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.getvalue()))
    assert list(dict.fromkeys(steps)) == [
        *["Refining 1/2", "Loading 1/2", "Refining 2/2", "Loading 2/2"],
        *["Computing marts", "Verifying", "Writing reports"],
    ]
    assert shown.getvalue().endswith("\x1b[1A\x1b[2K"), "its line is taken away"


def test_what_is_waited_for_stays_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, verify_days=[RetryLater("PostgreSQL went away", seconds=10), PROVEN])
    shown = show_on_a_terminal(monkeypatch)
    assert run("verify", "2026-11-15").exit_code == COMPLETE
    assert "PostgreSQL went away; trying again in 5 s" in shown.getvalue()
    assert "Verifying" in shown.getvalue()


def test_a_file_is_told_of_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    shown = show_on_a_terminal(monkeypatch, terminal=False)
    assert run("backfill", "2026-11-01", "2026-11-15").exit_code == COMPLETE
    assert not shown.getvalue()


def test_the_flags_of_a_day_reach_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    run("day", "2026-11-15", "--again", "--unfinished")
    assert steps.calls[0] == ("plan_day", (DAY,), {"again": True, "unfinished": True, "follows": False})


def test_yesterday_follows_the_calendar_and_days_that_still_wait_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published("s3://lake/reports/x", mailed=True, debts=0, waiting=13)
    steps = stand_in(monkeypatch, publish_report=published)
    result = run("day", "yesterday")
    assert steps.calls[0][2]["follows"] is True
    assert result.exit_code == INDEBTED
    assert "Still to be collected: 13 earlier days" in result.output


def test_a_complete_day_asks_the_api_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, plan_day=replace(PLAN, pending=0))
    result = run("day", "2026-11-15")
    assert result.exit_code == COMPLETE
    assert "collect_shard" not in steps.names()
    assert "everything is there already" in result.output


def test_a_day_with_debts_says_so_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, prove_days=replace(PROVEN, owed=(DEBT,) * 30))
    result = run("day", "2026-11-15")
    assert result.exit_code == INDEBTED
    assert f"owed: 2026-11-15  cain/{'a' * 32} (카인\ufffd[2J)  the connection failed" in result.output
    assert "and 10 more: `neople-timeline owed` lists them all" in result.output


def test_one_of_something_is_written_in_the_singular(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Disagreement(DAY, None, "bucket 0", "is gone")
    orphans = ("raw/1",) * 21
    found = replace(PROVEN, checked=1, events=1, disagreements=(finding,), owed=(DEBT,), orphans=orphans)
    plan = replace(PLAN, days=(date(2026, 11, 14), DAY), characters=1, pending=1)
    used = Collected(1, 1, 1, 0, Usage(1, 1, 1, 1, 1, 1.0))
    published = Published("s3://lake/reports/x", mailed=True, debts=1, waiting=1)
    stand_in(monkeypatch, plan_day=plan, collect_shard=used, prove_days=found, publish_report=published)
    said = run("day", "2026-11-15").output
    assert "1 character, 2 days (and debts of 1 earlier day): 1 character-day to collect." in said
    assert re.findall(r"\b1 (?:[a-z-]+ )?[a-z-]+s\b(?!/)", said) == []  # a rate is in requests/s


def test_a_day_that_is_there_tells_what_was_refined_and_loaded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        monkeypatch,
        plan_backfill=replace(PLAN, pending=0),
        refine_shard=Refined(1_000, 4),
        load_shard=Loaded(2_000, 5),
    )
    said = run("backfill", "2026-11-15", "2026-11-15").output
    assert "everything is there already" in said
    assert "Refined 2,000 events, loaded 4,000 into PostgreSQL." in said


def test_a_day_whose_data_disagree_has_failed_and_still_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Disagreement(DAY, CAIN, "PostgreSQL", "has 2 events instead of 3")
    steps = stand_in(monkeypatch, prove_days=replace(PROVEN, disagreements=(finding,)))
    result = run("day", "2026-11-15")
    assert result.exit_code == FAILED
    assert str(finding) in result.output
    ((_, arguments, _),) = [call for call in steps.calls if call[0] == "publish_report"]
    assert arguments == (DAY, "the proof failed: `neople-timeline verify 2026-11-15` lists what disagrees")


@pytest.mark.parametrize("step", ["plan_day", "collect_shard"])
@pytest.mark.parametrize("away", [False, True])
def test_a_day_that_stops_on_its_way_is_told_by_page_and_mail_too(
    monkeypatch: pytest.MonkeyPatch, step: str, *, away: bool
) -> None:
    told = ConfigError("the store refuses") if away else Published("s3://lake/reports/x", mailed=True, debts=0)
    steps = stand_in(monkeypatch, publish_report=told, **{step: StopCollecting("the key is blocked")})
    result = run("day", "2026-11-15")
    assert str(result.exception) == "the key is blocked"
    assert [call[1] for call in steps.calls if call[0] == "publish_report"] == [(DAY, "the key is blocked")]
    assert ("Report: s3://lake/reports/x" in result.output) != away


@pytest.mark.parametrize("error", [Refused("the day is too early"), NotOver("the day is not over", seconds=60)])
def test_a_day_that_cannot_be_had_is_told_to_who_asked_for_it_alone(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    steps = stand_in(monkeypatch, plan_day=error)
    result = run("day", "2026-11-15")
    assert isinstance(result.exception, Refused)
    assert steps.names() == ["plan_day"]


def test_a_day_is_not_called_failed_for_what_disagrees_on_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = Disagreement(date(2026, 11, 12), CAIN, "PostgreSQL", "has 2 events instead of 3")
    steps = stand_in(monkeypatch, prove_days=replace(PROVEN, disagreements=(earlier,)))
    result = run("day", "2026-11-15")
    assert result.exit_code == FAILED
    assert str(earlier) in result.output
    assert [call[1] for call in steps.calls if call[0] == "publish_report"] == [(DAY, None)]


def test_a_day_that_was_asked_for_before_its_end_is_not_called_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, verify_days=replace(PROVEN, provisional=(DAY,)))
    result = run("verify", "2026-11-15")
    assert result.exit_code == INDEBTED
    assert "not proven until `neople-timeline day` has asked again: 2026-11-15" in result.output


@pytest.mark.parametrize("command", [("day", "2026-11-15", "--unfinished"), ("report", "2026-11-15")])
def test_a_day_that_is_still_running_is_never_called_complete(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, publish_report=Published("s3://lake/x", mailed=False, debts=0, is_provisional=True))
    result = run(*command)
    assert result.exit_code == INDEBTED
    assert "before the day was over, marked as provisional. It is not mailed" in result.output


def test_yesterday_is_the_last_day_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    before = datetime.now(UTC)
    assert run("day", "yesterday").exit_code == COMPLETE
    assert steps.calls[0][1][0] in {Calendar().last_over(now) for now in (before, datetime.now(UTC))}


@pytest.mark.parametrize("text", ["15.11.2026", "2026-11-31", "today", "2026-13-01", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    result = run("day", text)
    assert isinstance(result.exception, ConfigError)
    assert "2026-11-15" in str(result.exception)


@pytest.mark.parametrize("command", [("day",), ("backfill", "2026-11-01"), ("backfill", "--dry-run", "2026-11-01")])
def test_an_unfinished_day_is_refused_with_its_reason(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    early = NotOver("2026-11-15 is not over", seconds=60)
    stand_in(monkeypatch, plan_day=early, plan_backfill=early, forecast_backfill=early)
    result = run(*command, "2026-11-15")
    assert isinstance(result.exception, ConfigError)
    assert "--unfinished" in str(result.exception)


@pytest.mark.parametrize("command", [("day", "2026-11-15"), ("retry",), ("backfill", "2026-11-01", "2026-11-02")])
@pytest.mark.parametrize("name", ["NEOPLE_API_KEY", "LAKE_URL", "WAREHOUSE_URL"])
def test_without_a_setting_nothing_starts(command: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    monkeypatch.delenv(name)
    result = run(*command)
    assert isinstance(result.exception, ConfigError)
    assert name in str(result.exception)
    assert steps.calls == []


def test_what_asks_to_come_back_later_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = Collected(5, 1, 0, 0, Usage())
    later = [RetryLater("maintenance", seconds=300)] * 3
    published = Published("s3://lake/reports/x", mailed=True, debts=0)
    patient = {
        "plan_day": PLAN,
        "collect_shard": collected,
        "prove_days": PROVEN,
        "publish_report": published,
        "republish_reports": {},
    }
    steps = stand_in(monkeypatch, **{name: [*later, result] for name, result in patient.items()})
    assert run("day", "2026-11-15").exit_code == COMPLETE
    assert [steps.names().count(name) for name in patient] == [4] * len(patient)


def test_what_was_spent_before_a_wait_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    attempts = [Usage(requests=40, retried=3, seconds=2), Usage(requests=60, seconds=3)]

    def collect(*_: Any, progress: Callable[[Collected], None], **__: Any) -> Collected:
        collected = Collected(2, 30, 0, 0, attempts.pop(0))
        progress(collected)
        if attempts:
            raise RetryLater("maintenance", seconds=300)
        return collected

    monkeypatch.setattr(pipeline, "collect_shard", collect)
    assert "100 requests in 5.0 s" in run("day", "2026-11-15").output
    assert attempts == []


def test_a_report_is_repeated_no_earlier_than_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("neople_timeline.cli.screen.time.sleep", slept.append)
    later = [RetryLater("PostgreSQL went away", seconds=10), RetryLater("fate unknown", seconds=600)]
    stand_in(monkeypatch, publish_report=[*later, Published("s3://lake/reports/x", mailed=True, debts=0)])
    assert run("report", "2026-11-15").exit_code == COMPLETE
    assert slept == [10, 600]


def test_patience_ends_after_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("neople_timeline.cli.screen.time.sleep", slept.append)
    stand_in(monkeypatch, collect_shard=RetryLater("maintenance", seconds=300))
    result = run("day", "2026-11-15")
    assert isinstance(result.exception, RetryLater)
    assert LONGEST_WAIT <= timedelta(seconds=sum(slept)) < LONGEST_WAIT + timedelta(seconds=600)
    assert max(slept) <= 300


def test_patience_begins_anew_after_an_hour_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two outages of eight hours are no wait of sixteen, if work went on for an hour between them."""
    now = 0.0
    outages = iter([*[0.0] * 96, NEW_WAIT_AFTER.total_seconds(), *[0.0] * 95])
    slept: list[float] = []

    def step() -> str:
        nonlocal now
        worked = next(outages, None)
        if worked is None:
            return "done"
        now += worked
        raise RetryLater("maintenance", seconds=300)

    monkeypatch.setattr("neople_timeline.cli.screen.time.sleep", slept.append)
    monkeypatch.setattr("neople_timeline.cli.screen.time.monotonic", lambda: now)
    assert patiently(step, say=lambda _: None) == "done"
    assert sum(slept) > LONGEST_WAIT.total_seconds()
    assert slept.count(5.0) == 2
