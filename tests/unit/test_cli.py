import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from neople_timeline import pipeline
from neople_timeline.checks import Disagreement
from neople_timeline.cli.main import app, main
from neople_timeline.cli.screen import PATIENCE_SECONDS
from neople_timeline.errors import ConfigError, DataError, NotOver, RetryLater, StopCollecting
from neople_timeline.models import Calendar, CharacterKey, Collected, Plan, Reject, Shard, Usage
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.roster import Roster
from neople_timeline.sandbox.api import read_options
from neople_timeline.summary import Published
from neople_timeline.verify import Verification
from neople_timeline.warehouse.audit import Owed
from neople_timeline.warehouse.roster import Member

DAY = date(2026, 11, 15)
CAIN = CharacterKey("cain", "a" * 32)
COMPLETE, INDEBTED, WRONG, FAILED = range(4)
PROVEN = Verification((DAY,), 5, 100, (), (), 1, (), ())
DEBT = Owed(DAY, CAIN, "the connection failed", 2, None)
PLAN = Plan((DAY,), (Shard((DAY,), 0, 2), Shard((DAY,), 1, 2)), 5, 5)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NEOPLE_API_KEY": "secret",
        "LAKE_URL": "file:///nowhere",
        "WAREHOUSE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REPORT_TO": "players@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("neople_timeline.cli.screen.time.sleep", lambda _: None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


class Steps:
    """Stands in for the pipeline, and writes down what was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **results: Any) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for name, result in results.items():
            monkeypatch.setattr(pipeline, name, self._make(name, result))

    def _make(self, name: str, result: Any) -> Callable[..., Any]:
        def step(_settings: Any, *arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            given = result.pop(0) if isinstance(result, list) and result and name != "search_characters" else result
            if isinstance(given, Exception):
                raise given
            return given

        return step

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


def stand_in(monkeypatch: pytest.MonkeyPatch, **others: Any) -> Steps:
    results: dict[str, Any] = {
        "plan_day": PLAN,
        "plan_backfill": PLAN,
        "plan_debts": PLAN,
        "collect_shard": Collected(4, 100, 1, 0, Usage(requests=7, retried=2, seconds=0.5)),
        "refine_shard": None,
        "load_shard": None,
        "list_touched": (DAY,),
        "build_marts": (),
        "verify_days": PROVEN,
        "prove_days": PROVEN,
        "is_planned": True,
        "publish_report": Published("s3://lake/reports/x", mailed=True, debts=0),
        "republish_reports": {},
    }
    return Steps(monkeypatch, **(results | others))


# Days ---------------------------------------------------------------------------------------------------------------


def test_a_day_goes_through_every_step_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    result = run("day", "2026-11-15")
    assert result.exit_code == COMPLETE, result.output
    assert steps.names() == [
        "plan_day",
        "collect_shard",
        *["refine_shard", "load_shard"] * 2,
        "list_touched",
        "build_marts",
        "prove_days",
        "publish_report",
        "republish_reports",
    ]
    assert "5 character-days to collect" in result.output
    assert "2 wasted: 2 retried" in result.output
    assert "s3://lake/reports/x, mailed to players@example.org" in result.output


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
    assert "13 earlier days are still to be collected" in result.output


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
    assert f"owed: 2026-11-15 cain/{'a' * 32}: the connection failed" in result.output
    assert "and 10 more: `neople-timeline owed` lists them all" in result.output


def test_a_day_whose_data_disagree_has_failed_and_still_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Disagreement(DAY, CAIN, "PostgreSQL", "has 2 events instead of 3")
    steps = stand_in(monkeypatch, prove_days=replace(PROVEN, disagreements=(finding,)))
    result = run("day", "2026-11-15")
    assert result.exit_code == FAILED
    assert str(finding) in result.output
    assert "publish_report" in steps.names()


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


def test_an_empty_roster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, plan_day=Plan((DAY,), (), 0, 0))
    result = run("day", "2026-11-15")
    assert isinstance(result.exception, ConfigError)
    assert "roster" in str(result.exception)


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
    assert PATIENCE_SECONDS <= sum(slept) < PATIENCE_SECONDS + 600
    assert max(slept) <= 300


# Several days -------------------------------------------------------------------------------------------------------


def test_a_backfill_is_collected_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    assert run("backfill", "2026-11-01", "2026-11-15").exit_code == COMPLETE
    assert steps.calls[0] == ("plan_backfill", (date(2026, 11, 1), DAY), {"again": False})
    assert steps.calls[1][2]["kind"] == "backfill"


def test_a_dry_run_tells_what_it_would_take_and_plans_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPLE_API_RATE", "100")
    monkeypatch.delenv("NEOPLE_API_KEY")
    steps = stand_in(monkeypatch, forecast_backfill=pipeline.Forecast(1200, 34, 98_765, 2_400))
    result = run("backfill", "2026-11-01", "2026-11-15", "--dry-run")
    assert (result.exit_code, steps.names()) == (COMPLETE, ["forecast_backfill"])
    for figure in ("1,200", "34", "98,765", "2,400", "24 s"):
        assert figure in result.output


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
def test_only_what_a_run_changed_is_published_anew(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, url = date(2026, 11, 12), "s3://lake/reports/y"
    published = {earlier: Published(url, mailed=False, debts=0)}
    steps = stand_in(monkeypatch, list_touched=(earlier, DAY), republish_reports=published)
    result = run(*command)
    assert ("build_marts", ((earlier, DAY),), {}) in steps.calls
    assert f"{earlier} has changed, its report is written anew: {url}" in result.output


def test_debts_are_listed_for_the_days_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, list_owed=(DEBT,))
    result = run("owed", "2026-11-01")
    assert result.exit_code == INDEBTED
    assert steps.calls[0][1] == (date(2026, 11, 1), None)
    assert f"2026-11-15  cain/{'a' * 32}  the connection failed  (tries: 2)" in result.output
    stand_in(monkeypatch, list_owed=())
    assert run("owed").exit_code == COMPLETE


@pytest.mark.parametrize(
    ("verification", "code"),
    [
        (PROVEN, COMPLETE),
        (replace(PROVEN, orphans=("raw/1",)), COMPLETE),
        (replace(PROVEN, owed=(DEBT,)), INDEBTED),
        (replace(PROVEN, uncollected=(DAY,)), INDEBTED),
        (replace(PROVEN, owed=(DEBT,), disagreements=(Disagreement(DAY, None, "bucket 1", "is gone"),)), FAILED),
    ],
)
def test_verify_tells_by_its_exit_code(verification: Verification, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, verify_days=verification)
    assert run("verify", "2026-11-14", "2026-11-15").exit_code == code
    assert steps.calls[0][1] == ([date(2026, 11, 14), DAY],)


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


def test_a_day_that_was_never_collected_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, is_planned=False)
    result = run("report", "2026-11-15")
    assert isinstance(result.exception, ConfigError)
    assert "`neople-timeline day 2026-11-15` does so" in str(result.exception)
    assert steps.names() == ["is_planned"]


# Roster -------------------------------------------------------------------------------------------------------------


def test_an_import_tells_what_came_of_each_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(b"whatever")
    roster = Roster((CAIN,) * 3, (Reject(7, "cain,\x1b[31mx", "a character id has 32 digits"),), 2)
    steps = stand_in(monkeypatch, import_roster=(roster, 1))
    result = run("roster", "import", str(file))
    assert result.exit_code == INDEBTED
    assert steps.calls[0][1] == (b"whatever",)
    assert "1 characters added, 2 were there already, 2 lines repeated one." in result.output
    assert "line 7: cain,\ufffd[31mx: a character id has 32 digits" in result.output


def test_an_import_tells_of_servers_that_are_not_known_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_bytes(b"")
    stand_in(monkeypatch, import_roster=(Roster((CAIN, CharacterKey("cian", "b" * 32)), (), 0), 2))
    result = run("roster", "import", str(tmp_path / "roster.csv"))
    assert result.exit_code == COMPLETE
    assert "No server is known here as cian: misspelled, unless it is new" in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("roster", "import", str(tmp_path / "none.csv"))
    assert isinstance(result.exception, ConfigError)
    assert "none.csv cannot be read: No such file" in str(result.exception)


def hit(name: str, character: CharacterKey = CAIN) -> FoundCharacter:
    return FoundCharacter(*character, name, 110, "眞 웨펀마스터")


def test_the_one_character_of_a_name_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(
        monkeypatch, search_characters=[hit("빛"), hit("빛나", CharacterKey("cain", "b" * 32))], add_members=1
    )
    assert run("roster", "add", "카인", "빛").exit_code == COMPLETE
    assert steps.calls == [("search_characters", ("cain", "빛"), {}), ("add_members", ([Member(CAIN, "빛")],), {})]


@pytest.mark.parametrize(
    ("hits", "said"),
    [
        ([], "There is no character named '빛' on 카인."),
        ([hit("빛나"), hit("달빛")], "2 characters have names that contain '빛'"),
        ([hit("빛나")], "1 characters have names that contain '빛'"),
        ([hit("빛"), hit("빛", CharacterKey("bakal", "c" * 32))], "2 characters are named '빛'"),
    ],
)
def test_without_exactly_one_hit_nobody_is_added(
    hits: list[FoundCharacter], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = stand_in(monkeypatch, search_characters=hits, add_members=0)
    result = run("roster", "add", "카인", "빛")
    assert result.exit_code == INDEBTED
    assert said in result.output
    assert steps.calls[-1][1] == ([],)


def test_a_choice_shows_what_tells_characters_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, search_characters=[hit("빛"), hit("빛", CharacterKey("bakal", "c" * 32))], add_members=0)
    output = run("roster", "add", "all", "빛").output
    assert f"1. 빛: 카인, level 110, 眞 웨펀마스터 (cain,{'a' * 32})" in output
    assert f"2. 빛: 바칼, level 110, 眞 웨펀마스터 (bakal,{'c' * 32})" in output


def test_an_empty_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    result = run("roster", "add", "카인", "빛", " ")
    assert isinstance(result.exception, ConfigError)
    assert "a name is empty" in str(result.exception)
    assert steps.calls == []


def test_an_unknown_server_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    result = run("roster", "add", "카엔", "빛")
    assert isinstance(result.exception, ConfigError)
    assert "카인 (cain)" in str(result.exception)


def test_the_roster_is_listed_as_remove_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, list_members=(Member(CAIN, "나\x1b[2J"),), remove_members=1)
    output = run("roster", "list").output
    assert f"cain,{'a' * 32}  나\ufffd[2J" in output
    assert run("roster", "remove", output.split()[0]).exit_code == COMPLETE
    assert steps.calls[-1][1] == ([CAIN],)


def test_removing_somebody_who_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, remove_members=0)
    assert run("roster", "remove", f"카인/{'A' * 32}").exit_code == INDEBTED
    assert isinstance(run("roster", "remove", "nobody").exception, ConfigError)


# Exit codes of the program ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a setting [red]is[/red] wrong"), WRONG),
        (StopCollecting("the key [red]is[/red] blocked"), FAILED),
        (DataError("it [red]is[/red] damaged"), FAILED),
        (RetryLater("it [red]is[/red] away", seconds=1), FAILED),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(error, monkeypatch) == code
    assert capsys.readouterr().err == f"neople-timeline: {error}\n"


def test_a_defect_is_no_debt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(ZeroDivisionError(), monkeypatch) == FAILED
    assert "ZeroDivisionError" in capsys.readouterr().err


class Panic(BaseException):
    """As Rust libraries raise it."""


def test_a_panic_is_no_debt_either(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leave(Panic(), monkeypatch) == FAILED


def test_what_the_machine_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(OSError(28, "No space left on device"), monkeypatch) == FAILED
    assert capsys.readouterr().err == "neople-timeline: this machine refuses: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp949"])
def test_a_terminal_without_the_letters_is_told_all_the_same(encoding: str) -> None:
    done = type_in("roster", "add", "어딘가", "빛", PYTHONIOENCODING=encoding)
    assert done.returncode == WRONG
    assert "Traceback" not in done.stderr
    assert ("카인" if encoding == "cp949" else r"\uce74\uc778") in done.stderr


def test_a_name_that_python_could_not_read_is_refused() -> None:
    done = type_in("roster", "add", "cain", "빛", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C")
    assert done.returncode == WRONG
    assert "set PYTHONUTF8=1" in done.stderr


def test_a_reader_that_leaves_is_no_debt() -> None:
    for output, said in (("/dev/full", "this machine refuses: [Errno 28]"), ("|true", "")):
        command = f"'{sys.executable}' -c '{LISTING}' {output if output[0] == '|' else '>' + output}"
        done = subprocess.run(
            ["/bin/bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == FAILED
        assert said in done.stderr
        assert "Traceback" not in done.stderr


LISTING = (
    "import sys; from neople_timeline import pipeline; from neople_timeline.cli.main import main;"
    " from neople_timeline.warehouse.roster import Member;"
    ' pipeline.list_members = lambda _: [Member(("cain", "a" * 32), "x")] * 100_000;'
    ' sys.argv = ["neople-timeline", "roster", "list"]; main()'
)


def type_in(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a person does; `cp949` is what it writes if that is the terminal's."""
    return subprocess.run(
        [Path(sys.executable).with_name("neople-timeline"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        check=False,
    )


def test_an_interruption_is_no_debt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(KeyboardInterrupt(), monkeypatch) == FAILED
    assert "goes on from there" in capsys.readouterr().err


def test_an_interruption_while_it_loads_ends_it_without_a_word() -> None:
    code = """
import signal, sys
from neople_timeline import cli
class Loader:
    def find_spec(self, name, *_):
        if name == "rich":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Loader())
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def leave(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    def list_members(_: Any) -> None:
        raise error

    monkeypatch.setattr(pipeline, "list_members", list_members)
    monkeypatch.setattr("sys.argv", ["neople-timeline", "roster", "list"])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_the_sandbox_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "neople_timeline.sandbox.api", raising=False)
    monkeypatch.delattr("neople_timeline.sandbox.api", raising=False)
    monkeypatch.setattr(sys, "argv", ["neople-timeline", "sandbox", "api", "--help"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == WRONG
    assert "needs aiohttp: install it, or let `make install` bring the group `local`" in capsys.readouterr().err


def test_help_says_where_settings_come_from_and_how_the_sandbox_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Settings come from environment variables" in " ".join(run("--help").output.split())
    with pytest.raises(SystemExit):
        read_options(["--help"])
    assert capsys.readouterr().out.startswith("usage: neople-timeline sandbox api ")


@pytest.mark.parametrize("arguments", [("nonsense",), ("day",), ("day", "2026-11-15", "--wrong"), ("backfill", "x")])
def test_wrong_usage_is_told_apart(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == WRONG


def test_it_says_which_version_it_is() -> None:
    result = run("--version")
    assert (result.exit_code, result.output) == (COMPLETE, f"neople-timeline {metadata.version('neople-timeline')}\n")


def test_the_command_line_starts_without_what_only_reports_need() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, neople_timeline.cli.main; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {"matplotlib", "jinja2", "alembic", "sqlalchemy"} & set(loaded) == set()
