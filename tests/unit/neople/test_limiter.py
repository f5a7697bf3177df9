import asyncio
import heapq
import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.neople.limiter import LONGEST_NAP, LONGEST_PAUSE, WINDOW, Pace, Pacer
from neople_timeline.neople.protocol import Paused

Latency = Callable[[random.Random, float], tuple[float, float]]
"""Seconds that a request sent at a moment needs to the API, and that its answer needs back."""


def count_busiest(moments: list[float]) -> int:
    """Count the moments in the fullest window of one second, its end excluded."""
    return max(bisect_left(moments, first + WINDOW - 1e-9) - n for n, first in enumerate(moments))


@dataclass
class Run:
    """When requests were sent, and when a simulated API saw them arrive, by one clock."""

    sent: list[float]
    arrivals: list[float]

    def busiest_second(self) -> int:
        return count_busiest(self.arrivals)

    def count_between(self, start: float, end: float) -> int:
        return bisect_left(self.arrivals, end) - bisect_left(self.arrivals, start)


def simulate(
    pacer: Pacer,
    latency: Latency,
    *,
    seconds: float,
    fetchers: int = 300,
    seed: int = 1,
    broken: float = 0.0,
    known: float = float("inf"),
) -> Run:
    """Let fetchers that never run out of work ask through a pacer; a share of the answers break off at once.

    The fastest answer that is `known` or proven is handed to the pacer, as PostgreSQL does.
    """
    dice, now, idle, run = random.Random(seed), 0.0, fetchers, Run([], [])  # noqa: S311 - a simulation
    under_way: list[tuple[float, float, bool]] = []  # answered, sent, whole
    while now < seconds:
        while idle and pacer.admit(now):
            up, down = latency(dice, now)
            whole = dice.random() >= broken
            run.sent.append(now)
            run.arrivals.append(now + up)
            heapq.heappush(under_way, (now + up + (down if whole else 0.0), now, whole))
            idle -= 1
        ask_again = now + max(pacer.seconds_to_wait(now), 1e-6) if idle else seconds
        if under_way and under_way[0][0] <= ask_again:
            now, sent, whole = heapq.heappop(under_way)
            pacer.answered(sent, now, whole=whole)
            known = min(known, pacer.believed_fastest(now) or known)
            if known < float("inf"):
                pacer.grant(pacer.permits, pacer.lent_until, fastest=known)
            idle += 1
        else:
            now = ask_again
    run.arrivals.sort()
    return run


def make_pacer(permits: int) -> Pacer:
    pacer = Pacer()
    pacer.grant(permits, float("inf"))
    return pacer


def constant(up: float, down: float) -> Latency:
    return lambda _dice, _now: (up, down)


def jittered(up: float, down: float, jitter: float) -> Latency:
    return lambda dice, _now: (up + dice.expovariate(1 / jitter), down + dice.expovariate(1 / jitter))


@given(
    permits=st.integers(1, 40),
    up=st.floats(0.01, 0.1),
    down=st.floats(0.01, 0.1),
    jitter=st.floats(0.0001, 0.01),
    seed=st.integers(0, 1000),
)
def test_no_second_sees_more_arrivals_than_permits(
    permits: int, up: float, down: float, jitter: float, seed: int
) -> None:
    long_enough = 12 + 1000 / permits  # to prove how fast the way is, and as much again
    run = simulate(make_pacer(permits), jittered(up, down, jitter), seconds=long_enough, fetchers=60, seed=seed)
    assert run.busiest_second() <= permits


@given(
    permits=st.integers(1, 40),
    up=st.floats(0.0, 0.3),
    down=st.floats(0.0, 0.3),
    jitter=st.floats(0.0001, 0.3),
    broken=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 1000),
)
def test_no_second_sees_more_requests_sent_than_permits_however_answers_vary_or_break(
    permits: int, up: float, down: float, jitter: float, broken: float, seed: int
) -> None:
    long_enough = 4 + 600 / permits
    run = simulate(
        make_pacer(permits), jittered(up, down, jitter), seconds=long_enough, fetchers=60, seed=seed, broken=broken
    )
    assert count_busiest(run.sent) <= permits


@given(
    steps=st.lists(st.tuples(st.integers(0, 30), st.floats(0.0, 0.4)), min_size=1, max_size=30), seed=st.integers(0, 99)
)
def test_permits_that_come_and_go_never_let_more_through_in_a_second_than_the_most_of_them(
    steps: list[tuple[int, float]], seed: int
) -> None:
    pacer, dice, now, sent, under_way = Pacer(), random.Random(seed), 0.0, list[float](), list[tuple[float, float]]()  # noqa: S311 - a simulation
    for permits, pause in steps:
        pacer.grant(permits, until=now + 0.3)
        for _ in range(40):
            while under_way and under_way[0][0] <= now:
                answered, began = heapq.heappop(under_way)
                pacer.answered(began, answered, whole=True)
            if pacer.admit(now):
                sent.append(now)
                heapq.heappush(under_way, (now + dice.uniform(0.001, 0.2), now))
            now += pause / 40
    assert count_busiest([*sent, now + 10]) <= max(1, *(permits for permits, _ in steps))


@pytest.mark.parametrize("latency", [constant(0.0, 0.03), constant(0.03, 0.0), constant(0.015, 0.015)])
def test_nearly_the_whole_limit_is_used_at_thirty_milliseconds(latency: Latency) -> None:
    run = simulate(make_pacer(200), latency, seconds=52)
    assert run.busiest_second() <= 200
    assert run.count_between(12, 52) >= 0.98 * 200 * 40


@pytest.mark.parametrize("slow_seconds", [0.5, 4.0, 9.0])
def test_an_api_that_is_slow_at_first_proves_nothing(slow_seconds: float) -> None:
    def slow_at_first(dice: random.Random, now: float) -> tuple[float, float]:
        return (0.15 + dice.uniform(0, 0.1), 0.015) if now < slow_seconds else (0.015, 0.015)

    run = simulate(make_pacer(100), slow_at_first, seconds=slow_seconds + 6)
    assert run.busiest_second() <= 100


def test_an_api_that_is_slow_for_long_proves_nothing_where_the_key_has_seen_it_faster() -> None:
    def slow_at_first(_: random.Random, now: float) -> tuple[float, float]:
        return (0.2, 0.015) if now < 20 else (0.015, 0.015)

    run = simulate(make_pacer(100), slow_at_first, seconds=23, known=0.03)
    assert run.busiest_second() <= 100


def test_what_the_key_has_seen_before_is_used_from_the_first_second() -> None:
    run = simulate(make_pacer(200), constant(0.015, 0.015), seconds=9, known=0.03)
    assert run.busiest_second() <= 200
    assert run.count_between(1, 9) >= 0.98 * 200 * 8


def test_the_fastest_answer_is_proven_by_time_and_by_others_about_as_fast() -> None:
    pacer = make_pacer(10_000)

    def answer(now: float, took: float) -> float | None:
        assert pacer.admit(now)
        pacer.answered(now, now + took, whole=True)
        return pacer.believed_fastest(now + took)

    crowded = [answer(number / 50, 0.2 + number % 100 / 100) for number in range(1000)]
    assert set(crowded) == {None}  # twenty seconds, but only few were about as fast as the fastest
    quiet = [answer(20 + number / 50, 0.031 + number % 3 / 1000) for number in range(600)]
    assert quiet[498] is None
    assert quiet[500] == pytest.approx(0.031)
    assert answer(40, 0.02) is None


def test_a_gateway_that_refuses_at_once_does_not_make_the_way_look_fast() -> None:
    pacer = make_pacer(10_000)
    for number in range(2000):
        now = number / 50
        assert pacer.admit(now)
        pacer.answered(now, now + 0.001, whole=True, failed=True)
    assert pacer.believed_fastest(40) is None
    assert pacer.in_use(40) == 50  # a second's worth


def test_slow_answers_do_not_keep_the_limit_from_being_used() -> None:
    run = simulate(make_pacer(100), constant(0.1, 0.4), seconds=20, fetchers=300)
    assert run.busiest_second() <= 100
    assert run.count_between(10, 20) >= 0.9 * 100 * 10


def test_without_permits_nothing_is_sent() -> None:
    assert not Pacer().admit(0.0)
    assert not make_pacer(0).admit(0.0)


def test_permits_end_with_their_lease() -> None:
    pacer = Pacer()
    pacer.grant(5, until=10.0)
    assert pacer.admit(9.999)
    assert not pacer.admit(10.0)
    assert pacer.seconds_to_wait(10.0) == LONGEST_NAP


def test_a_pause_holds_everything_until_it_is_over() -> None:
    pacer = Pacer()
    pacer.grant(5, until=100.0, paused_until=50.0)
    assert not pacer.admit(49.9)
    assert pacer.admit(50.0)


def test_a_permit_is_in_use_until_a_second_after_its_answer() -> None:
    pacer = make_pacer(1)
    assert pacer.admit(0.0)
    assert not pacer.admit(500.0)
    pacer.answered(0.0, 500.0, whole=True)
    assert pacer.in_use(500.9) == 1
    assert pacer.seconds_to_wait(500.98) == pytest.approx(0.02)
    assert not pacer.admit(500.9)
    assert pacer.admit(501.0)


def test_an_answer_that_is_faster_than_the_key_s_fastest_holds_its_permit_for_longer() -> None:
    pacer = make_pacer(1)
    pacer.grant(1, until=float("inf"), fastest=0.03)
    assert pacer.admit(0.0)
    pacer.answered(0.0, 0.01, whole=True)
    assert pacer.seconds_until_free(0.01) == pytest.approx(1 - 0.9 * 0.01)


def test_a_broken_answer_is_no_proof_of_how_fast_the_way_is() -> None:
    pacer = make_pacer(10_000)
    for number in range(2000):
        now = number / 100
        assert pacer.admit(now)
        pacer.answered(now, now + 0.001, whole=False)
    assert pacer.in_use(20.0) == 190


def test_fewer_permits_than_are_in_use_admit_nobody_until_enough_have_cooled() -> None:
    pacer = make_pacer(10)
    assert all(pacer.admit(0.0) for _ in range(10))
    pacer.grant(3, until=float("inf"))
    for _ in range(10):
        pacer.answered(0.0, 1.0, whole=True)
    assert not pacer.admit(1.999)
    assert [pacer.admit(2.0) for _ in range(4)] == [True, True, True, False]


def test_requests_pass_in_the_order_in_which_they_came_and_give_their_permit_back() -> None:
    order: list[int] = []

    async def ask(pace: Pace, number: int) -> None:
        async with pace.permit() as permit:
            order.append(number)
            await asyncio.sleep(0)
            permit.whole = True

    async def ask_all() -> Pacer:
        pacer = make_pacer(20)
        pace = Pace(pacer, clock=lambda: 0.0)
        await asyncio.gather(*(ask(pace, number) for number in range(20)))
        return pacer

    pacer = asyncio.run(ask_all())
    assert order == list(range(20))
    assert (pacer.in_flight, pacer.in_use(0.5), pacer.in_use(1.0)) == (0, 20, 0)


def test_all_who_wait_give_their_place_away_when_the_wait_is_long() -> None:
    async def ask(pace: Pace) -> None:
        async with pace.permit():
            pytest.fail("nothing may be sent")

    async def ask_all() -> list[BaseException | None]:
        pacer = make_pacer(20)
        pacer.paused_until = LONGEST_PAUSE + 1
        return await asyncio.gather(*(ask(Pace(pacer, clock=lambda: 0.0)) for _ in range(20)), return_exceptions=True)

    waits = asyncio.run(ask_all())
    assert {(type(wait), getattr(wait, "seconds", 0)) for wait in waits} == {(Paused, LONGEST_PAUSE + 1)}


def test_a_request_that_fails_or_is_given_up_gives_its_permit_back() -> None:
    async def fail(pace: Pace) -> None:
        async with pace.permit():
            raise TimeoutError

    async def hang(pace: Pace) -> None:
        async with pace.permit():
            await asyncio.Event().wait()

    async def run() -> Pacer:
        pacer = make_pacer(2)
        pace = Pace(pacer, clock=lambda: 0.0)
        with pytest.raises(TimeoutError):
            await fail(pace)
        hanging = asyncio.create_task(hang(pace))
        await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        return pacer

    pacer = asyncio.run(run())
    assert (pacer.in_flight, pacer.in_use(0.5)) == (0, 2)
