"""The roster in PostgreSQL: imports side by side, and what stays of who is removed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from small_ledger import CHARACTERS, DAY, claim_all, list_planned

from neople_timeline import pipeline
from neople_timeline.errors import ConfigError
from neople_timeline.models import Member, Usage
from neople_timeline.settings import Settings, make_settings
from neople_timeline.warehouse import ledger, planning
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.roster import add_members, remove_members


def test_imports_of_one_roster_at_the_same_time_wait_for_each_other(postgres_url: str) -> None:
    settings = Settings(warehouse_url=postgres_url)
    lines = ["serverId,characterId", *(f"cain,{number:032x}" for number in range(2000)), "nowhere,x"]
    orders = [[lines[0], *lines[:0:-1]], lines] * 3
    pipeline.import_roster(settings, b"serverId,characterId\n")  # makes the schema
    with ThreadPoolExecutor(6) as pool:
        imports = pool.map(lambda order: pipeline.import_roster(settings, "\n".join(order).encode()), orders)
        assert sorted(added for _, added in imports) == [0, 0, 0, 0, 0, 2000]
    with connect(settings) as connection:
        assert connection.execute("SELECT line FROM timeline.roster_reject").fetchall() == [("nowhere,x",)]


def test_without_a_roster_nothing_is_planned(postgres_url: str, tmp_path: Path) -> None:
    settings = make_settings({"warehouse_url": postgres_url, "lake_url": f"file://{tmp_path}"})
    with pytest.raises(ConfigError, match="the roster is empty"):
        pipeline.plan_day(settings, DAY, follows=True)
    with connect(settings) as connection:
        assert list_planned(connection) == []
        assert connection.execute("SELECT count(*) FROM timeline.setting").fetchone() == (0,)


@pytest.mark.usefixtures("three_characters")
def test_what_was_collected_of_a_character_stays_when_it_is_removed_before_it_is_collected_anew(
    connection: psycopg.Connection,
) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, CHARACTERS[0], 1, 1)])
    connection.execute("UPDATE timeline.worker SET expires_at = now() - interval '1 second'")
    planning.plan_days(connection, [DAY], again=True)
    remove_members(connection, CHARACTERS)
    assert connection.execute("SELECT character_id, raw_key, state FROM timeline.collection").fetchall() == [
        (CHARACTERS[0].character_id, "raw/x", "landed")
    ]


@pytest.mark.usefixtures("three_characters")
def test_a_character_that_a_collector_is_at_stays_in_the_plan_when_it_is_removed(
    connection: psycopg.Connection,
) -> None:
    worker = claim_all(connection)
    remove_members(connection, CHARACTERS[:1])
    assert planning.count_open(connection, [DAY]) == 3
    ledger.finish_worker(connection, worker, Usage())
    add_members(connection, [Member(CHARACTERS[0], None)])
    remove_members(connection, CHARACTERS[:1])
    assert planning.count_open(connection, [DAY]) == 2
