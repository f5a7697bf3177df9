"""What the local stack asks about Airflow, and tells it."""

import subprocess
import sys


def test_providers_are_looked_for_without_airflow_which_would_take_the_log_over() -> None:
    code = """
import logging, sys
from neople_timeline.local import airflow
print(airflow.has_provider("standard"), airflow.has_provider("teapot"), "airflow" in sys.modules, logging.root.handlers)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True False False []\n", "")
