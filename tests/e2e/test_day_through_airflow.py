"""A day through Airflow, twice: the truth arrives, the second run changes nothing, and no secret is left anywhere."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import date
from email import message_from_string, policy
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
import zstandard
from through_airflow import CHARACTERS, World

from compare_truth import compare, read_truth
from neople_timeline import pipeline
from neople_timeline.local.services import POSTGRES_BIN

DAY = date(2026, 11, 15)


@pytest.fixture(scope="module")
def first(world: World) -> dict[str, Any]:
    """Run the day once; what there is then."""
    for mail in (world.maildir / "new").glob("*"):
        mail.unlink()
    pipeline.import_roster(world.settings, world.api.read("roster.csv"))
    assert world.run_day(DAY) == "success", world.printed[-1][-5000:]
    return take_stock(world)


@pytest.fixture(scope="module")
def second(world: World, first: dict[str, Any]) -> dict[str, Any]:
    """Run the same day once more."""
    assert first
    assert world.run_day(DAY) == "success", world.printed[-1][-5000:]
    return take_stock(world)


def take_stock(world: World) -> dict[str, Any]:
    tables = [row[0] for row in world.query("SELECT tablename FROM pg_tables WHERE schemaname = 'timeline'")]
    marts = sorted(table for table in tables if table.startswith("mart_"))
    return {
        "objects": list_data_objects(world),
        # xmin is the transaction that wrote a row: the same one means that nobody touched it.
        "events": sorted(world.query("SELECT xmin::text, md5(e::text) FROM timeline.event e")),
        "characters": sorted(world.query("SELECT xmin::text, md5(c::text) FROM timeline.character c")),
        "marts": {mart: sorted(world.query(f"SELECT md5(m::text) FROM timeline.{mart} m")) for mart in marts},
        "requests": world.api.stats()["requests"],
        "mails": world.list_mails(),
    }


def list_data_objects(world: World) -> dict[str, tuple[str | None, str]]:
    """Tell of each object of data its ETag and when it was written; marts are written anew, with the same bytes."""
    return {
        key: (etag, "" if key.startswith("marts/") else written)
        for key, (etag, written) in world.list_objects().items()
        if not key.startswith("reports/")  # a page tells when it was written
    }


def test_lake_and_warehouse_hold_the_truth(world: World, first: dict[str, Any]) -> None:
    assert first
    truth = read_truth(world.api.read, [DAY])

    assert truth.total() > 500
    assert len({event[:3] for event in truth}) > CHARACTERS / 2
    compare(world.settings, truth, [DAY])


def test_the_marts_count_what_the_truth_has(world: World, first: dict[str, Any]) -> None:
    assert first
    truth = [*read_truth(world.api.read, [DAY]).elements()]
    codes = Counter((code, name) for *_, code, name, _ in truth)
    hours = Counter(int(minute[11:13]) for *_, minute, _, _, _ in truth)

    by_code = world.query("SELECT code, name, sum(events) FROM timeline.mart_codes_by_day GROUP BY 1, 2")
    by_hour = world.query("SELECT hour, sum(events) FROM timeline.mart_activity_by_hour GROUP BY 1")
    assert {(code, name): events for code, name, events in by_code} == codes
    assert dict(by_hour) == hours


def test_every_character_day_is_accounted_for(world: World, first: dict[str, Any]) -> None:
    assert first
    states = dict(world.query("SELECT state, count(*) FROM timeline.collection WHERE day = %s GROUP BY 1", DAY))

    assert states == {"verified": CHARACTERS - 2, "missing": 2}


def test_a_second_run_changes_no_object_and_no_row(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert second["objects"] == first["objects"]
    assert second["events"] == first["events"]
    assert second["characters"] == first["characters"]
    assert second["marts"] == first["marts"]


def test_a_second_run_asks_the_api_nothing(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert second["requests"] == first["requests"] >= CHARACTERS


def test_the_day_is_mailed_once(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert len(first["mails"]) == 1
    assert second["mails"] == first["mails"]
    subject = str(make_header(decode_header(message_from_string(first["mails"][0])["Subject"])))
    assert f"{DAY}" in subject


def test_the_rate_was_kept_and_the_key_was_in_no_url(world: World, second: dict[str, Any]) -> None:
    assert second
    stats = world.api.stats()
    assert (stats["violations"], stats["keys_in_query"]) == (0, 0)


def test_a_day_that_fails_leaves_a_failed_run_and_a_mail_with_the_reason(world: World, second: dict[str, Any]) -> None:
    world.api.switch(key_error="API004")

    state = world.run_day(date(2026, 11, 16))

    assert state == "failed"
    new = [mail for mail in world.list_mails() if mail not in second["mails"]]
    assert len(new) == 1
    body = message_from_string(new[0], policy=policy.default).get_body(("plain",))
    assert body is not None
    assert "API004" in body.get_content()


def test_no_secret_is_left_anywhere(world: World, second: dict[str, Any], home: Path) -> None:
    assert second
    secrets = {
        "API key": world.settings.neople_api_key,
        "S3 secret": world.settings.aws_secret_access_key,
        "warehouse password": world.settings.warehouse_url.split(":")[2].split("@")[0],
        "metastore password": world.airflow.metastore_url.split(":")[2].split("@")[0],
        "mail password": world.settings.smtp_url.split(":")[2].split("@")[0],
        "JWT secret": world.airflow.jwt_secret,
        "session secret": world.airflow.session_secret,
    }
    places = 0
    for place, content in list_remains(world, home):
        places += 1
        for name, secret in secrets.items():
            assert secret.encode() not in content, f"the {name} is in {place}"
    assert places > 20


def list_remains(world: World, home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield everything that a day leaves behind: output, logs, objects, mails and both databases."""
    yield from (("the output", text.encode()) for text in world.printed)
    for folder in (world.home, home / "logs", world.maildir):
        yield from ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    for key in world.list_objects():
        content = bytes(world.store.get(key).bytes())
        yield key, zstandard.ZstdDecompressor().stream_reader(content).read() if key.endswith(".zst") else content
    for url in (world.airflow.metastore_url, world.settings.warehouse_url):
        done = subprocess.run([str(POSTGRES_BIN / "pg_dump"), url], capture_output=True, check=True)
        assert len(done.stdout) > 10_000
        yield "a database", done.stdout
