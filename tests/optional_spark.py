"""Tests marked `spark` are left out where Spark is not installed, and one line says so.

With NEOPLE_REQUIRE_SPARK=1 that is an error.
"""

import os
from importlib.metadata import distributions
from pathlib import Path

import pytest

from neople_timeline.marts.spark_run import OLDEST_JAVA, read_java_version

JARS = Path(__file__).parents[1] / ".local" / "spark-jars"
SAID = pytest.StashKey[str]()


def find_missing() -> str:
    """Name what is missing to run Spark and how to get it, or nothing."""
    if read_java_version() < OLDEST_JAVA:
        return (
            f"no Java {OLDEST_JAVA} or newer (Debian: apt install default-jre-headless maven; then make install-spark)"
        )
    if not {"pyspark", "apache-airflow-providers-apache-spark"} <= {found.name for found in distributions()}:
        return "no PySpark (make install-spark)"
    return "" if (JARS / "complete").exists() else "no jars for s3a:// (make install-spark)"


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = [item for item in items if item.get_closest_marker("spark")]
    missing = find_missing() if wanted else ""
    if not missing:
        return
    if os.environ.get("NEOPLE_REQUIRE_SPARK") == "1":
        raise pytest.UsageError(f"NEOPLE_REQUIRE_SPARK=1, but there is {missing}")
    items[:] = [item for item in items if item not in wanted]
    config.hook.pytest_deselected(items=wanted)
    config.stash[SAID] = f"{len(wanted)} tests of the marts on Spark were left out: there is {missing}"
