"""PostgreSQL, S3 and the API that stop, refuse, are slow or change their mind in the middle of a day."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from frail_server import FrailServer
from place import COMPLETE, DAY, FAILED, Place, Run, World, in_sessions, owe, params
from s3_proxy import S3Proxy, Trouble, run_proxy

from neople_timeline.local import processes

LEDGER, LOAD = "neople_timeline.warehouse.ledger", "neople_timeline.warehouse.parts"
LAKE, PERMITS = "neople_timeline.lake:Lake", "neople_timeline.warehouse.permits"
Borrow = Callable[..., AbstractContextManager[Place]]


def run_to_the_end(place: Place) -> str:
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()
    return run.text


# PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def frail_place(borrow_place: Borrow, frail_server: FrailServer, world: World) -> Iterator[Place]:
    del world
    with borrow_place(frail_server.server, frail_server.template) as place:
        yield place


RESTARTS: dict[str, dict[str, Any]] = {
    "in the middle of a COPY": {"at": "psycopg:Copy.write", "after": True, "call": 2},
    "between two COPYs": {"at": f"{LOAD}:_copy", "call": 2},
    "before a load is committed": {"at": f"{LOAD}:_mark_loaded", "after": True},
    "in the middle of a permit's lease": {"at": f"{PERMITS}:PermitLease.renew", "call": 2},
    "in the middle of a claim's lease": {"at": f"{LEDGER}:keep_alive", "call": 2},
    "between an object and its commit": {"at": f"{LEDGER}:commit_landed", "call": 2},
    "after a commit": {"at": f"{LEDGER}:commit_landed", "after": True, "call": 2},
}


@pytest.mark.parametrize("fault", params(RESTARTS, "in the middle of a COPY", "in the middle of a permit's lease"))
@pytest.mark.parametrize(
    "how",
    params({"ended": signal.SIGINT, "crashed": signal.SIGQUIT}, "crashed"),
)
def test_postgres_restarts(
    frail_place: Place, frail_server: FrailServer, fault: dict[str, Any], how: signal.Signals
) -> None:
    place = frail_place
    place.world.switch(latency_seconds=0.06)
    place.lower_limit()
    run = place.start("day", str(DAY), fault={**fault, "action": "stop"})
    run.wait_until_stopped()
    frail_server.end(how)
    run.go_on()
    time.sleep(0.5)
    frail_server.start()
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()
    place.assert_kept_the_limit()


@pytest.mark.parametrize("pause", params({"0.1 s": 0.1, "0.3 s": 0.3, "0.9 s": 0.9}, "0.3 s"))
def test_sessions_that_are_ended_again_and_again(place: Place, pause: float) -> None:
    place.lower_limit()
    runs = [place.start("day", str(DAY)) for _ in range(2)]
    for _ in range(int(4 / pause)):
        time.sleep(pause)
        in_sessions(place, "pg_terminate_backend")
    assert [run.wait() for run in runs] == [COMPLETE, COMPLETE], runs[0].text + runs[1].text
    place.assert_complete()
    place.assert_kept_the_limit()


# S3 -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied_place(place: Place) -> Iterator[tuple[Place, S3Proxy]]:
    upstream = int(place.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
    with run_proxy(upstream) as proxy:
        place.environment["AWS_ENDPOINT_URL"] = proxy.url
        yield place, proxy
        place.stop()


TROUBLES = {
    "refuses": [Trouble("refuse", times=30)],
    "refuses raw objects for longer than its client tries": [Trouble("refuse", "PUT .*/raw/", times=20)],
    "says 503": [Trouble("error", times=10)],
    "says 503 in the middle": [Trouble("error", "PUT .*/(raw|events)/", times=8)],
    "is slow": [Trouble("slow", seconds=0.1)],
    "loses the answer of raw objects": [Trouble("lose", "PUT .*/raw/", times=3)],
    "loses the answer of every other object": [
        Trouble("lose", f"PUT .*/{name}", times=1) for name in ("lake.json", "events/", "characters/")
    ],
    "loses all answers of an object": [Trouble("lose", "PUT .*/characters/", times=8)],
    "cuts what is read": [Trouble("cut", "GET .*/(raw|events|characters)/", times=4)],
    "is slow to put and loses it": [
        Trouble("slow", "PUT .*/raw/", times=2, seconds=1), Trouble("lose", "PUT .*/raw/", times=3),
        Trouble("lose", "PUT .*/events/", times=2),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "troubles",
    params(TROUBLES, "is slow", "loses the answer of raw objects", "loses all answers of an object"),
)
def test_the_store(proxied_place: tuple[Place, S3Proxy], troubles: list[Trouble]) -> None:
    place, proxy = proxied_place
    proxy.troubles = [Trouble(one.action, one.match, one.times, one.seconds) for one in troubles]
    run = place.day()
    assert run.wait() == COMPLETE, run.text
    assert all(trouble.struck for trouble in proxy.troubles)
    proxy.troubles = []
    place.assert_complete()
    place.world.forget_stats()
    run_to_the_end(place)
    assert place.world.stats()["requests"] == 0


@pytest.mark.slow
def test_a_store_that_is_away_is_waited_for(proxied_place: tuple[Place, S3Proxy]) -> None:
    place, proxy = proxied_place
    proxy.troubles = [away := Trouble("refuse")]
    run = place.start("day", str(DAY))
    wait_for(lambda: "the store does not answer" in run.text)
    away.times = 0
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()


def test_an_api_that_nobody_reaches_is_waited_for_and_owes_nothing(place: Place) -> None:
    port = processes.choose_port()
    run = place.start("day", str(DAY), NEOPLE_API_URL=f"http://127.0.0.1:{port}")
    wait_for(lambda: "the connection to the API failed" in run.text)
    run.kill()
    assert place.debts() == owe(place.world.characters(), "planned: ")


def wait_for(happened: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


# The API ------------------------------------------------------------------------------------------------------------


def stop_in_the_middle(place: Place) -> Run:
    """Start a day that stands still when something of it is committed and something not even asked for."""
    fault = {"at": f"{LEDGER}:commit_landed", "call": 2, "action": "stop"}
    place.world.switch(latency_seconds=0.5)  # far away: however slow a commit is, not all are asked for meanwhile
    run = place.start("day", str(DAY), fault=fault)
    run.wait_until_stopped()
    place.world.switch(latency_seconds=0)
    assert place.committed()
    assert place.world.stats()["by_character"].keys() < {one.character_id for one in place.world.characters()}
    return run


@pytest.mark.parametrize(
    "statuses", params({"as 429": {}, "as 503": {"API002": 503}, "as 400": {"API002": 400}}, "as 429")
)
@pytest.mark.parametrize("retry_after", params({"": None, "for one second": "1", "at some time": "later"}, ""))
def test_a_limit_that_is_lowered_in_the_middle(place: Place, statuses: dict[str, int], retry_after: str | None) -> None:
    place.world.switch(statuses=statuses, retry_after=retry_after)
    run = stop_in_the_middle(place)
    place.world.forget_stats()
    place.world.switch(rate=10)
    run.go_on()
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()
    assert place.world.stats()["violations"] > 0, "the lower limit was never felt"
    ((share,),) = place.query("SELECT slowed_to FROM timeline.rate_budget")
    assert share <= 0.5, "nobody sends less for a refusal"


@pytest.mark.parametrize("code", ["API003", pytest.param("API004", marks=pytest.mark.slow)])
def test_a_key_that_is_revoked_in_the_middle_stops_everything_and_keeps_what_was_there(place: Place, code: str) -> None:
    run = stop_in_the_middle(place)
    place.world.switch(key_error=code)
    run.go_on()
    assert run.wait() == FAILED
    assert code in run.text
    assert place.world.key not in run.text
    refused = place.world.stats()["by_error"][code]
    assert refused <= 6, "as many as were under way"
    committed = place.committed()
    open_characters = [one for one in place.world.characters() if one.character_id not in committed]
    assert place.debts() == owe(open_characters, "planned: ")
    place.world.switch(key_error=None)
    place.world.forget_stats()
    run_to_the_end(place)
    assert place.world.stats()["by_character"].keys() == {one.character_id for one in open_characters}


def test_a_maintenance_longer_than_the_task_lives(place: Place) -> None:
    run = stop_in_the_middle(place)
    place.world.switch(maintenance=True)
    run.go_on()
    wait_for(lambda: run.text.count("maintenance") >= 3)
    run.kill()
    committed = place.committed()
    open_characters = [one for one in place.world.characters() if one.character_id not in committed]
    assert place.debts() == owe(open_characters, "planned: "), "a maintenance is no character's fault"
    place.world.switch(maintenance=False)
    place.world.forget_stats()
    run_to_the_end(place)
    assert place.world.stats()["by_character"].keys() == {one.character_id for one in open_characters}


def test_a_maintenance_that_ends_is_waited_for(place: Place) -> None:
    place.world.switch(maintenance=True)
    run = place.start("day", str(DAY))
    wait_for(lambda: "maintenance" in run.text)
    place.world.switch(maintenance=False)
    assert run.wait() == COMPLETE, run.text
    place.assert_complete()
