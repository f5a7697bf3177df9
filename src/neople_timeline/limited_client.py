"""A client of the API within the limit that all on the key share: its permits are lent by the warehouse."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg

from neople_timeline.models import Kind
from neople_timeline.neople.client import Client
from neople_timeline.neople.limiter import Pace, Pacer
from neople_timeline.settings import Settings
from neople_timeline.warehouse.permits import PermitLease

OUTAGE_FAILURES: Final = 40
"""After so many failures, one after the other, the API is to blame and not who was asked for."""

KeepPermits = Callable[[Callable[[], int]], Coroutine[Any, Any, None]]


@asynccontextmanager
async def open_client(
    settings: Settings, connection: psycopg.Connection, kind: Kind
) -> AsyncIterator[tuple[Client, KeepPermits]]:
    """Open a client and the loop that must run beside it to keep it in permits; it is told how many are wanted."""
    pacer = Pacer()
    lease = PermitLease(settings, connection, kind, pacer)
    async with Client(settings, Pace(pacer), lease.slow_down) as client:
        try:
            yield client, lease.keep
        finally:
            lease.give_back()


async def run_beside(main: Coroutine[Any, Any, None], *companions: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine with companions that end with it; the first failure of any ends all and is raised alone."""
    tasks = [asyncio.create_task(coroutine) for coroutine in (main, *companions)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until all have ended; the first failure ends the others too, and is then raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
