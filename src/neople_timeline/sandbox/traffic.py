"""What was asked: the limit of the key, and the figures that tests and benchmarks read."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SECOND = 1_000_000_000
MOST_VIOLATIONS = 100
"""Violations of which the moment is kept."""


@dataclass
class Window:
    """Arrivals of the last second, in nanoseconds of a monotonic clock; `peak` is the most any second ever held."""

    arrivals: deque[int] = field(default_factory=deque)
    peak: int = 0

    def arrive(self, now: int) -> int:
        """Count a request and say how many the second that ends with it holds."""
        arrivals = self.arrivals
        while arrivals and arrivals[0] <= now - SECOND:
            arrivals.popleft()
        arrivals.append(now)
        held = len(arrivals)
        self.peak = max(self.peak, held)
        return held


@dataclass
class Stats:
    """Counts since the start or the last reset."""

    requests: int = 0
    violations: int = 0
    keys_in_query: int = 0
    repeated: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    by_error: Counter[str] = field(default_factory=Counter)
    by_route: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    by_character: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    first: int | None = None
    last: int = 0
    window: Window = field(default_factory=Window)
    violated: list[int] = field(default_factory=list)

    def reset(self) -> None:
        """Begin again; requests of the last second still count against the limit, but not for the peak."""
        arrivals = self.window.arrivals
        vars(self).update(vars(Stats(window=Window(arrivals))))

    def arrive(self, now: int, rate: int) -> bool:
        """Count an arrival; False if it is above the limit of `rate` requests in one second (0: no limit)."""
        self.requests += 1
        self.last = now
        if self.first is None:
            self.first = now
        allowed = self.window.arrive(now) <= rate or not rate
        if not allowed:
            self.violations += 1
            if self.violations <= MOST_VIOLATIONS:
                self.violated.append(now)
        return allowed

    def answer_timeline(self, target: str) -> None:
        """Remember a good answer; a target (path and query) that was answered before is counted as repeated."""
        mark = hash(target)
        self.repeated += mark in self.answered
        self.answered.add(mark)

    def as_json(self, clock_offset: int) -> dict[str, Any]:
        """Show the figures; clock_offset turns the monotonic clock into time since 1970, in nanoseconds."""
        spans = None if self.first is None else (self.last - self.first) / SECOND
        return {
            "requests": self.requests,
            "violations": self.violations,
            "violated_at": [_instant(moment + clock_offset) for moment in self.violated],
            "peak_per_second": self.window.peak,
            "keys_in_query": self.keys_in_query,
            "by_status": {str(status): count for status, count in sorted(self.by_status.items())},
            "by_error": dict(sorted(self.by_error.items())),
            "by_route": dict(sorted(self.by_route.items())),
            "by_fault": dict(sorted(self.by_fault.items())),
            "timeline_distinct": len(self.answered),
            "timeline_repeated": self.repeated,
            "first_at": None if self.first is None else _instant(self.first + clock_offset),
            "last_at": None if self.first is None else _instant(self.last + clock_offset),
            "seconds": spans,
        }


def _instant(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / SECOND, UTC).isoformat()
