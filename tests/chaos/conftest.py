"""Chaos needs the group `cluster`, Redis and minutes: only `make chaos` runs it.

CHAOS=short (some minutes, 2,000 characters) or CHAOS=long (20,000); `make chaos` sets it.
"""

import os

if os.environ.get("CHAOS"):
    from standing import metrics, mount, running  # noqa: F401 - fixtures
else:
    collect_ignore_glob = ["test_*.py"]
