"""The lease of one process: what it borrows from a real PostgreSQL, hands to its pacer and gives back."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from lease_time import let_pass

from neople_timeline.models import Kind
from neople_timeline.neople.limiter import Pacer
from neople_timeline.settings import Settings
from neople_timeline.warehouse import permits
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.permits import PermitLease


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make_lease(connection: "psycopg.Connection | Line", kind: Kind = "daily") -> tuple[PermitLease, Pacer, Clock]:
    pacer, clock = Pacer(), Clock()
    settings = Settings(neople_api_key="k", neople_api_rate=50)
    # A Line does what a lease asks of a connection.
    return PermitLease(settings, connection, kind, pacer, clock), pacer, clock  # type: ignore[arg-type]


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


class Line:
    """A connection on which something happens while the first question is under way."""

    broken = False

    def __init__(self, connection: psycopg.Connection, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._connection = connection
        self._before = before
        self._after = after

    def execute(self, statement: Any, values: Any) -> Any:
        self._before()
        answer = self._connection.execute(statement, values)
        self._after()
        self._before = self._after = lambda: None
        return answer


def test_permits_that_are_taken_while_their_renewal_is_under_way_are_lent_to_nobody_else(
    connection: psycopg.Connection,
) -> None:
    second, second_pacer, _ = make_lease(connection)

    def take_all() -> None:
        assert all(pacer.admit(clock.now + number / 50) for number in range(50))

    line = Line(connection, take_all, lambda: asyncio.run(second.renew(1000)))
    first, pacer, clock = make_lease(line)
    asyncio.run(make_lease(connection)[0].renew(1))
    pacer.grant(50, clock.now + 5)
    connection.execute("DELETE FROM timeline.rate_lease")
    asyncio.run(first.renew(10))
    assert pacer.in_flight + second_pacer.permits <= 50


def test_a_lease_counts_from_when_it_was_asked_for(connection: psycopg.Connection) -> None:
    def pass_three_seconds() -> None:
        clock.now += 3

    lease, pacer, clock = make_lease(Line(connection, pass_three_seconds, lambda: None))
    asyncio.run(lease.renew(1000))
    assert pacer.lent_until == pytest.approx(100 + permits.LEASE_SECONDS - permits.MARGIN_SECONDS)


@pytest.mark.parametrize(("whole", "seconds"), [(True, 1.0), (False, permits.UNCERTAIN_SECONDS)])
def test_what_a_lease_given_back_still_used_is_free_a_second_after_its_answer_unless_it_broke_off(
    connection: psycopg.Connection, *, whole: bool, seconds: float
) -> None:
    first, first_pacer, clock = make_lease(connection)
    second, second_pacer, _ = make_lease(connection)
    asyncio.run(first.renew(1000))
    for _ in range(20):
        assert first_pacer.admit(clock.now)
        first_pacer.answered(clock.now, clock.now + 0.03, whole=whole)
    clock.now += 0.03
    first.give_back()
    row = connection.execute("SELECT permits, extract(epoch FROM lapsed_at - expires_at) FROM timeline.rate_lease")
    kept, more = row.fetchone() or (0, 0)
    assert kept == 20
    assert float(more) + permits.KEPT_SECONDS == pytest.approx(seconds, abs=0.1)
    for passed, lent in ((-3600, 30), (7200, 50)):  # still counted, and not any more
        let_pass(connection, passed)
        asyncio.run(second.renew(1000))
        assert second_pacer.permits == lent


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
    return pacer.seconds_until_free(now)


def test_a_wait_that_one_process_was_told_holds_for_all(connection: psycopg.Connection) -> None:
    told, told_pacer, clock = make_lease(connection)
    other, other_pacer, other_clock = make_lease(connection, "backfill")
    asyncio.run(told.renew(10))
    asyncio.run(told.slow_down(3600))
    asyncio.run(other.renew(10))
    for pacer, now in ((told_pacer, clock.now), (other_pacer, other_clock.now)):
        assert not pacer.admit(now + 1)
        assert pacer.paused_until > now + 3500


def test_the_key_itself_is_stored_nowhere(connection: psycopg.Connection) -> None:
    lease = PermitLease(Settings(neople_api_key="the-secret-key"), connection, "daily", Pacer())
    asyncio.run(lease.renew(1))
    rows = connection.execute(
        "SELECT b::text || l::text FROM timeline.rate_budget b JOIN timeline.rate_lease l USING (key_hash)"
    ).fetchall()
    assert len(rows) == 1
    assert "secret" not in rows[0][0]
