"""Is everything there that a run needs? Each part is tried for real, and what is wrong comes with how to mend it."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Final

from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, DataError, Overtaken, TimelineError
from neople_timeline.lake import LAKE_FILE, Lake, open_lake
from neople_timeline.marts import spark_run
from neople_timeline.models import number_of
from neople_timeline.report.outbox import address_mail
from neople_timeline.report.smtp import read_server, try_server
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import open_warehouse

NO_ETAG: Final = '"00000000000000000000000000000000"'


@dataclass(frozen=True)
class Finding:
    """What was found of one part; `ok` is None for a part that is not used."""

    part: str
    ok: bool | None
    message: str


def examine(read: Callable[[], Settings]) -> list[Finding]:
    """Read the settings and try every part that they name."""
    try:
        settings = read()
    except TimelineError as error:
        return [Finding("settings", ok=False, message=str(error))]
    parts = {
        "warehouse": (_try_warehouse, ("warehouse_url",)),
        "lake": (_try_lake, ("lake_url",)),
        "bond": (_try_bond, ("lake_url", "warehouse_url")),
        "api": (_try_api, ("neople_api_key", "warehouse_url")),
        "mail": (_try_mail, ("smtp_url",)),
    }
    if settings.marts_engine == "spark":
        parts["spark"] = (_try_spark, ("lake_url", "warehouse_url"))
    findings = [Finding("settings", ok=True, message=_describe(settings))]
    for part, (attempt, names) in parts.items():
        if lacking := [name.upper() for name in names if not getattr(settings, name)]:
            needed = part != "mail"
            text = f"{' and '.join(lacking)} not set" + ("" if needed else ": reports stay in the lake, unmailed")
            findings.append(Finding(part, ok=False if needed else None, message=text))
            continue
        try:
            findings.append(Finding(part, ok=True, message=attempt(settings)))
        except (TimelineError, OSError) as error:
            findings.append(Finding(part, ok=False, message=str(error) or type(error).__name__))
    return findings


def _describe(settings: Settings) -> str:
    return (
        f"API {settings.neople_api_url} at {settings.neople_api_rate:,} requests/s; days start at"
        f" {settings.day_starts_at:%H:%M} in Korea; marts on {settings.marts_engine}"
    )


def _try_warehouse(settings: Settings) -> str:
    with open_warehouse(settings) as connection:
        version = connection.info.server_version // 10000
    characters = len(pipeline.list_members(settings))
    advice = "" if characters else ": fill it with `neople-timeline roster import FILE.csv` or `roster add`"
    return f"PostgreSQL {version}, schema is up to date, {number_of(characters, 'character')} on the roster{advice}"


def _try_lake(settings: Settings) -> str:
    lake = open_lake(settings)
    if lake.etag(LAKE_FILE):  # only the first run decides where the days of a new lake start
        lake.ensure_id(settings.calendar)
    key = f"doctor/{uuid.uuid4()}"
    lake.put_new(key, b"first")
    try:
        ignored = list(_find_ignored_conditions(settings, lake, key))
    finally:
        lake.delete([key])
    if ignored:
        raise ConfigError(
            f"the store of {settings.lake_url} overwrites objects although told not to ({' and '.join(ignored)}):"
            " choose another"
        )
    return f"{settings.lake_url} can be written, read and deleted from, and overwrites nothing unasked"


def _find_ignored_conditions(settings: Settings, lake: Lake, key: str) -> Iterator[str]:
    with suppress(DataError):
        lake.put_new(key, b"second")
        yield "If-None-Match"
    if settings.lake_url.startswith("s3:"):  # a folder has no such condition
        with suppress(Overtaken):
            lake.replace(key, b"third", etag=NO_ETAG)
            yield "If-Match"


def _try_bond(settings: Settings) -> str:
    pipeline.check_bond(settings)
    return "the lake and the warehouse belong together"


def _try_api(settings: Settings) -> str:
    started = datetime.now(UTC)
    pipeline.search_characters(settings, "all", "neople-timeline")
    took = (datetime.now(UTC) - started).total_seconds()
    return f"{settings.neople_api_url} answers and accepts the key ({took * 1000:.0f} ms)"


def _try_spark(settings: Settings) -> str:
    java = spark_run.read_java_version()
    if java < spark_run.OLDEST_JAVA:
        found = f"Java {java}" if java else "no Java"
        raise ConfigError(f"there is {found}: {spark_run.GET_JAVA}")
    started = datetime.now(UTC)
    spark_run.submit_run(settings, f"doctor-{uuid.uuid4()}", ())
    took = (datetime.now(UTC) - started).total_seconds()
    return (
        f"Java {java}; a job on the master of spark-defaults.conf read an object of the lake ({took:.0f} s)."
        " Under Airflow the Connection spark_default names the master"
    )


def _try_mail(settings: Settings) -> str:
    server = read_server(settings.smtp_url)
    if settings.report_to:
        address_mail(EmailMessage(), settings.report_from, settings.report_to, "<doctor@localhost>", datetime.now(UTC))
    try_server(server)
    accepted = f"{server.host}:{server.port} accepts mail"
    return accepted if settings.report_to else f"{accepted}; but REPORT_TO is not set: nobody gets it"
