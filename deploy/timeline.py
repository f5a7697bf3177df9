#!/usr/bin/env python
"""`/timeline roster list`: the command line with the settings of Airflow's Connections, as the tasks have them."""

import os
import sys
from dataclasses import asdict
from datetime import time

from connections import connect_settings
from neople_timeline.cli.main import main
from neople_timeline.errors import ConfigError


def take_settings() -> None:
    """Put each setting where the command line reads it; without a Connection that is needed, end as it would."""
    try:
        settings = connect_settings()
    except ConfigError as error:
        sys.stderr.write(f"neople-timeline: {error}\n")
        sys.exit(2)
    for name, value in asdict(settings).items():
        os.environ[name.upper()] = f"{value:%H:%M}" if isinstance(value, time) else str(value)


if __name__ == "__main__":
    take_settings()
    main()
