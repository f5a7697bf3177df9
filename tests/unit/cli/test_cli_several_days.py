"""Commands about several days: backfill, retry, owed, verify, export; and which days they refuse."""

import re
from dataclasses import replace
from datetime import date

import pytest
from stand_ins import COMPLETE, DAY, DEBT, FAILED, INDEBTED, PROVEN, run, stand_in

from neople_timeline.checks import Disagreement
from neople_timeline.errors import (
    ConfigError,
)
from neople_timeline.models import Plan
from neople_timeline.plan import Forecast
from neople_timeline.summary import Published
from neople_timeline.verify import Verification
from neople_timeline.warehouse.state import Gaps


def test_a_backfill_is_collected_as_one_and_writes_no_new_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    assert run("backfill", "2026-11-01", "2026-11-15").exit_code == COMPLETE
    assert steps.calls[0] == ("plan_backfill", (date(2026, 11, 1), DAY), {"again": False})
    assert steps.calls[1][2]["kind"] == "backfill"
    assert "republish_reports" in steps.names()
    assert "publish_report" not in steps.names()


@pytest.mark.parametrize(
    ("requests", "needs"),
    [(0, "0 s"), (1, "under 1 s"), (99, "under 1 s"), (100, "1 s"), (2_400, "24 s"), (240_000, "40 min")],
)
@pytest.mark.parametrize(("is_estimate", "how"), [(True, "about"), (False, "at least")])
def test_a_dry_run_tells_what_it_would_take_and_plans_nothing(
    monkeypatch: pytest.MonkeyPatch, requests: int, needs: str, how: str, *, is_estimate: bool
) -> None:
    monkeypatch.setenv("NEOPLE_API_RATE", "100")
    monkeypatch.delenv("NEOPLE_API_KEY")
    steps = stand_in(monkeypatch, forecast_backfill=Forecast(1200, 34, 98_765, requests, is_estimate))
    result = run("backfill", "2026-11-01", "2026-11-15", "--dry-run")
    assert (result.exit_code, steps.names()) == (COMPLETE, ["forecast_backfill"])
    found = dict(re.split(r"  +", line.strip()) for line in result.output.splitlines())
    assert [*found.values()] == ["1,200", "34", "98,765", f"{requests:,}", needs]
    assert [*found][3:] == [f"requests, {how}", f"time at 100 requests/s, {how}"]


def test_nothing_owed_is_nothing_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, plan_debts=Plan((), (), 0, 0))
    result = run("retry")
    assert (result.exit_code, steps.names()) == (COMPLETE, ["plan_debts"])
    assert "Nothing is owed" in result.output


def test_debts_are_retried_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    assert run("retry").exit_code == COMPLETE
    assert steps.calls[1][2]["kind"] == "retry"


@pytest.mark.parametrize("command", [("day", "2026-11-15"), ("retry",), ("backfill", "2026-11-01", "2026-11-15")])
def test_pages_of_other_days_that_a_run_changed_are_written_anew(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, url = date(2026, 11, 12), "s3://lake/reports/y"
    published = {earlier: Published(url, mailed=False, debts=0)}
    stand_in(monkeypatch, republish_reports=published)
    result = run(*command)
    assert (
        f"The report of {earlier} is written anew: something on it was computed or proven since.\nReport: {url}\n"
        in result.output
    )


def test_debts_are_listed_for_the_days_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, list_owed=(DEBT,))
    result = run("owed", "2026-11-01")
    assert result.exit_code == INDEBTED
    assert run("owed", "2026-11-01", "2026-11-15").exit_code == run("owed").exit_code == INDEBTED
    days = [arguments[-2:] for _, arguments, _ in steps.calls]
    first, last = date(2026, 11, 1), date(2026, 11, 15)
    assert days == [(first, first), (first, last), (None, None)]
    assert f"2026-11-15  cain/{'a' * 32} (카인\ufffd[2J)  the connection failed  (tries: 2)" in result.output
    stand_in(monkeypatch, list_owed=())
    assert run("owed").exit_code == COMPLETE


@pytest.mark.parametrize(
    ("verification", "code"),
    [
        (PROVEN, COMPLETE),
        (replace(PROVEN, orphans=("raw/1",)), COMPLETE),
        (replace(PROVEN, owed=(DEBT,)), INDEBTED),
        (replace(PROVEN, uncollected=(DAY,)), INDEBTED),
        (replace(PROVEN, unfinished=(DAY,)), INDEBTED),
        (replace(PROVEN, owed=(DEBT,), disagreements=(Disagreement(DAY, None, "bucket 1", "is gone"),)), FAILED),
    ],
)
def test_verify_tells_by_its_exit_code(verification: Verification, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, verify_days=verification)
    assert run("verify", "2026-11-14", "2026-11-15").exit_code == code
    assert steps.calls[0][1] == ([date(2026, 11, 14), DAY],)


def test_what_is_lacking_and_what_is_asked_for_again_are_two_questions() -> None:
    result = run("backfill", "2026-11-01", "2026-11-15", "--dry-run", "--again")
    assert isinstance(result.exception, ConfigError)
    assert "choose one" in str(result.exception)


@pytest.mark.parametrize(
    ("gaps", "code", "said"),
    [
        (Gaps((), (), 0), COMPLETE, []),
        (
            Gaps((date(2026, 11, 13),), (date(2026, 11, 14), DAY), 1_234),
            INDEBTED,
            [
                "Never collected: 2026-11-13",
                "Not proven, or computed before its last rows came: 2026-11-14, 2026-11-15",
                "Owed: 1,234 character-days; `neople-timeline owed` lists them.",
            ],
        ),
    ],
)
def test_an_export_says_beside_its_rows_what_is_lacking(
    gaps: Gaps, code: int, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = stand_in(monkeypatch, export_table=iter(["a\r\n", "1\r\n"]), find_gaps=gaps)
    result = run("export", "event", "2026-11-13", "2026-11-15")
    assert (result.exit_code, result.stdout.split()) == (code, ["\ufeffa", "1"])
    assert result.stderr.splitlines() == said
    assert steps.calls[0] == ("find_gaps", ("event", date(2026, 11, 13), DAY), {})


@pytest.mark.parametrize("command", [("verify",), ("owed",), ("export", "event"), ("backfill", "--dry-run")])
def test_days_the_wrong_way_round_are_refused(command: tuple[str, ...]) -> None:
    result = run(*command, "2026-11-15", "2026-11-14")
    assert isinstance(result.exception, ConfigError)
    assert "the first day 2026-11-15 is after the last day 2026-11-14" in str(result.exception)


@pytest.mark.parametrize("command", [("day",), ("day", "--unfinished"), ("report",), ("verify",), ("export", "event")])
@pytest.mark.parametrize(
    ("text", "said"), [("2017-09-20", "before 2017-09-21"), ("0001-01-01", "before"), ("9999-12-31", "has not begun")]
)
def test_a_day_without_any_data_is_refused(command: tuple[str, ...], text: str, said: str) -> None:
    result = run(*command, text)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_the_first_day_of_which_there_is_data_is_known_wherever_days_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAY_STARTS_AT", "12:00")
    steps = stand_in(monkeypatch)
    assert run("backfill", "2017-09-20", "2017-09-21").exit_code == COMPLETE
    assert steps.calls[0][1] == (date(2017, 9, 20), date(2017, 9, 21))


def test_a_day_that_was_never_collected_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, is_planned=False)
    result = run("report", "2026-11-15")
    assert isinstance(result.exception, ConfigError)
    assert "`neople-timeline day 2026-11-15` does so" in str(result.exception)
    assert steps.names() == ["is_planned"]
