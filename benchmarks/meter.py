"""How a contender measures itself: wall and CPU time by step, and the most memory it ever held."""

import json
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Meter:
    """Counts from its making, so that imports are left out."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[float, float]] = {}
        self._peaks: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step; steps of the same name add up."""
        # The most memory held is kept by the kernel; writing 5 makes it begin anew.
        Path("/proc/self/clear_refs").write_text("5")
        wall, cpu = time.perf_counter(), _cpu_seconds()
        yield
        self._peaks[name] = max(self._peaks.get(name, 0.0), _peak_mb())
        before = self._steps.get(name, (0.0, 0.0))
        self._steps[name] = (before[0] + time.perf_counter() - wall, before[1] + _cpu_seconds() - cpu)

    def report(self, *, events: int) -> None:
        """Print everything as the last line."""
        figures = {"events": events, "steps": self._steps, "peaks": self._peaks, "peak_mb": max(self._peaks.values())}
        sys.stdout.write(json.dumps(figures) + "\n")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1024 if peak else 0.0
