"""What goes on around the Spark job: its submission, what it leaves in the lake, and the publishing of that.

A run writes to `marts/_runs/<run>/<attempt>/` and at its very end names its complete attempt in `manifest.json`. Until
then nobody reads it, so a driver that dies, a retry or a second submission leaves nothing half-written to be seen.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from neople_timeline.catalogue import MARTS, Mart
from neople_timeline.errors import ConfigError, DataError
from neople_timeline.lake import Lake
from neople_timeline.marts.publish import MartBuilt, publish_results
from neople_timeline.marts.results import MartResult, shape_result
from neople_timeline.settings import Settings

JOB: Final = Path(__file__).with_name("spark_job.py")
"""The application that spark-submit is given; its arguments are the run and the days."""

FAILED: Final = "neople-timeline: "
"""How the job begins the line in which it says why it failed."""

NEEDED_SETTINGS: Final = (
    "lake_url", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_endpoint_url", "aws_region",
    "warehouse_url",
)  # fmt: skip


class Manifest(msgspec.Struct, frozen=True):
    """What a run's complete attempt computed: the objects of each mart, as keys of the lake."""

    days: tuple[date, ...]
    generation: int
    objects: dict[str, tuple[str, ...]]
    published: dict[str, int] = {}
    """Rows by mart once the run is published; its objects are deleted then."""


def run_prefix(run: str) -> str:
    """Name the folder of a run; a run's name may hold characters that S3 keys had better not."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in run)
    return f"marts/_runs/{safe}"


def make_arguments(run: str, days: Sequence[date]) -> list[str]:
    """Make the job's arguments, none of which is secret."""
    return [run, *(day.isoformat() for day in days)]


def make_environment(settings: Settings) -> dict[str, str]:
    """Make the environment variables that the job needs; they carry secrets and belong nowhere else."""
    given = {name.upper(): str(getattr(settings, name)) for name in NEEDED_SETTINGS}
    return {name: value for name, value in given.items() if value}


def submit_run(settings: Settings, run: str, days: Sequence[date]) -> None:
    """Run the job with the spark-submit on the PATH, on the master that spark-defaults.conf names (else locally)."""
    program = shutil.which("spark-submit")
    if not program:
        raise ConfigError(
            "MARTS_ENGINE is spark, but there is no spark-submit: `uv sync --group spark` installs it (with Java 17), "
            "or set MARTS_ENGINE=duckdb"
        )
    command = [program, str(JOB), *make_arguments(run, days)]
    done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
        command,
        env={**os.environ, **make_environment(settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"the Spark job failed: {_find_reason(done.stdout)}")


def publish_run(lake: Lake, connection: psycopg.Connection, run: str) -> tuple[MartBuilt, ...]:
    """Publish what a run computed and delete its objects; a run that is published already stays as it is."""
    key = f"{run_prefix(run)}/manifest.json"
    found = lake.read(key)
    if found is None:
        raise DataError(
            f"the run {run} left no complete marts: there is no {lake.describe(key)}. Run the Spark job again"
        )
    manifest = msgspec.json.decode(found.data, type=Manifest)
    if not manifest.published:
        results = [_read_result(lake, mart, manifest) for mart in MARTS if mart.name in manifest.objects]
        built = publish_results(lake, connection, manifest.days, results, manifest.generation)
        manifest = msgspec.structs.replace(manifest, published={mart.name: mart.rows for mart in built}, objects={})
        lake.replace(key, msgspec.json.encode(manifest), etag=found.etag)
        lake.delete(other for other in lake.list_keys(run_prefix(run)) if other != key)
    return tuple(MartBuilt(name, rows) for name, rows in manifest.published.items())


def _read_result(lake: Lake, mart: Mart, manifest: Manifest) -> MartResult:
    tables = [shape_result(mart, pq.read_table(io.BytesIO(lake.get(key)))) for key in manifest.objects[mart.name]]
    return MartResult(mart, shape_result(mart, pa.concat_tables([mart.schema.empty_table(), *tables])))


def _find_reason(output: str) -> str:
    lines = output.strip().splitlines()
    known = [line.removeprefix(FAILED) for line in lines if line.startswith(FAILED)]
    return known[-1] if known else "\n".join(["", *lines[-15:]])
