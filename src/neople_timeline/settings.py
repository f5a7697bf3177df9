"""One frozen value with every setting, and the only reader of the environment.

Under Airflow most of it is filled from Connections of the same meaning (see dags/timeline_connections.py).
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time
from functools import partial
from ipaddress import ip_address
from typing import Final, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from neople_timeline.errors import ConfigError
from neople_timeline.models import Calendar

HIGHEST_RATE = 1000
"""Requests a second. A minute (60,000) and an hour (3,600,000) are whole numbers of such seconds, so a limit that no
second exceeds keeps these two as well."""

MartsEngine = Literal["duckdb", "spark"]
Language = Literal["ko", "en"]


FROM_ENVIRONMENT: Final = ("report_url", "report_language", "day_starts_at", "marts_engine")
"""What comes from the environment under Airflow too; the others are Connections (dags/timeline_connections.py)."""


@dataclass(frozen=True)
class Settings:
    """Everything a step needs to know about its surroundings; fields that can carry a secret stay out of `repr`."""

    neople_api_url: str = "https://api.neople.co.kr"
    neople_api_key: str = field(default="", repr=False)
    neople_api_rate: int = HIGHEST_RATE
    """Requests a second, for all processes on the key together."""
    lake_url: str = ""
    aws_access_key_id: str = field(default="", repr=False)
    aws_secret_access_key: str = field(default="", repr=False)
    aws_session_token: str = field(default="", repr=False)
    aws_endpoint_url: str = ""
    aws_region: str = ""
    warehouse_url: str = field(default="", repr=False)
    smtp_url: str = field(default="", repr=False)
    report_to: str = ""
    report_from: str = "neople-timeline <neople-timeline@localhost>"
    report_url: str = ""
    """Where readers find what is under `reports/` in the lake, if it is served somewhere."""
    report_language: Language = "ko"
    day_starts_at: time = time(6)
    marts_engine: MartsEngine = "duckdb"

    @property
    def calendar(self) -> Calendar:
        """Give the days as `DAY_STARTS_AT` cuts them."""
        return Calendar(self.day_starts_at)

    def require(self, *names: str) -> None:
        """Refuse to start without the settings of these names, naming the environment variables to set."""
        missing = [name.upper() for name in names if not getattr(self, name)]
        if missing:
            raise ConfigError(
                f"{' and '.join(missing)} not set. Set the environment variable (or, under Airflow, its Connection); "
                "`neople-timeline doctor` says which settings there are and checks each."
            )


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables; a malformed one is a ConfigError that names it."""
    given = {name: environment.get(name.upper(), "").strip() for name in Settings.__dataclass_fields__}
    known = {name: value for name, value in given.items() if value}
    return make_settings(known)


def read_airflow_settings() -> Settings:
    """Read what comes from the environment under Airflow too; what else is there may be meant for somebody else."""
    return read_settings({name.upper(): os.environ.get(name.upper(), "") for name in FROM_ENVIRONMENT})


def make_settings(values: Mapping[str, str]) -> Settings:
    """Build settings from text values, by field name; what is absent keeps its default."""
    for name, value in values.items():
        is_address = name.endswith("_url") and not value.startswith("file:")
        if not value.isprintable() or (is_address and " " in value):
            raise ConfigError(f"{name.upper()} contains characters that are not allowed there: copy it again")
    fields = {name: _READERS.get(name, str)(value) for name, value in values.items()}
    return Settings(**fields)  # type: ignore[arg-type]  # each is of its field's type by now


def _read_api_url(text: str) -> str:
    if not _is_address(text):
        raise ConfigError("NEOPLE_API_URL must be an address such as https://api.neople.co.kr")
    return text.rstrip("/").removesuffix("/df")


def _read_rate(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= HIGHEST_RATE:
        raise ConfigError(
            f"NEOPLE_API_RATE is {text[:40]!r}: it must be a whole number of requests a second, 1 to 1000"
        )
    return int(text)


def _read_time(text: str) -> time:
    try:
        start = time.fromisoformat(text)
    except ValueError:
        start = None
    if start is None or start.tzinfo or start.second or start.microsecond:
        raise ConfigError(f"DAY_STARTS_AT is {text!r}: it must be a Korean wall-clock time such as 06:00 or 00:00")
    return start


def _read_lake_url(text: str) -> str:
    parts = _split_url(text.rstrip("/"))
    if not (parts.scheme == "s3" and parts.netloc) and not (parts.scheme == "file" and not parts.netloc and parts.path):
        raise ConfigError("LAKE_URL must be s3://bucket/prefix or file:///folder")
    if parts.query or parts.fragment or {"", ".", ".."} & set(parts.path.split("/")[1:]):
        raise ConfigError("LAKE_URL must be a plain path: without ?, #, //, . and ..")
    return text.rstrip("/")


def _read_endpoint(text: str) -> str:
    if not _is_address(text):
        raise ConfigError("AWS_ENDPOINT_URL must be an address such as http://127.0.0.1:9000")
    return text


def _read_report_url(text: str) -> str:
    if not _is_address(text):
        raise ConfigError("REPORT_URL must be an address such as https://airflow.example.org/timeline/reports")
    return text.rstrip("/")


def _read_warehouse_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    hosts = rest.partition("/")[0]
    is_readable = "," in hosts or _split_url(text).scheme  # libpq takes several hosts, each with its port
    if scheme not in {"postgresql", "postgres"} or not is_readable:
        raise ConfigError("WAREHOUSE_URL must look like postgresql://user:password@host:5432/database")
    if rest.partition("?")[0].count("@") > 1:  # what stands behind the first would be taken for a host, and shown
        raise ConfigError("WAREHOUSE_URL has more than one @: write %40 for one in the user or the password")
    return text


def _is_address(text: str) -> bool:
    """Tell a plain address on the web: no login in it, no query, no fragment."""
    parts = _split_url(text)
    extras = (parts.username, parts.password, parts.query, parts.fragment)
    return parts.scheme in {"http", "https"} and _is_host(parts.hostname or "") and not any(extras)


def _is_host(text: str) -> bool:
    if re.fullmatch(r"[\d.]+|.*:.*", text):
        with suppress(ValueError):
            return "%" not in text and bool(ip_address(text))
        return False
    with suppress(UnicodeError):  # what begins with xn-- and is no name makes the S3 client panic
        return re.fullmatch(r"[\w.-]+", text.encode("idna").decode("idna")) is not None
    return False


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises where it is no port
    except ValueError:  # or brackets that enclose no IPv6 address, as in a password that is not percent-encoded
        return urlsplit("")
    return parts


def _read_choice(name: str, choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ConfigError(f"{name} is {text!r}: choose one of {', '.join(choices)}")
    return text


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "neople_api_url": _read_api_url,
    "neople_api_rate": _read_rate,
    "lake_url": _read_lake_url,
    "aws_endpoint_url": _read_endpoint,
    "warehouse_url": _read_warehouse_url,
    "report_url": _read_report_url,
    "report_language": partial(_read_choice, "REPORT_LANGUAGE", get_args(Language)),
    "day_starts_at": _read_time,
    "marts_engine": partial(_read_choice, "MARTS_ENGINE", get_args(MartsEngine)),
}
"""How the text of a setting becomes its value; a ConfigError names it. All others are taken as they are."""
