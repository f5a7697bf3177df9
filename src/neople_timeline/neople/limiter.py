"""When the next request may be sent, so that no second ever sees more of them than allowed.

What the API counts is when requests *arrive*, which the sender does not know: it is some time between sending and the
answer. So a permit is good for one request, and is free again one second after the answer, less the time that even the
fastest answer took: the next request will need as long before it is counted and answered. An API that is slow for a
while, or a burst over new connections, has no fast answers and proves nothing: what is taken off is the fastest answer
that anybody on the key ever had, and nothing as long as nobody is sure of one.

`Pacer` decides and is given the clock; `Pace` waits.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from neople_timeline.neople.protocol import Paused

WINDOW: Final = 1.0
"""Seconds in which the API counts."""
LATENCY_SHARE: Final = 0.9
"""Share of the fastest answer's time that is taken for granted."""
LEARNING_SECONDS: Final = 10.0
"""Seconds from the first answer until the fastest one so far is believed."""
ENOUGH_ANSWERS: Final = 500
"""Answers that must have been about as fast, too. In a crowd few are; on a free way nearly all."""
BURST_FACTOR: Final = 1.1
"""How much faster than on average requests may follow each other: in a great burst the answers wait for the processor,
look slow, and keep their permits for longer than they must."""
BURST: Final = 30
"""Requests that may follow each other at once nevertheless: timers are not exact."""
SHORTEST_NAP: Final = 0.003
"""Seconds: waking up for each request alone takes a fifth more CPU than sending them in threes."""
LONGEST_PAUSE: Final = 120.0
"""Seconds; who is asked to wait longer gives its place away instead of sleeping on it."""
LONGEST_NAP: Final = 0.05
"""Seconds until a waiting request looks again whether it has been given permits meanwhile."""


class Pacer:
    """Counts permits: those in use, those cooling down, and until when they are lent."""

    def __init__(self) -> None:
        self.permits = 0
        self.lent_until = 0.0
        self.paused_until = 0.0
        self.in_flight = 0
        self.cut_at = float("-inf")
        """When a request last broke off: it may be on its way still."""
        self._answered: deque[float] = deque()
        self._even_at = 0.0
        """When the next request would be sent if they all followed each other evenly."""
        self._fastest = WINDOW
        self._known_fastest = 0.0
        self._fast_answers = 0
        self._believed_from = float("inf")

    def grant(self, permits: int, until: float, paused_until: float = 0.0, fastest: float = 0.0) -> None:
        """Take a new number of permits, good until a moment on the caller's clock.

        `fastest` is how many seconds the key's fastest answer took, 0 as long as nobody is sure.
        """
        self.permits, self.lent_until, self.paused_until, self._known_fastest = permits, until, paused_until, fastest

    def believed_fastest(self, now: float) -> float | None:
        """Give how many seconds the fastest answer took, if it may be believed."""
        return self._fastest if self._fast_answers >= ENOUGH_ANSWERS and now >= self._believed_from else None

    def in_use(self, now: float) -> int:
        """Count the permits that cannot be given back yet."""
        cooled = now - self._cooling_time
        while self._answered and self._answered[0] <= cooled:
            self._answered.popleft()
        return self.in_flight + len(self._answered)

    def seconds_until_free(self, now: float) -> float:
        """Give the seconds after which all permits of requests that have ended are free again."""
        return max((answered + self._cooling_time - now for answered in self._answered), default=0.0)

    def admit(self, now: float) -> bool:
        """Take a permit for a request that is sent right now, if there is one."""
        if not self.paused_until <= now < self.lent_until or self.in_use(now) >= self.permits:
            return False
        if now < self._even_at - BURST * self._spacing:
            return False
        self._even_at = max(self._even_at, now) + self._spacing
        self.in_flight += 1
        return True

    def seconds_to_wait(self, now: float) -> float:
        """Give the seconds after which asking again makes sense."""
        if not self.paused_until <= now < self.lent_until or self.in_flight >= self.permits:
            return LONGEST_NAP
        even = self._even_at - BURST * self._spacing - now
        cool = self._answered[0] + self._cooling_time - now if self.in_use(now) >= self.permits else 0.0
        return min(max(even, cool, SHORTEST_NAP), LONGEST_NAP)

    def answered(self, sent: float, now: float, *, whole: bool, failed: bool = False) -> None:
        """Let the permit of a request that has ended cool down; only whole answers tell how fast the way is.

        An error may be answered at the door, and tells nothing of the way.
        """
        self.in_flight -= 1
        if not whole:  # it may have been quicker than any answer: its permit rests the whole second, at least
            self._answered.append(now + LATENCY_SHARE * self._fastest)
            self.cut_at = now
            return
        self._answered.append(now)
        took = now - sent
        if took < LATENCY_SHARE * self._fastest:
            self._fast_answers = 0
        self._fastest = min(self._fastest, took)
        self._fast_answers += not failed and LATENCY_SHARE * took <= self._fastest
        self._believed_from = min(self._believed_from, now + LEARNING_SECONDS)

    @property
    def _spacing(self) -> float:
        return WINDOW / (BURST_FACTOR * self.permits)

    @property
    def _cooling_time(self) -> float:
        return WINDOW - LATENCY_SHARE * min(self._known_fastest, self._fastest)


class Pace:
    """Lets requests through one after the other, in the order in which they came, as the pacer admits them."""

    def __init__(self, pacer: Pacer, clock: Callable[[], float] = time.monotonic) -> None:
        self.pacer = pacer
        self._clock = clock
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def permit(self) -> AsyncIterator["Permit"]:
        """Hold a permit while a request is under way; Paused if everybody has to wait for long."""
        async with self._turn:
            while not self.pacer.admit(self._clock()):
                pause = self.pacer.paused_until - self._clock()
                if pause > LONGEST_PAUSE:
                    raise Paused(f"the API asked everybody on this key to wait: {pause:,.0f} s are left", seconds=pause)
                await asyncio.sleep(self.pacer.seconds_to_wait(self._clock()))
        permit, sent = Permit(), self._clock()
        try:
            yield permit
        finally:
            self.pacer.answered(sent, self._clock(), whole=permit.whole, failed=permit.failed)


class Permit:
    """One request's permit; `whole` is set when its answer came completely, `failed` when it was none."""

    whole = False
    failed = False
