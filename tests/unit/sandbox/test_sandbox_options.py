import argparse
from pathlib import Path

import pytest

from neople_timeline.sandbox.api import SandboxOptions, read_options, read_seconds
from neople_timeline.sandbox.switches import RefusedError, Switches


@pytest.mark.parametrize(
    ("text", "seconds"), [("30ms", 0.03), ("0.1s", 0.1), ("0", 0.0), ("2", 2.0), ("1.5ms", 0.0015)]
)
def test_durations(text: str, seconds: float) -> None:
    assert read_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "fast", "-1", "1m", "ms"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no duration"):
        read_seconds(text)


def test_a_command_line_becomes_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_API_KEY", "from-the-environment")
    given = read_options(
        ["--characters", "9", "--seed", "4", "--latency", "5ms", "--port-file", "p", "--small", "--kept-days", "7"]
    )
    assert given == SandboxOptions(
        characters=9,
        seed=4,
        latency_seconds=0.005,
        key="from-the-environment",
        port_file=Path("p"),
        small=True,
        kept_days=7,
    )


@pytest.mark.parametrize(
    "arguments", [["--characters", "0"], ["--missing", "501"], ["--rate", "-1"], ["--port", "80000"], ["--nonsense"]]
)
def test_wrong_options_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_options(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_settings_change_all_or_none() -> None:
    switches = Switches("old", rate=7)
    switches.change({"rate": 0, "key": "new", "statuses": {"API002": 503}})
    assert (switches.rate, switches.key, switches.status_of("API002")) == (0, "new", 503)
    with pytest.raises(RefusedError):
        switches.change({"rate": 9, "unheard": 1})
    assert switches.rate == 0


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        {"rate": -1},
        {"rate": "many"},
        {"maintenance": 1},
        {"key_error": "X"},
        {"statuses": {"API002": 42}},
        {"statuses": {"X": 400}},
        {"latency_seconds": -1},
        {"key": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(wanted: object) -> None:
    switches = Switches("key")
    with pytest.raises(RefusedError):
        switches.change(wanted)
    assert switches == Switches("key")


def test_the_key_is_not_shown() -> None:
    assert "key" not in Switches("secret").as_json()
