#!/usr/bin/env python
"""`/timeline roster list`: the command line with the settings of Airflow's Connections, as the tasks have them."""

import os
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import time

from neople_timeline.errors import TimelineError


def read_environment() -> dict[str, str]:
    """Give each setting as the variable that the command line reads; a missing Connection ends it as wrong settings."""
    try:
        with redirect_stdout(sys.stderr):  # where Airflow's log goes, from the import on
            from timeline_connections import connect_settings  # noqa: PLC0415

            settings = asdict(connect_settings())
    except TimelineError as error:
        sys.stderr.write(f"neople-timeline: {error}\n")
        sys.exit(2)
    return {
        name.upper(): f"{value:%H:%M}" if isinstance(value, time) else str(value) for name, value in settings.items()
    }


if __name__ == "__main__":
    # A program of its own, because Airflow writes its log to standard output, where `export` writes tables.
    os.execvpe("neople-timeline", ["neople-timeline", *sys.argv[1:]], {**os.environ, **read_environment()})  # noqa: S606, S607
