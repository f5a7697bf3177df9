"""How commands end: errors in one line, exit codes, interruptions, wrong usage."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from stand_ins import COMPLETE, FAILED, WRONG, run

from neople_timeline import pipeline
from neople_timeline.cli.main import main
from neople_timeline.errors import ConfigError, DataError, RetryLater, StopCollecting
from neople_timeline.sandbox.api import read_options


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
    assert (
        capsys.readouterr().err == "neople-timeline: the operating system refused: [Errno 28] No space left on device\n"
    )


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


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_debt(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for output, said in (("/dev/full", "the operating system refused: [Errno 28]"), ("|true", "")):
        command = f"'{sys.executable}' -c '{LISTING}' {output if output[0] == '|' else '>' + output}"
        done = subprocess.run(
            ["/bin/bash", "-c", f"set -o pipefail; {command}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == FAILED
        assert said in done.stderr
        assert "Traceback" not in done.stderr


LISTING = (
    "import sys; from neople_timeline import pipeline; from neople_timeline.cli.main import main;"
    " from neople_timeline.models import Member;"
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
