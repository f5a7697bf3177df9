"""What goes on around the Spark job: its submission, what it leaves in the lake, and the publishing of that.

A run writes to `marts/_runs/<run>/<attempt>/` and at its very end names its complete attempt in `manifest.json`. Until
then nobody reads it, so a driver that dies, a retry or a second submission leaves nothing half-written to be seen.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from neople_timeline.catalogue import Mart
from neople_timeline.errors import ConfigError, DataError
from neople_timeline.lake import Lake
from neople_timeline.marts.periods import cut_pieces, periods_of
from neople_timeline.marts.publish import MartBuilt, publish_results
from neople_timeline.marts.results import MartResult, shape_result
from neople_timeline.settings import Settings

JOB: Final = Path(__file__).with_name("spark_job.py")
"""The application that spark-submit is given; its arguments are the run and the days.

Without days it only tries Spark out.
"""

FAILED: Final = "neople-timeline: "
"""How the job begins the line in which it says why it failed."""

OLDEST_JAVA: Final = 17
GET_JAVA: Final = "Spark needs Java 17 or newer (Debian: apt install default-jre-headless)"

REASONS: Final = {
    "S3AFileSystem not found": "Spark has no jars for s3a://. docs/spark.md says which lines spark-defaults.conf needs",
    "JAVA_HOME is not set": f"there is no Java: {GET_JAVA}",
    "No such file or directory: 'spark-submit'": "there is no spark-submit: `make install-spark` installs it",
    "PATH_NOT_FOUND": "an object of the ledger is gone from the lake: `neople-timeline verify` names it, and the next"
    " run of its day makes it anew from what is left",
    "UnsupportedClassVersionError": f"this Java is too old: {GET_JAVA}",
}
"""What Spark says by itself about an incomplete installation, and what that means."""

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


def make_environment(settings: Settings, outer: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Make the environment variables that spark-submit needs; they carry secrets and belong nowhere else.

    spark-submit, and the Python that runs the job, are this installation's unless PATH or PYSPARK_PYTHON name others.
    """
    given = {name.upper(): str(getattr(settings, name)) for name in NEEDED_SETTINGS}
    here = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join((outer.get("PATH", os.defpath), here)),
        "PYSPARK_PYTHON": outer.get("PYSPARK_PYTHON", sys.executable),
        **{name: value for name, value in given.items() if value},
    }


def submit_run(settings: Settings, run: str, days: Sequence[date]) -> None:
    """Run the job with spark-submit, on the master that spark-defaults.conf names (else locally), and wait for it."""
    environment = {**os.environ, **make_environment(settings)}
    program = shutil.which("spark-submit", path=environment["PATH"])
    if not program:
        raise ConfigError(
            "MARTS_ENGINE is spark, but there is no spark-submit: `make install-spark` installs it, or set "
            "MARTS_ENGINE=duckdb"
        )
    command = [program, str(JOB), *make_arguments(run, days)]
    done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise DataError(f"the Spark job failed: {find_reason(done.stdout)}")


def read_java_version() -> int:
    """Give the main version of the Java that Spark would use, 0 where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else "java"
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found[1]) if found else 0


def find_reason(output: str) -> str:
    """Find in spark-submit's output why the job failed; what Java says and the last lines where the job did not say."""
    lines = [line.strip() for line in output.strip().splitlines()]
    known = [line.removeprefix(FAILED) for line in lines if line.startswith(FAILED)]
    if known:
        return known[-1]
    known = [reason for symptom, reason in REASONS.items() if symptom in output]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return known[0] if known else "\n".join(["", *causes[-3:], *lines[-15:]])


def check_masters(masters: str) -> None:
    """Refuse a standalone cluster of which no master answers; Spark itself would say so after a minute, in 60 lines."""
    if not masters.startswith("spark://"):
        return
    for address in masters.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host, int(port)), timeout=10):
            return
    raise ConfigError(f"no Spark master answers at {masters}: is the cluster up, and is that its address?")


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
        published = _publish_pieces(lake, connection, manifest)
        manifest = msgspec.structs.replace(manifest, published=published, objects={})
        lake.replace(key, msgspec.json.encode(manifest), etag=found.etag)
        lake.delete(other for other in lake.list_keys(run_prefix(run)) if other != key)
    return tuple(MartBuilt(name, rows) for name, rows in manifest.published.items())


def _publish_pieces(lake: Lake, connection: psycopg.Connection, manifest: Manifest) -> dict[str, int]:
    """Publish a run as DuckDB's marts are, a week's days at a time: a long run does not fit into the memory."""
    rows: Counter[str] = Counter()
    with TemporaryDirectory(prefix="neople-marts-") as folder:
        files = {name: _fetch_objects(lake, keys, Path(folder, name)) for name, keys in manifest.objects.items()}
        for piece, marts in cut_pieces(manifest.days):
            results = [_read_result(mart, files[mart.name], piece) for mart in marts if mart.name in files]
            built = publish_results(lake, connection, piece, results, manifest.generation)
            rows.update({mart.name: mart.rows for mart in built})
    return dict(rows)


def _fetch_objects(lake: Lake, keys: Sequence[str], folder: Path) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.parquet" for number in range(len(keys))]
    for key, path in zip(keys, files, strict=True):
        path.write_bytes(lake.get(key))
    return files


def _read_result(mart: Mart, files: Sequence[Path], days: Sequence[date]) -> MartResult:
    chosen = pc.field(mart.period).isin(periods_of(days, mart.period))
    tables = [shape_result(mart, pq.read_table(path, filters=chosen)) for path in files]
    return MartResult(mart, shape_result(mart, pa.concat_tables([mart.schema.empty_table(), *tables])))
