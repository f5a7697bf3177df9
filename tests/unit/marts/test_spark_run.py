"""What is told of a Spark job that failed, and what it is given."""

import sys
from pathlib import Path

import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.marts.spark_run import check_masters, find_reason, make_environment, run_prefix
from neople_timeline.settings import Settings


def test_the_jobs_own_word_is_the_reason_whatever_spark_says_around_it() -> None:
    output = "WARN a\nneople-timeline: no worker took the job\nINFO ShutdownHookManager: deleting\n"
    assert find_reason(output) == "no worker took the job"


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", "docs/spark.md"),
        ("JAVA_HOME is not set", "Java 17"),
        ("[Errno 2] No such file or directory: 'spark-submit'", "make install-spark"),
    ],
)
def test_an_incomplete_installation_is_told_with_its_remedy(output: str, advice: str) -> None:
    assert advice in find_reason(f"some\n{output}\nlines")


def test_an_unknown_failure_shows_the_end_of_the_output() -> None:
    lines = ["Caused by: java.io.IOException: full", *map(str, range(100))]
    found = find_reason("\n".join(lines)).splitlines()
    assert found[-2:] == ["98", "99"]
    assert lines[0] in found


def test_the_job_is_given_what_it_needs_and_no_more() -> None:
    settings = Settings(
        neople_api_key="key", lake_url="s3://lake", aws_region="ap-northeast-2", smtp_url="smtp://u:p@h"
    )
    given = make_environment(settings, {"PATH": "/mine"})
    assert given == {
        "PATH": f"/mine:{Path(sys.executable).parent}",
        "PYSPARK_PYTHON": sys.executable,
        "LAKE_URL": "s3://lake",
        "AWS_REGION": "ap-northeast-2",
    }
    assert make_environment(settings, {"PYSPARK_PYTHON": "/their/python"})["PYSPARK_PYTHON"] == "/their/python"


def test_a_runs_folder_has_a_harmless_name() -> None:
    assert run_prefix("timeline_daily manual__2026-11-15T00:00:00+00:00") == (
        "marts/_runs/timeline-daily-manual--2026-11-15T00-00-00-00-00"
    )


def test_only_standalone_masters_are_looked_for() -> None:
    check_masters("local[2]")
    check_masters("yarn")
    with pytest.raises(ConfigError, match="spark://nowhere"):
        check_masters("spark://nowhere")
