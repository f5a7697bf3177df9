"""One limit for all processes on a key, lent by a real PostgreSQL."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as make_profile
from hypothesis import strategies as st
from lease_time import let_pass

from neople_timeline.models import Kind
from neople_timeline.settings import Settings
from neople_timeline.warehouse import permits
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.permits import GIVE_BACK

FEW = make_profile(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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

    def renew(self, wanted: int = 1000, lease: str = "10 s", *, lapsed: float | None = None) -> float:
        """Ask for permits; return how long everybody has to wait.

        What was seen to have ended was so `lapsed` seconds ago: told in the same breath, whoever pauses this process.
        """
        before = self.in_use
        cursor = psycopg.ClientCursor(self.connection)
        cursor.execute(
            "UPDATE timeline.rate_lease SET lapsed_at = clock_timestamp() - %s * interval '1 second'"
            " WHERE lapsed_at IS NOT NULL AND %s IS NOT NULL;"
            " SELECT granted, paused_seconds FROM timeline.lend_permits(%s, %s, %s, %s, %s, %s, %s::interval)",
            (lapsed, lapsed, self.key, self.name, self.rate, self.weight, wanted, before, lease),
        )
        cursor.nextset()
        row = cursor.fetchone()
        assert row
        self.granted, self.cooling = row[0], before
        return float(row[1])

    def cool_down(self) -> None:
        self.cooling = 0

    def leave(self) -> None:
        self.connection.execute(GIVE_BACK, (self.in_use, 0, self.key, self.name))
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
        of_its_kind = 1000 * weight / sum(set(weights))
        assert abs(one - of_its_kind / weights.count(weight)) <= len(weights)


def test_daily_work_goes_before_retries_before_backfills(connection: psycopg.Connection) -> None:
    processes = [Process(connection, "k", 1000, permits.WEIGHTS[kind]) for kind in ("daily", "retry", "backfill")]
    daily, retry, backfill = settle(processes)
    assert daily > 3 * retry > 9 * backfill > 0


@pytest.mark.parametrize("many", ["retry", "backfill"])
def test_daily_work_goes_first_however_many_others_there_are(connection: psycopg.Connection, many: Kind) -> None:
    daily = Process(connection, "k", 1000, permits.WEIGHTS["daily"])
    others = [Process(connection, "k", 1000, permits.WEIGHTS[many]) for _ in range(16)]
    idle = Process(connection, "k", 1000, permits.WEIGHTS["daily"])
    idle.renew(0)
    share, *rest = settle([daily, *others])
    weights = permits.WEIGHTS["daily"], permits.WEIGHTS[many]
    assert abs(share - 1000 * weights[0] / sum(weights)) <= len(others)
    assert min(rest) > 0


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
    dead.renew(lease="1 hour")
    alive.renew()
    assert (dead.granted, alive.granted) == (100, 0)
    let_pass(connection, 7200)
    alive.renew()
    assert alive.granted == 0  # seen to be dead just now, and its last requests may still be on their way
    alive.renew(lapsed=1.5)
    assert alive.granted == 0
    alive.renew(lapsed=2.1)
    assert alive.granted == 100


def test_a_clock_that_leaps_ahead_takes_nothing_from_who_is_alive(connection: psycopg.Connection) -> None:
    first, second = Process(connection, "k", 100), Process(connection, "k", 100)
    for _ in range(3):
        for process in (first, second):
            process.renew(lease="1 hour")
            process.cool_down()
    assert (first.granted, second.granted) == (50, 50)
    for _ in range(30):
        connection.execute("UPDATE timeline.rate_lease SET expires_at = expires_at - interval '1 day'")
        first.renew(lease="1 hour")
        second.renew(lease="1 hour", lapsed=1.5)
        assert (first.granted, second.granted) == (50, 50)


def test_a_lease_that_stays_the_same_is_written_once_a_second(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 100)
    versions = set()
    until = time.monotonic() + 2.5
    renewals = 0
    while time.monotonic() < until:
        (asked_at,) = connection.execute("SELECT clock_timestamp()").fetchone() or ()
        process.renew(lease="10 s")
        process.cool_down()
        renewals += 1
        ((version, expires_at),) = connection.execute("SELECT xmin::text, expires_at FROM timeline.rate_lease")
        assert expires_at >= asked_at + timedelta(seconds=10)
        versions.add(version)
        time.sleep(0.02)
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


def read_share_after(connection: psycopg.Connection, passed: str) -> float:
    """Give the share that is left when so much time has passed since the last refusal, and not a moment more."""
    row = connection.execute(
        "UPDATE timeline.rate_budget b SET slowed_at = clock_timestamp() - %s::interval"
        " RETURNING timeline.share_left(b)",
        (passed,),
    ).fetchone()
    assert row
    return float(row[0])


def slow_down(connection: psycopg.Connection, seconds: float, key: str = "k") -> None:
    connection.execute("SELECT timeline.slow_down(%s, %s)", (key, seconds))


def test_everybody_on_the_key_waits_and_starts_again_with_half(connection: psycopg.Connection) -> None:
    refused, other = Process(connection, "k", 1000), Process(connection, "k", 1000)
    refused.renew()
    # All refusals of one second are one.
    connection.execute("SELECT timeline.slow_down('k', 3600) FROM generate_series(1, 30)")
    assert 3500 < other.renew() <= 3600
    assert 3500 < refused.renew() <= 3600
    assert 0.5 <= read_share(connection) < 0.9
    assert 250 <= refused.granted <= 500 * read_share(connection) + 1  # the share has grown by now, if anything


def test_refusals_that_go_on_slow_down_further_and_the_rate_grows_back(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    connection.execute(
        "DO $$ BEGIN FOR refusal IN 1..12 LOOP PERFORM timeline.slow_down('k', 1);"
        " UPDATE timeline.rate_budget SET slowed_at = clock_timestamp() - interval '2 seconds',"
        " paused_until = clock_timestamp() - interval '1 second'; END LOOP; END $$"
    )
    assert 0.005 <= read_share_after(connection, "0 minutes") < 0.05
    process.renew()
    assert process.granted >= 5
    assert 0.5 < read_share_after(connection, "1 minute") < 0.6
    assert read_share_after(connection, "2 minutes") == 1


def test_a_longer_wait_holds_although_a_shorter_one_follows(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    slow_down(connection, 3600)
    slow_down(connection, 1)
    assert 3500 < process.renew() <= 3600
    connection.execute("UPDATE timeline.rate_budget SET slowed_at = slowed_at - interval '2 seconds'")
    slow_down(connection, 1)
    assert 3500 < process.renew() <= 3600


def test_a_longer_wait_is_taken_within_the_same_second(connection: psycopg.Connection) -> None:
    process = Process(connection, "k", 1000)
    process.renew()
    connection.execute("SELECT timeline.slow_down('k', 1), timeline.slow_down('k', 3600)")
    assert 3500 < process.renew() <= 3600


def test_who_asks_while_another_is_being_lent_waits_until_that_is_settled(
    connection: psycopg.Connection, postgres_url: str
) -> None:
    first = Process(connection, "k")
    first.renew(1)  # the key is known
    with connect(Settings(warehouse_url=postgres_url)) as other, ThreadPoolExecutor(1) as pool:
        second = Process(other, "k")
        with connection.transaction():
            first.renew(60)
            asked = pool.submit(second.renew)
            with pytest.raises(TimeoutError):
                asked.result(0.3)
        asked.result(30)
    assert first.granted == 60
    assert first.granted + second.granted <= first.rate
