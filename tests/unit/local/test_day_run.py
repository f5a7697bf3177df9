from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from neople_timeline import pipeline
from neople_timeline.local import day_run
from neople_timeline.local.processes import LocalError
from neople_timeline.settings import Settings

if TYPE_CHECKING:
    from neople_timeline.local.airflow import RestApi

DAY = date(2026, 11, 15)


class FakeApi:
    """Has one run of the day, and notes what is asked of it."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.cleared: list[tuple[str, Any]] = []

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        if method == "GET":
            return {"dag_runs": [{"dag_run_id": "r 1", "state": self.state}]}
        if "clear" in path:
            self.cleared.append((path.rpartition("/")[2], body.get("task_ids", body["only_failed"])))
        return {}


@pytest.mark.parametrize(
    ("state", "pending", "cleared"),
    [
        ("failed", 0, [("clearTaskInstances", ["report"]), ("clear", True)]),
        ("success", 0, []),
        ("success", 3, [("clear", False)]),
        ("running", 3, []),
    ],
)
def test_a_day_s_run_is_taken_up_where_something_is_left_to_do(
    monkeypatch: pytest.MonkeyPatch, state: str, pending: int, cleared: list[tuple[str, Any]]
) -> None:
    monkeypatch.setattr(pipeline, "forecast_backfill", lambda *_: SimpleNamespace(pending=pending))
    api = FakeApi(state)
    assert day_run.ensure_run(cast("RestApi", api), Settings(), DAY) == "r 1"
    assert api.cleared == cleared


def test_a_run_that_is_not_heard_of_ends_with_the_part_that_is_gone() -> None:
    class Silent(FakeApi):
        def call(self, *_: Any, **__: Any) -> Any:
            raise LocalError("Airflow's API server does not answer")

    def require_parts() -> None:
        raise LocalError("postgres ended")

    steps = day_run.follow(cast("RestApi", Silent("running")), Settings(), "r 1", DAY, require_parts)
    with pytest.raises(LocalError, match="postgres ended"):
        next(steps)
