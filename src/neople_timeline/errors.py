"""What can go wrong, grouped by what the caller should do.

TimelineError
├── ConfigError       stop before any work: a setting, a file or an argument is wrong
│   └── Refused       what a run was asked for cannot be had
├── StopCollecting    stop now: every further call to the API would fail too
├── RetryLater        come back after `seconds`; nothing is lost meanwhile
│   ├── NotOver       the day is still running
│   └── Overtaken     another run was faster
├── SkipCharacter     go on with the next character; this one is missing, for the reason in the message
└── DataError         a promise about data is broken; publish nothing that depends on it

Every message is written for the person who has to act: what is wrong, where, what to do. None carries a secret.
"""

from datetime import timedelta
from typing import Final

LONGEST_WAIT: Final = timedelta(hours=12)
"""How long a task or a command waits for the API or the stores, on end, before it fails and says so."""

NEW_WAIT_AFTER: Final = timedelta(hours=1)
"""Whoever has to wait this long after it came back, or later, was at work meanwhile: a new wait begins."""


class TimelineError(Exception):
    """The root of everything this package raises on purpose."""


class ConfigError(TimelineError):
    """A setting, a file or an argument is wrong, and somebody has to correct it."""


class Refused(ConfigError):
    """What a run was asked for cannot be had: it is wrong by itself, whatever the settings."""


class StopCollecting(TimelineError):
    """Every further call would fail too: a wrong key, a blocked key, a wrong address."""


class RetryLater(TimelineError):
    """Not now: maintenance, an outage, a day that is not over.

    `seconds` is how long to wait before the next try.
    """

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class NotOver(RetryLater):
    """The day is still running, or its last events have not reached the API."""


class Overtaken(RetryLater):
    """Another run wrote first what was to be written."""


class SkipCharacter(TimelineError):
    """The API knows no such character; the ledger records it as missing with this message as the reason."""


class DataError(TimelineError):
    """The data are not what was promised: they disagree, or they cannot be read or stored unchanged."""
