import json
import uuid
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from neople_timeline import doctor, pipeline
from neople_timeline.doctor import Finding, examine
from neople_timeline.errors import ConfigError, RetryLater, StopCollecting
from neople_timeline.lake import LAKE_FILE, Lake, open_lake
from neople_timeline.models import Calendar, CharacterKey, Member
from neople_timeline.report.smtp import MailServer
from neople_timeline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        neople_api_key="secret-key",
        lake_url=f"file://{tmp_path}",
        warehouse_url="postgresql://u:secret-password@h/d",
        smtp_url="smtp://u:secret-mail@mail.example:25",
        report_to="players@example.org",
    )


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What stands in for the parts that need a socket; an error in its place is raised."""
    parts: dict[str, Any] = {
        "open_warehouse": nullcontext(SimpleNamespace(info=SimpleNamespace(server_version=180001))),
        "list_members": [Member(CharacterKey("cain", "a" * 32), None)],
        "check_bond": None,
        "search_characters": [],
        "try_server": None,
    }

    def make(name: str) -> Any:
        def stand_in(*_: Any) -> Any:
            if isinstance(parts[name], Exception):
                raise parts[name]
            return parts[name]

        return stand_in

    for name in ("open_warehouse", "try_server"):
        monkeypatch.setattr(doctor, name, make(name))
    for name in ("list_members", "check_bond", "search_characters"):
        monkeypatch.setattr(pipeline, name, make(name))
    return parts


def find(findings: list[Finding], part: str) -> Finding:
    (found,) = (finding for finding in findings if finding.part == part)
    return found


@pytest.mark.usefixtures("parts")
def test_a_sound_installation_is_found_sound(settings: Settings) -> None:
    findings = examine(lambda: settings)
    assert [(finding.part, finding.ok) for finding in findings] == [
        ("settings", True),
        ("warehouse", True),
        ("lake", True),
        ("bond", True),
        ("api", True),
        ("mail", True),
    ]
    assert find(findings, "warehouse").message == "PostgreSQL 18, schema is up to date, 1 character on the roster"
    assert not any("secret" in finding.message for finding in findings)


def test_malformed_settings_are_the_only_finding() -> None:
    def read() -> Settings:
        raise ConfigError("LAKE_URL must be s3://bucket/prefix")

    assert examine(read) == [Finding("settings", ok=False, message="LAKE_URL must be s3://bucket/prefix")]


def test_without_settings_each_part_says_what_to_set() -> None:
    findings = examine(Settings)
    assert [(finding.part, finding.ok) for finding in findings[1:]] == [
        ("warehouse", False),
        ("lake", False),
        ("bond", False),
        ("api", False),
        ("mail", None),
    ]
    for part, name in (
        ("warehouse", "WAREHOUSE_URL"),
        ("lake", "LAKE_URL"),
        ("api", "NEOPLE_API_KEY"),
        ("mail", "SMTP_URL"),
    ):
        assert name in find(findings, part).message


@pytest.mark.parametrize(
    ("part", "name", "error"),
    [
        ("warehouse", "open_warehouse", RetryLater("PostgreSQL does not answer", seconds=1)),
        ("api", "search_characters", StopCollecting("the API key is blocked")),
        ("mail", "try_server", ConfigError("the mail server refuses the login")),
        ("mail", "try_server", OSError("no route")),
    ],
)
def test_a_part_that_fails_is_found_and_the_others_are_tried(
    part: str, name: str, error: Exception, settings: Settings, parts: dict[str, Any]
) -> None:
    parts[name] = error
    findings = examine(lambda: settings)
    assert find(findings, part) == Finding(part, ok=False, message=str(error))
    assert [finding.part for finding in findings if finding.ok is False] == [part]


@pytest.mark.usefixtures("parts")
def test_looking_decides_nothing_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    examine(lambda: settings)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("parts")
def test_a_lake_whose_days_start_elsewhere_is_found(settings: Settings) -> None:
    foreign = {"lake_id": str(uuid.uuid4()), "day_starts_at": "00:00"}
    open_lake(settings).put(LAKE_FILE, json.dumps(foreign).encode())
    found = find(examine(lambda: settings), "lake")
    assert not found.ok
    assert "DAY_STARTS_AT is 06:00" in found.message
    assert settings.calendar == Calendar()


@pytest.mark.usefixtures("parts")
def test_a_store_that_overwrites_unasked_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lake, "put_new", Lake.put)
    found = find(examine(lambda: settings), "lake")
    assert not found.ok
    assert "overwrites" in found.message


@pytest.mark.usefixtures("parts")
def test_a_store_that_replaces_what_it_did_not_see_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_lake(settings)  # has no such condition, and replaces everything
    monkeypatch.setattr(doctor, "open_lake", lambda _: folder)
    found = find(examine(lambda: replace(settings, lake_url="s3://bucket")), "lake")
    assert not found.ok
    assert "although told not to (If-Match): choose another" in found.message


def test_an_empty_roster_is_no_fault_but_said(settings: Settings, parts: dict[str, Any]) -> None:
    parts["list_members"] = []
    found = find(examine(lambda: settings), "warehouse")
    assert found.ok
    assert "roster import" in found.message


def test_the_mail_is_tried_on_the_server_that_mails_go_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[MailServer] = []
    monkeypatch.setattr(doctor, "try_server", tried.append)
    assert doctor._try_mail(settings) == "mail.example:25 accepts mail"  # noqa: SLF001
    login = MailServer("mail.example", 25, implicit_tls=False, starttls_required=False, user="u")
    assert [replace(server, password="") for server in tried] == [login]


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("said", "found"), [("", "no Java"), ('openjdk version "11.0.2"', "Java 11")])
def test_spark_without_a_fitting_java_is_found(
    said: str, found: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    java.chmod(0o700)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    finding = find(examine(lambda: replace(settings, marts_engine="spark")), "spark")
    assert not finding.ok
    assert f"there is {found}: Spark needs Java 17" in finding.message


@pytest.mark.usefixtures("parts")
def test_recipients_that_are_no_addresses_are_found_before_the_first_mail(settings: Settings) -> None:
    found = find(examine(lambda: replace(settings, report_to="somebody")), "mail")
    assert found.ok is False
    assert "REPORT_TO must be mail addresses" in found.message
