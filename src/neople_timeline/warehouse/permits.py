"""Permits to ask the API, lent by PostgreSQL to every process on the same key.

The permits of all leases together never exceed the rate. A lease that is not renewed ends on the process's own clock
before PostgreSQL lends its permits to others; so when PostgreSQL is away, everyone slows down and stops.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, LiteralString

import psycopg

from neople_timeline.models import Kind
from neople_timeline.neople.limiter import Pacer
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import GONE

LEASE_SECONDS: Final = 8.0
MARGIN_SECONDS: Final = 4.5
"""The process stops this much before its lease ends by PostgreSQL's clock, which counts the permits two seconds longer:
together, as long as a request can be on its way through a broken network (`CONNECT_` and `UNACKNOWLEDGED_SECONDS`)."""
KEPT_SECONDS: Final = 2.0
"""How long `lend_permits` counts a lease after it was first seen to have ended."""
UNCERTAIN_SECONDS: Final = MARGIN_SECONDS + KEPT_SECONDS
"""How long the permits of requests are kept whose end was not waited for: they may be on their way as long."""
RENEW_SECONDS: Final = 0.1
"""How long what one lets go of may lie idle before another hears of it."""
WEIGHTS: Final[dict[Kind, int]] = {"daily": 16, "retry": 4, "backfill": 1}
"""Shares of the rate where there is not enough for all, each for all processes of a kind together."""

LEND: Final = """
SELECT granted, paused_seconds, timeline.know_fastest(%s, %s)
FROM timeline.lend_permits(%s, %s, %s, %s, %s, %s, %s * interval '1 second')
"""

GIVE_BACK: Final = """
UPDATE timeline.rate_lease
SET wanted = 0, permits = least(permits, %s), expires_at = clock_timestamp(),
  lapsed_at = clock_timestamp() + %s * interval '1 second'
WHERE key_hash = %s AND holder = %s
"""
"""Ends a lease of which some permits are still used, and counts these for so many seconds more than `KEPT_SECONDS`."""


class PermitLease:
    """One process's lease: `renew` asks for permits and hands them to the pacer.

    Statements run in a thread of its own, so permits never wait for the ledger; the pacer is touched by the loop alone.
    """

    def __init__(
        self,
        settings: Settings,
        connection: psycopg.Connection,
        kind: Kind,
        pacer: Pacer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1)
        self._key_hash = hashlib.sha256(settings.neople_api_key.encode()).hexdigest()[:16]
        self._holder = uuid.uuid4().hex
        self._rate = settings.neople_api_rate
        self._weight = WEIGHTS[kind]
        self._pacer = pacer
        self._clock = clock

    async def keep(self, wanted: Callable[[], int]) -> None:
        """Renew the lease again and again; `wanted` tells how many requests there are to send."""
        while True:
            await self.renew(wanted())
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self, wanted: int) -> None:
        """Ask for as many permits as there are requests to send (`wanted`), and take what is granted."""
        held = self._pacer.permits
        await self._ask(wanted)
        if self._pacer.permits < held:  # others wait for the rest: say at once how much of it is free
            await self._ask(wanted)

    async def _ask(self, wanted: int) -> None:
        asked = self._clock()
        in_use = self._pacer.in_use(asked)
        wanted = max(1, min(wanted + in_use, self._rate))  # those that cool down cannot be used again at once
        if asked < self._pacer.lent_until:  # the permits held now may be taken while the question is on its way
            in_use = max(in_use, self._pacer.permits)
        row = await self._query(
            LEND,
            self._key_hash,
            self._pacer.believed_fastest(asked),
            self._key_hash,
            self._holder,
            self._rate,
            self._weight,
            wanted,
            in_use,
            LEASE_SECONDS,
        )
        granted, paused, fastest = row or (0, 0.0, None)
        paused_until = self._clock() + paused if paused else 0.0
        self._pacer.grant(granted, asked + LEASE_SECONDS - MARGIN_SECONDS, paused_until, fastest or 0.0)

    async def slow_down(self, seconds: float) -> None:
        """Make everybody on the key wait, and then start again from half the rate they had."""
        await self._query("SELECT timeline.slow_down(%s, %s)", self._key_hash, seconds)
        self._pacer.paused_until = max(self._pacer.paused_until, self._clock() + seconds)

    def give_back(self) -> None:
        """Let go of the permits as soon as the last ones have cooled down."""
        self._thread.shutdown()
        now = self._clock()
        is_uncertain = self._pacer.in_flight or now - self._pacer.cut_at < UNCERTAIN_SECONDS
        in_use = self._pacer.in_use(now)
        rest = UNCERTAIN_SECONDS if is_uncertain else self._pacer.seconds_until_free(now)
        with suppress(*GONE):  # the permits simply run out
            self._connection.execute(GIVE_BACK, (in_use, rest - KEPT_SECONDS, self._key_hash, self._holder))
        self._pacer.grant(0, 0.0)

    async def _query(self, statement: LiteralString, *values: object) -> tuple[Any, ...] | None:
        def run() -> tuple[Any, ...] | None:
            return self._connection.execute(statement, values).fetchone()

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)
