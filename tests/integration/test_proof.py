"""What counts as proven, as missing and as nobody's, where others work at the same days or the API errs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from threading import Event, Thread
from typing import TYPE_CHECKING

import psycopg
import pytest

from neople_timeline import pipeline
from neople_timeline.errors import RetryLater
from neople_timeline.lake import open_lake
from neople_timeline.models import CharacterKey, Kind, Plan, Shard, Usage
from neople_timeline.settings import Settings
from neople_timeline.verify import Verification
from neople_timeline.warehouse import audit, ledger, planning
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.ledger import Landed
from neople_timeline.warehouse.roster import Member, add_members, remove_members

if TYPE_CHECKING:
    from conftest import SandboxApi, Smtp

DAY = date(2026, 10, 20)
CHARACTERS = [CharacterKey("cain", letter * 32) for letter in "abc"]
LONG_AGO = datetime(2026, 10, 21, tzinfo=UTC)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(Settings(warehouse_url=postgres_url)) as connection:
        add_members(connection, [Member(key, None) for key in CHARACTERS])
        yield connection


@pytest.fixture
def api(make_sandbox_api: Callable[..., "SandboxApi"]) -> "SandboxApi":
    return make_sandbox_api("--characters", "40", "--seed", "1", "--rate", "1000", "--latency", "0")


@pytest.fixture
def guild(settings: Settings, api: "SandboxApi") -> Settings:
    """Settings with forty characters, of whom nothing is collected yet."""
    settings = replace(settings, neople_api_url=api.url, neople_api_key=api.key)
    pipeline.import_roster(settings, api.read("roster.csv"))
    return settings


def collect(settings: Settings, plan: Plan, kind: Kind = "daily") -> None:
    for shard in plan.shards:
        pipeline.collect_shard(settings, shard, kind=kind)


def publish(settings: Settings, plan: Plan) -> None:
    for shard in plan.shards:
        pipeline.refine_shard(settings, shard)
        pipeline.load_shard(settings, shard)
    pipeline.build_marts(settings, plan.days)


def work_off(settings: Settings, plan: Plan) -> Verification:
    collect(settings, plan)
    publish(settings, plan)
    return pipeline.prove_days(settings, plan.days)


def find_busiest(api: "SandboxApi", day: date) -> tuple[CharacterKey, int, int]:
    """Name the character with most events of a day, with their number, and that of everybody's."""
    counts = json.loads(api.read(f"truth/counts?start={day}%2006:00&end={day + timedelta(days=1)}%2005:59"))
    name = max(counts["by_character"], key=counts["by_character"].get)
    return CharacterKey(*name.split("/")), counts["by_character"][name], counts["events"]


def read_verified_at(connection: psycopg.Connection) -> datetime | None:
    row = connection.execute("SELECT verified_at FROM timeline.day WHERE day = %s", (DAY,)).fetchone()
    assert row
    return row[0]  # type: ignore[no-any-return]


def claim_all(connection: psycopg.Connection) -> int:
    planning.plan_days(connection, [DAY], again=False)
    worker = ledger.start_worker(connection, Shard.whole(DAY), "daily", 1000)
    assert len(ledger.claim_characters(connection, worker, Shard.whole(DAY), 10)) == 3
    return worker


def test_an_answer_from_before_the_day_was_over_proves_no_day(connection: psycopg.Connection) -> None:
    ledger.commit_landed(connection, claim_all(connection), "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS])
    connection.execute("UPDATE timeline.collection SET state = 'verified'")
    audit.mark_day_verified(connection, DAY, datetime.now(UTC) + timedelta(minutes=1))
    assert read_verified_at(connection) is None
    audit.mark_day_verified(connection, DAY, LONG_AGO)
    assert read_verified_at(connection) is not None


def test_what_lands_while_the_day_is_proven_is_waited_for(connection: psycopg.Connection, postgres_url: str) -> None:
    worker, last = claim_all(connection), CHARACTERS[-1]
    ledger.commit_landed(connection, worker, "raw/x", [Landed(DAY, key, 1, 1) for key in CHARACTERS[:2]])
    connection.execute("UPDATE timeline.collection SET state = 'verified' WHERE state = 'landed'")
    begun, ended = Event(), Event()

    def prove() -> None:
        with connect(Settings(warehouse_url=postgres_url)) as other:
            begun.set()
            audit.mark_day_verified(other, DAY, LONG_AGO)
            ended.set()

    prover = Thread(target=prove)
    with connection.transaction():
        ledger.commit_landed(connection, worker, "raw/y", [Landed(DAY, last, 1, 1)])
        prover.start()
        assert begun.wait(30)
        assert not ended.wait(0.5), "nobody waited for what is being committed"
    prover.join(30)
    assert read_verified_at(connection) is None


def test_an_object_that_a_far_later_day_points_to_is_no_orphan(connection: psycopg.Connection) -> None:
    far = DAY + timedelta(days=95)
    planning.plan_days(connection, [DAY, far], again=False)
    used, left = f"raw/day={DAY}/used", f"raw/day={DAY}/left"
    connection.execute("UPDATE timeline.collection SET raw_key = %s WHERE day = %s", (used, far))
    assert audit.list_orphans(connection, DAY, [used, left]) == [left]


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


def test_what_another_run_landed_before_the_proof_is_in_the_mail(
    guild: Settings, api: "SandboxApi", smtp: "Smtp"
) -> None:
    busiest, _, events = find_busiest(api, DAY)
    api.put("faults", [{"fault": "status_500", "character": busiest.character_id}])
    plan = pipeline.plan_day(guild, DAY)
    collect(guild, plan)
    publish(guild, plan)
    api.put("faults", [])
    collect(guild, pipeline.plan_debts(guild), "retry")  # and its process dies
    assert pipeline.prove_days(guild, plan.days).ok
    assert pipeline.publish_report(guild, DAY).mailed
    (path,) = (smtp.maildir / "new").iterdir()
    body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
    assert body is not None
    assert f"이벤트: {events:,}" in body.get_content()


def test_a_character_that_is_lost_in_the_middle_of_its_pages_is_asked_for_again(
    guild: Settings, api: "SandboxApi"
) -> None:
    days = (DAY - timedelta(days=back) for back in range(60))
    day, character = next((day, found[0]) for day in days if (found := find_busiest(api, day))[1] > 100)
    api.put(
        "faults",
        [{"fault": "missing_character", "character": character.character_id, "after": 1, "times": 1}],
    )
    found = work_off(guild, pipeline.plan_day(guild, day))
    assert (found.ok, found.owed, found.missing) == (True, (), 0)
    assert found.events == find_busiest(api, day)[2]


def test_an_api_that_finds_nobody_from_the_first_day_on_is_not_believed(guild: Settings, api: "SandboxApi") -> None:
    api.put("faults", [{"fault": "missing_character"}])
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert (len(found.owed), found.missing) == (40, 0)
    assert {owed.reason.split(",")[0] for owed in found.owed} == {"the API has found nobody"}


def test_an_api_that_loses_many_who_were_there_is_not_believed(guild: Settings, api: "SandboxApi") -> None:
    work_off(guild, pipeline.plan_day(guild, DAY - timedelta(days=1)))
    api.put("faults", [{"fault": "missing_character", "probability": 0.5}])
    found = work_off(guild, pipeline.plan_day(guild, DAY))
    assert found.owed
    assert found.missing == 0
    api.put("faults", [])
    collect(guild, pipeline.plan_debts(guild), "retry")
    assert pipeline.list_owed(guild) == []


def test_a_lost_answer_of_a_character_that_is_missing_by_now_holds_nobody_else_up(
    guild: Settings, api: "SandboxApi"
) -> None:
    work_off(guild, pipeline.plan_day(guild, DAY))
    busiest, lost, events = find_busiest(api, DAY)
    lake = open_lake(guild)
    lake.delete(lake.list_keys(f"raw/day={DAY}"))
    api.put("faults", [{"fault": "missing_character", "character": busiest.character_id}])
    plan = pipeline.plan_day(guild, DAY, again=True)
    collect(guild, plan)
    with pytest.raises(RetryLater, match="is gone, and with it 1 earlier answer"):
        publish(guild, plan)
    publish(guild, plan)
    found = pipeline.prove_days(guild, [DAY])
    assert (found.ok, found.missing, found.events) == (True, 1, events - lost)
