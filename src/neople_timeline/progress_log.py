"""How far a collector has come, for the log of a task that nobody watches on a terminal."""

import logging
from typing import Final

from neople_timeline.models import Collected, Usage, number_of, round_seconds

LOGGED_EVERY_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class ProgressLog:
    """Hears of a collector's progress as often as it is told, and logs a line of it every half minute."""

    def __init__(self, pending: int) -> None:
        self._pending = pending
        self._logged = Usage()

    def __call__(self, now: Collected) -> None:
        """Log what was done of `pending`, the rate since the last line, and about how long the rest will take."""
        since = now.usage.seconds - self._logged.seconds
        if since < LOGGED_EVERY_SECONDS:
            return
        log.info(
            "%s of %s, %s, %s requests/s, %s",
            f"{now.done:,}",
            number_of(self._pending, "character-day"),
            number_of(now.events, "event"),
            f"{(now.usage.requests - self._logged.requests) / since:,.0f}",
            self._forecast(now),
        )
        self._logged = now.usage

    def _forecast(self, now: Collected) -> str:
        if not now.done:
            return "none landed yet"
        rest = max(0, self._pending - now.done)  # a debt that is asked for twice counts twice
        return f"about {round_seconds(now.usage.seconds * rest / now.done)} left"
