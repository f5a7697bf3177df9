"""Chaos needs the group `cluster`, Redis and minutes: only `make chaos` runs it."""

import os

collect_ignore_glob = [] if os.environ.get("CHAOS") else ["test_*.py"]
