"""One limit for all processes on a key, lent by a real PostgreSQL."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neople_timeline.neople.limiter import Pacer
from neople_timeline.settings import Settings
from neople_timeline.warehouse import permits
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.permits import PermitLease

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        yield connection


@dataclass
class Process:
    """An honest process: it sends up to what it was granted, and tells what it still uses."""

    connection: psycopg.Connection
    key: str
    rate: int = 100
    weight: int = 1
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    granted: int = 0
    cooling: int = 0

    @property
    def in_use(self) -> int:
        """At worst, every permit that it has had in the last second."""
        return max(self.granted, self.cooling)

    def renew(self, wanted: int = 1000, lease: str = "10 s") -> float:
        """Ask for permits; return how long everybody has to wait."""
        before = self.in_use
        row = self.connection.execute(
            "SELECT granted, paused_seconds FROM timeline.lend_permits(%s, %s, %s, %s, %s, %s, %s::interval)",
            (self.key, self.name, self.rate, self.weight, wanted, before, lease),
        ).fetchone()
        assert row
        self.granted, self.cooling = row[0], before
        return float(row[1])

    def cool_down(self) -> None:
        self.cooling = 0

    def leave(self) -> None:
        self.connection.execute(
            "UPDATE timeline.rate_lease SET wanted = 0, permits = least(permits, %s), lapsed_at = clock_timestamp()"
            " WHERE key_hash = %s AND holder = %s",
            (self.in_use, self.key, self.name),
        )
        self.granted = 0


STEPS = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["renew", "cool", "leave"]), st.integers(1, 200), st.sampled_from([16, 4, 1])
    ),
    max_size=40,
)


@FEW
@given(rate=st.integers(1, 120), steps=STEPS)
def test_whoever_comes_and_goes_the_permits_together_never_exceed_the_rate(
    connection: psycopg.Connection, rate: int, steps: list[tuple[int, str, int, int]]
) -> None:
    key = uuid.uuid4().hex
    processes = [Process(connection, key, rate) for _ in range(5)]
    for number, action, wanted, weight in steps:
        process = processes[number]
        process.weight = weight
        if action == "renew":
            process.renew(wanted)
        elif action == "cool":
            process.cool_down()
        else:
            process.leave()
        assert sum(one.in_use for one in processes) <= rate


def settle(processes: list[Process], wanted: int = 1000) -> list[int]:
    """Let all renew, second by second, until nothing moves any more; return what each holds."""
    for _ in range(6):
        for process in processes:
            process.cool_down()
            process.renew(wanted)
        assert sum(one.in_use for one in processes) <= processes[0].rate
    return [process.granted for process in processes]


@FEW
@given(weights=st.lists(st.sampled_from([16, 4, 1]), min_size=1, max_size=8))
def test_nobody_starves_and_nothing_lies_idle(connection: psycopg.Connection, weights: list[int]) -> None:
    key = uuid.uuid4().hex
    granted = settle([Process(connection, key, 1000, weight) for weight in weights])
    assert sum(granted) == 1000
    assert min(granted) > 0
    for one, weight in zip(granted, weights, strict=True):
        assert abs(one - 1000 * weight / sum(weights)) <= len(weights)


def test_daily_work_goes_before_retries_before_backfills(connection: psycopg.Connection) -> None:
    processes = [Process(connection, "k", 1000, permits.WEIGHTS[kind]) for kind in ("daily", "retry", "backfill")]
    daily, retry, backfill = settle(processes)
    assert daily > 3 * retry > 9 * backfill > 0


def test_what_one_does_not_want_goes_to_the_others(connection: psycopg.Connection) -> None:
    busy, idle = Process(connection, "k", 1000, 1), Process(connection, "k", 1000, 16)
    for _ in range(4):
        for process, wanted in ((busy, 1000), (idle, 3)):
            process.cool_down()
            process.renew(wanted)
    assert (busy.granted, idle.granted) == (997, 3)


def test_one_alone_has_it_all_at_once(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000, 1)
    process.renew()
    assert process.granted == 1000


def test_keys_know_nothing_of_each_other(connection: psycopg.Connection) -> None:
    first, second = Process(connection, "k1", 1000), Process(connection, "k2", 1000)
    first.renew()
    second.renew()
    assert (first.granted, second.granted) == (1000, 1000)


def test_the_lowest_rate_of_all_holds_for_all(connection: psycopg.Connection) -> None:
    first, second = Process(connection, "k", 1000), Process(connection, "k", 10)
    for _ in range(4):
        for process in (first, second):
            process.cool_down()
            process.renew()
    assert first.granted + second.granted == 10


def test_the_permits_of_a_process_that_died_come_back_after_its_lease_and_not_before(
    connection: psycopg.Connection,
) -> None:
    dead, alive = Process(connection, "k", 100), Process(connection, "k", 100)
    dead.renew(lease="0.2 s")
    alive.renew()
    assert (dead.granted, alive.granted) == (100, 0)
    time.sleep(1.5)
    for pause in (0.0, 1.5):  # seen to be dead, and its last requests may still be on their way
        time.sleep(pause)
        alive.renew()
        assert alive.granted == 0
    time.sleep(1.0)
    alive.renew()
    assert alive.granted == 100


def test_a_clock_that_leaps_ahead_takes_nothing_from_who_is_alive(connection: psycopg.Connection) -> None:
    first, second = Process(connection, "k", 100), Process(connection, "k", 100)
    for _ in range(3):
        for process in (first, second):
            process.renew()
            process.cool_down()
    assert (first.granted, second.granted) == (50, 50)
    for _ in range(30):
        connection.execute("UPDATE timeline.rate_lease SET expires_at = expires_at - interval '1 hour'")
        for process in (first, second):
            process.renew()
            assert process.granted == 50


def test_a_lease_that_stays_the_same_is_written_once_a_second(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 100)
    versions = set()
    until = time.monotonic() + 2.5
    renewals = 0
    while time.monotonic() < until:
        process.renew()
        process.cool_down()
        renewals += 1
        versions |= set(
            connection.execute("SELECT xmin::text, expires_at > now() + interval '10 s' FROM timeline.rate_lease")
        )
        time.sleep(0.02)
    assert {is_long for _, is_long in versions} == {True}
    assert renewals > 3 * len(versions)


def test_who_leaves_makes_room_at_once_for_what_it_does_not_use(connection: psycopg.Connection) -> None:
    leaving, staying = Process(connection, "k", 100), Process(connection, "k", 100)
    leaving.renew()
    leaving.granted = 0
    leaving.cooling = 30
    leaving.leave()
    staying.renew()
    assert staying.granted == 70


def read_share(connection: psycopg.Connection, key: str = "k") -> float:
    row = connection.execute(
        "SELECT timeline.share_left(b) FROM timeline.rate_budget b WHERE key_hash = %s", (key,)
    ).fetchone()
    assert row
    return float(row[0])


def slow_down(connection: psycopg.Connection, seconds: float, key: str = "k") -> None:
    connection.execute("SELECT timeline.slow_down(%s, %s)", (key, seconds))


def test_everybody_on_the_key_waits_and_starts_again_with_half(connection: psycopg.Connection) -> None:
    refused, other = Process(connection, "k", 1000), Process(connection, "k", 1000)
    refused.renew()
    for _ in range(30):  # all refusals of one second are one
        slow_down(connection, 5)
    assert 4.5 < other.renew() <= 5
    assert 4.5 < refused.renew() <= 5
    assert 0.5 <= read_share(connection) < 0.52
    assert 250 <= refused.granted < 260


def test_refusals_that_go_on_slow_down_further_and_the_rate_grows_back(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    for _ in range(12):
        slow_down(connection, 1)
        connection.execute(
            "UPDATE timeline.rate_budget SET slowed_at = slowed_at - interval '2 seconds',"
            " paused_until = paused_until - interval '2 seconds'"
        )
    assert 0.005 <= read_share(connection) < 0.05
    process.renew()
    assert process.granted >= 5
    connection.execute("UPDATE timeline.rate_budget SET slowed_at = slowed_at - interval '1 minute'")
    assert 0.5 < read_share(connection) < 0.6
    connection.execute("UPDATE timeline.rate_budget SET slowed_at = slowed_at - interval '1 minute'")
    assert read_share(connection) == 1


def test_a_longer_wait_holds_although_a_shorter_one_follows(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    slow_down(connection, 600)
    slow_down(connection, 1)
    assert 590 < process.renew() <= 600


def test_a_longer_wait_is_taken_within_the_same_second(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    slow_down(connection, 1)
    slow_down(connection, 600)
    assert 590 < process.renew() <= 600


# The lease of a real process ----------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make_lease(connection: psycopg.Connection, kind: str = "daily") -> tuple[PermitLease, Pacer, Clock]:
    pacer, clock = Pacer(), Clock()
    settings = Settings(neople_api_key="k", neople_api_rate=50)
    return PermitLease(settings, connection, kind, pacer, clock), pacer, clock


def test_a_lease_hands_its_permits_to_the_pacer_until_shortly_before_it_ends(connection: psycopg.Connection) -> None:
    lease, pacer, clock = make_lease(connection)
    asyncio.run(lease.renew(1000))
    assert pacer.permits == 50
    assert pacer.admit(clock.now)
    assert not pacer.admit(clock.now + permits.LEASE_SECONDS - permits.MARGIN_SECONDS)


def test_a_lease_that_cannot_be_renewed_runs_out(postgres_url: str) -> None:
    connection = connect(Settings(warehouse_url=postgres_url))
    lease, pacer, clock = make_lease(connection)
    asyncio.run(lease.renew(1000))
    connection.execute("SELECT 1")
    with psycopg.connect(postgres_url, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(lease.renew(1000))
    clock.now += permits.LEASE_SECONDS
    assert not pacer.admit(clock.now)


def test_two_processes_share_and_the_second_waits_for_the_first_to_let_go(connection: psycopg.Connection) -> None:
    first, first_pacer, first_clock = make_lease(connection)
    second, second_pacer, _ = make_lease(connection)
    asyncio.run(first.renew(1000))
    assert all(first_pacer.admit(first_clock.now + number / 50) for number in range(50))
    asyncio.run(second.renew(1000))
    asyncio.run(first.renew(1000))
    asyncio.run(second.renew(1000))
    assert (first_pacer.permits, second_pacer.permits) == (25, 0)
    for _ in range(50):
        first_pacer.answered(first_clock.now, first_clock.now, whole=True)
    first_clock.now += 1.1
    asyncio.run(first.renew(1000))
    asyncio.run(second.renew(1000))
    assert (first_pacer.permits, second_pacer.permits) == (25, 25)


def test_who_has_to_let_go_says_at_once_what_is_free(connection: psycopg.Connection) -> None:
    first, first_pacer, clock = make_lease(connection)
    second, second_pacer, _ = make_lease(connection)
    asyncio.run(first.renew(1000))
    assert all(first_pacer.admit(clock.now) for _ in range(10))
    asyncio.run(second.renew(1000))
    asyncio.run(first.renew(1000))
    asyncio.run(second.renew(1000))
    assert (first_pacer.permits, second_pacer.permits) == (25, 25)


def test_a_lease_given_back_keeps_counted_what_cools_down(connection: psycopg.Connection) -> None:
    first, first_pacer, clock = make_lease(connection)
    second, second_pacer, _ = make_lease(connection)
    asyncio.run(first.renew(1000))
    assert all(first_pacer.admit(clock.now) for _ in range(20))
    first.give_back()
    assert not first_pacer.admit(clock.now)
    asyncio.run(second.renew(1000))
    assert second_pacer.permits == 30


@pytest.mark.parametrize(("whole", "then"), [(True, 50), (False, 30)])
def test_what_a_lease_given_back_still_used_is_free_a_second_after_its_answer_unless_it_broke_off(
    connection: psycopg.Connection, *, whole: bool, then: int
) -> None:
    first, first_pacer, clock = make_lease(connection)
    second, second_pacer, _ = make_lease(connection)
    asyncio.run(first.renew(1000))
    for _ in range(20):
        assert first_pacer.admit(clock.now)
        first_pacer.answered(clock.now, clock.now + 0.03, whole=whole)
    clock.now += 0.03
    first.give_back()
    time.sleep(0.8)
    asyncio.run(second.renew(1000))
    assert second_pacer.permits == 30
    time.sleep(0.4)
    asyncio.run(second.renew(1000))
    assert second_pacer.permits == then


def test_the_fastest_answer_that_one_was_sure_of_is_known_to_all_and_for_good(connection: psycopg.Connection) -> None:
    first, first_pacer, clock = make_lease(connection)
    for _ in range(600):
        first_pacer.in_flight += 1
        first_pacer.answered(clock.now, clock.now + 0.03, whole=True)
    asyncio.run(first.renew(1))
    other, other_pacer, other_clock = make_lease(connection)
    asyncio.run(other.renew(1))
    assert rest_after_answer(other_pacer, other_clock.now) == 1.0  # nobody is sure yet
    clock.now += 11
    asyncio.run(first.renew(1))
    asyncio.run(other.renew(1))
    assert rest_after_answer(other_pacer, other_clock.now) == pytest.approx(1 - 0.9 * 0.03)
    late, late_pacer, late_clock = make_lease(connection)
    connection.execute("DELETE FROM timeline.rate_lease")
    asyncio.run(late.renew(1))
    assert rest_after_answer(late_pacer, late_clock.now) == pytest.approx(1 - 0.9 * 0.03)


def rest_after_answer(pacer: Pacer, now: float) -> float:
    """Give the seconds that a permit rests after an answer that took half a second."""
    pacer.in_flight += 1
    pacer.answered(now - 0.5, now, whole=True)
    return pacer.free_in(now)


def test_a_wait_that_one_process_was_told_holds_for_all(connection: psycopg.Connection) -> None:
    told, told_pacer, clock = make_lease(connection)
    other, other_pacer, other_clock = make_lease(connection, "backfill")
    asyncio.run(told.renew(10))
    asyncio.run(told.slow_down(30))
    asyncio.run(other.renew(10))
    for pacer, now in ((told_pacer, clock.now), (other_pacer, other_clock.now)):
        assert not pacer.admit(now + 1)
        assert pacer.paused_until > now + 29


def test_the_key_itself_is_stored_nowhere(connection: psycopg.Connection) -> None:
    lease = PermitLease(Settings(neople_api_key="the-secret-key"), connection, "daily", Pacer())
    asyncio.run(lease.renew(1))
    rows = connection.execute(
        "SELECT b::text || l::text FROM timeline.rate_budget b JOIN timeline.rate_lease l USING (key_hash)"
    ).fetchall()
    assert len(rows) == 1
    assert "secret" not in rows[0][0]
