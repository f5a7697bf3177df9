"""What goes through XComs, and how errors become waiting and failing."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from fake_task import AFTERNOON, give_context

import timeline_terms
from neople_timeline.errors import ConfigError, DataError, NotOver, Refused, RetryLater, StopCollecting
from neople_timeline.models import Calendar, Plan, Shard, days_between


class Clock:
    """Stands in for `datetime` where only `now` is asked."""

    fromisoformat = datetime.fromisoformat

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self, _zone: object) -> datetime:
        return self.at


def send_through_xcom(days: tuple[date, ...], of: int) -> str:
    """Hand a plan over as the DAGs do, see that it arrives, and return what was stored meanwhile."""
    shards = tuple(Shard(days, index, of) for index in range(of))
    stored = json.dumps(timeline_terms.pack_plan(Plan(days, shards, 10, 20)))
    assert tuple(map(timeline_terms.unpack_shard, json.loads(stored))) == shards
    assert timeline_terms.list_days(json.loads(stored)) == days
    return stored


def test_a_plan_survives_its_xcom() -> None:
    with_a_gap = (date(2026, 11, 12), date(2026, 11, 14), date(2026, 11, 15))
    stored = json.loads(send_through_xcom(with_a_gap, 2))
    assert stored[1] == {"days": [["2026-11-12", "2026-11-12"], ["2026-11-14", "2026-11-15"]], "index": 1, "of": 2}


def test_a_plan_of_all_days_that_there_are_is_a_small_xcom() -> None:
    assert len(send_through_xcom(tuple(days_between(Calendar().first_day, date(2026, 11, 15))), 16)) < 20_000


def test_later_means_that_the_task_comes_back_then(monkeypatch: pytest.MonkeyPatch) -> None:
    give_context(monkeypatch)

    with pytest.raises(AirflowRescheduleException) as raised, timeline_terms.in_airflow_terms():
        raise RetryLater("maintenance", seconds=600)

    assert timedelta(seconds=595) < raised.value.reschedule_date - datetime.now(UTC) <= timedelta(seconds=600)


def wait(clock: Clock, seconds: float = 600) -> None:
    """Have a task find a maintenance, and come back when it asked for it."""
    with pytest.raises(AirflowRescheduleException), timeline_terms.in_airflow_terms():
        raise RetryLater("maintenance", seconds=seconds)
    clock.at += timedelta(seconds=seconds)


def give_up() -> None:
    with pytest.raises(AirflowFailException, match="maintenance"), timeline_terms.in_airflow_terms():
        raise RetryLater("maintenance", seconds=600)


def test_a_task_waits_for_twelve_hours_and_when_cleared_for_as_long_again(monkeypatch: pytest.MonkeyPatch) -> None:
    task, clock = give_context(monkeypatch), Clock(AFTERNOON)
    monkeypatch.setattr(timeline_terms, "datetime", clock)
    for _ in range(2):
        began = clock.at
        for _ in range(72):
            wait(clock)
        assert clock.at - began == timedelta(hours=12)
        give_up()
        assert f"since {began:%F %H:%M} UTC. What was complete is kept" in task.pushed["failure"]


def test_only_waiting_on_end_counts_however_long_a_backfill_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    give_context(monkeypatch)
    clock = Clock(AFTERNOON)
    monkeypatch.setattr(timeline_terms, "datetime", clock)
    wait(clock)
    clock.at += timedelta(hours=13)  # of work
    for _ in range(72):
        wait(clock)
    give_up()


def test_a_day_is_waited_for_only_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    task = give_context(monkeypatch)
    with pytest.raises(AirflowRescheduleException), timeline_terms.in_airflow_terms():
        raise NotOver("2026-11-22 is not over", seconds=300)

    with pytest.raises(AirflowFailException, match="not over"), timeline_terms.in_airflow_terms():
        raise NotOver("2026-11-23 is not over. The newest day that is over is 2026-11-22", seconds=15 * 3600)

    said = "2026-11-23 is not over. The newest day that is over is 2026-11-22"
    assert task.pushed == {"failure": said, "refused": True}


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (Refused("no key"), {"refused": True}),
        (ConfigError("no key"), {}),
        (StopCollecting("no key"), {}),
        (DataError("no key"), {}),
    ],
)
def test_what_no_retry_can_mend_fails_at_once_and_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, refused: dict[str, bool]
) -> None:
    task = give_context(monkeypatch)

    with pytest.raises(AirflowFailException, match="no key"), timeline_terms.in_airflow_terms():
        raise error

    assert task.pushed == {"failure": "no key", **refused}


def test_other_errors_are_left_to_airflows_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    give_context(monkeypatch)

    with pytest.raises(ZeroDivisionError), timeline_terms.in_airflow_terms():
        raise ZeroDivisionError
