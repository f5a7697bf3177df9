"""Tests marked `browser` are left out where there is no Chromium, and one line says so.

With NEOPLE_REQUIRE_BROWSER=1 that is an error.
"""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SAID = pytest.StashKey[str]()


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = [item for item in items if item.get_closest_marker("browser")]
    if CHROMIUM or not wanted:
        return
    missing = "no Chromium (Debian: apt install chromium fonts-nanum)"
    if os.environ.get("NEOPLE_REQUIRE_BROWSER") == "1":
        raise pytest.UsageError(f"NEOPLE_REQUIRE_BROWSER=1, but there is {missing}")
    items[:] = [item for item in items if item not in wanted]
    config.hook.pytest_deselected(items=wanted)
    config.stash[SAID] = f"{len(wanted)} tests in a browser were left out: there is {missing}"
