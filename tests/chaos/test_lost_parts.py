"""A day on two workers while its parts are lost one after the other: it ends by itself, and holds the truth.

Parts that end are started again after a second, as Compose and Kubernetes do; nothing else helps the run along.
"""

import json
import signal
import time
from datetime import UTC, datetime

import psycopg
import pytest
from losses import (
    CHARACTERS,
    LONG,
    SLOTS,
    count_landed,
    cut_off,
    explain,
    full,
    kill,
    list_collectors,
    open_api,
    query,
    read_state,
    send,
    tell,
    use_up_the_journal,
    wait,
)

from compare_truth import compare, list_debts, read_truth
from neople_timeline.local import airflow, day_run
from neople_timeline.local.cluster import Cluster

PATIENCE_SECONDS = 900 if LONG else 300
"""How long the day may take, all losses included."""


def fill_disks(running: Cluster) -> None:
    """Leave the object store no room for 20 s, and then PostgreSQL; the short form has no time for that."""
    with full(running, "objects"):
        time.sleep(20)
    if not LONG:
        return
    with full(running, "postgres"):
        with pytest.raises(psycopg.OperationalError):
            use_up_the_journal(running)
        time.sleep(20)
    assert "PANIC" in (running.local.home / "logs" / "postgres.log").read_text()
    wait("PostgreSQL is back", lambda: query(running, "SELECT 1"))


def test_a_day_survives_the_loss_of_its_parts(running: Cluster, metrics: tuple[str, dict[str, float]]) -> None:
    has_disks = (running.local.home / "postgres").is_mount()
    settings = running.local.settings
    day = settings.calendar.last_over(datetime.now(UTC))
    api = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    run_id = day_run.ensure_run(api, settings, day)
    began = time.monotonic()
    tell(f"the run of {day} is started; workers are hosts of their own: {running.has_hosts}")

    wait("every worker collects", lambda: len(list_collectors(running)) == 2 * SLOTS)
    with cut_off(running, 1):
        time.sleep(10)  # shorter than what a request may take: what was sent is not given up
    wait("some characters have landed", lambda: count_landed(running, day) > 0.03 * CHARACTERS)
    kill(running, "airflow-worker-1")
    kill(running, "airflow-scheduler")
    kill(running, "redis")
    landed = count_landed(running, day)
    assert landed < CHARACTERS, "killed too late to prove anything"
    wait("the other worker goes on", lambda: count_landed(running, day) > landed)
    with cut_off(running, 2):
        assert count_landed(running, day) < CHARACTERS, "cut off too late to prove anything"
        lost = set(list_collectors(running))
        wait("its leases are gone", lambda: not lost & set(list_collectors(running)))
        wait("its characters are with another", lambda: list_collectors(running))
    kill(running, "airflow-api")
    if has_disks:
        fill_disks(running)
    send(running, "postgres", signal.SIGQUIT)

    wait("the run has ended", lambda: read_state(running, run_id) in day_run.ENDED, PATIENCE_SECONDS)
    tell(f"{read_state(running, run_id)} after {time.monotonic() - began:.0f} s")
    explain(running, run_id)
    assert read_state(running, run_id) == "success"
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert list_debts(settings) == {}
    truth = read_truth(open_api(running).read, [day])
    compare(settings, truth, [day])
    stats = open_api(running).stats()
    tell(f"contents are the sandbox's truth, after {stats['requests']:,} requests")
    assert stats["violations"] == 0
    assert len(list((running.local.maildir / "new").iterdir())) == 1
    assert query(running, "SELECT count(*) FROM timeline.day WHERE verified_at IS NULL") == [(0,)]
    figures = {name.removeprefix("airflow.timeline."): value for name, value in metrics[1].items()}
    assert (figures["events"], figures["characters"], figures["owed_in_all"]) == (truth.total(), CHARACTERS, 0)
    # A collector that is killed has told what it asked for, and what of it had not landed, up to a few seconds before.
    assert 0 < figures["wasted"] < figures["requests"]
    # What leaves as a cable is pulled arrives nowhere: a second's permits each time, for PostgreSQL gives out no more.
    assert figures["requests"] <= stats["requests"] + 2 * settings.neople_api_rate
    if not has_disks:
        pytest.skip("all was proven but full disks: this user may not mount small ones")


def test_lineage_tells_every_step_and_its_data_sets(running: Cluster) -> None:
    events = [json.loads(line) for line in running.lineage.read_text().splitlines()]
    told: dict[str, tuple[set[str], set[str]]] = {}
    for event in events:
        if event["eventType"] == "COMPLETE":
            sides = ({one["name"] for one in event.get(side, ())} for side in ("inputs", "outputs"))
            told[event["job"]["name"].rpartition(".")[2]] = (next(sides), next(sides))

    assert set(day_run.STEPS) - {"complete"} <= set(told)  # that one is a mark, and never runs
    lake = {name: f"timeline/{name}" for name in ("raw", "events", "characters", "marts", "reports")}
    assert told["collect"] == (set(), {lake["raw"]})
    assert told["refine"] == ({lake["raw"]}, {lake["events"], lake["characters"]})
    assert told["load"] == (
        {lake["events"], lake["characters"]},
        {"warehouse.timeline.event", "warehouse.timeline.character"},
    )
    assert {lake["marts"], "warehouse.timeline.mart_drops_by_day"} <= told["marts"][1]
    assert told["report"][1] == {lake["reports"]}
