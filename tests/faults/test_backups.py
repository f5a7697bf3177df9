"""An older warehouse, or none, on a newer lake: the next runs make it whole again and lose nothing."""

import subprocess
from datetime import timedelta
from pathlib import Path

import psycopg
from place import COMPLETE, DAY, Place

from neople_timeline import pipeline
from neople_timeline.lake import open_lake
from neople_timeline.local.services import POSTGRES_BIN

EARLIER = DAY - timedelta(days=1)
DAYS = (EARLIER, DAY)


def run(place: Place, *arguments: str) -> str:
    done = place.start(*arguments)
    assert done.wait() == COMPLETE, done.text
    return done.text


def dump(place: Place) -> Path:
    """Back the warehouse up as docs/operations.md says."""
    file = place.folder / "warehouse.dump"
    command = [str(POSTGRES_BIN / "pg_dump"), "--format=custom", f"--file={file}", place.environment["WAREHOUSE_URL"]]
    subprocess.run(command, check=True)
    return file


def lose_warehouse(place: Place) -> None:
    """Leave an empty database in its place."""
    server, _, name = place.environment["WAREHOUSE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name}".encode())


def list_raw(place: Place) -> set[str]:
    return {key for day in DAYS for key in open_lake(place.settings).list_keys(f"raw/day={day}")}


def assert_whole(place: Place, orphans: set[str]) -> None:
    """Assert that both days are true, and that exactly these raw objects are called orphans."""
    place.assert_complete(*DAYS)
    found = pipeline.verify_days(place.settings, DAYS)
    assert found.ok
    assert set(found.orphans) == orphans
    assert orphans <= list_raw(place)


def test_an_older_warehouse_on_a_newer_lake_ends_with_the_truth(place: Place) -> None:
    run(place, "day", str(EARLIER))
    backup = dump(place)
    known = list_raw(place)
    run(place, "day", str(EARLIER), "--again")
    run(place, "day", str(DAY))
    newer = list_raw(place) - known
    assert any(f"day={EARLIER}" in key for key in newer)
    assert any(f"day={DAY}" in key for key in newer)

    lose_warehouse(place)
    url = place.environment["WAREHOUSE_URL"]
    subprocess.run([POSTGRES_BIN / "pg_restore", "--exit-on-error", f"--dbname={url}", backup], check=True)
    place.world.forget_stats()
    for day in DAYS:
        run(place, "day", str(day))

    asked = place.world.stats()["by_character"]
    assert len(asked) == len(place.world.characters()), "the day that the backup has not is asked for"
    assert_whole(place, newer)


def test_an_empty_warehouse_on_the_same_lake_ends_with_the_truth(place: Place) -> None:
    for day in DAYS:
        run(place, "day", str(day))
    before = list_raw(place)

    lose_warehouse(place)
    roster = place.folder / "roster.csv"
    roster.write_bytes(place.world.read("roster.csv"))
    run(place, "roster", "import", str(roster))
    run(place, "backfill", str(EARLIER), str(DAY))

    assert_whole(place, before)
