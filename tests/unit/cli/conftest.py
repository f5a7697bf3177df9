"""Settings and a clock for every command, none of which opens anything."""

import pytest


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
