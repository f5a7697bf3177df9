"""A task as Airflow runs it, and the moment at which it does."""

from datetime import UTC, datetime
from typing import Any

import pytest

import timeline_terms

AFTERNOON = datetime(2026, 11, 23, 6, tzinfo=UTC)
"""15:00 in Korea, in the middle of the day of the 23rd."""


class FakeTask:
    dag_id = "timeline_daily"
    run_id = "run"

    def __init__(self, states: dict[str, str] | None = None, reasons: list[str | None] | None = None) -> None:
        self.pushed: dict[str, Any] = {}
        self.states, self.reasons, self.asked = states or {}, reasons or [], [""]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: self.states}

    def xcom_pull(self, task_ids: list[str] | str, key: str) -> Any:
        if isinstance(task_ids, str):
            assert (task_ids, key) in {("plan", "refused"), ("verify", "disputed")}
            return self.pushed.get(key)
        assert key == "failure"
        self.asked = task_ids
        return self.reasons


class FakeStore(dict[str, Any]):
    set = dict.__setitem__

    def delete(self, key: str) -> None:
        self.pop(key, None)


def give_context(monkeypatch: pytest.MonkeyPatch) -> FakeTask:
    task = FakeTask()
    context = {"ti": task, "task_state_store": FakeStore()}
    monkeypatch.setattr(timeline_terms, "get_current_context", lambda: context)
    return task
