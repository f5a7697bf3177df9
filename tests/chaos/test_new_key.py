"""A new API key while everything runs: only the Connection is changed, and the next task uses it."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from losses import LONG, open_api, query, read_state, tell, wait

from compare_truth import compare, list_debts, read_truth
from neople_timeline.local import airflow, day_run, processes
from neople_timeline.local.cluster import Cluster

pytestmark = pytest.mark.skipif(not LONG, reason="the short form has no time for it")
FEW = 40
CONNECTION = "/api/v2/connections/neople_api"


@pytest.fixture
def api(running: Cluster) -> airflow.RestApi:
    return airflow.RestApi(running.local.airflow.port, running.local.airflow.password)


def replace_in_database(running: Cluster, api: airflow.RestApi, key: str) -> None:
    """Do what Admin → Connections does."""
    del running
    known = api.call("GET", CONNECTION)
    wanted = {"connection_id": "neople_api", "conn_type": known["conn_type"], "password": key}
    api.call("PATCH", f"{CONNECTION}?update_mask=password", wanted)


def replace_in_file(running: Cluster, api: airflow.RestApi, key: str) -> None:
    """Do what `cp new.json deploy/secrets/connections.json` does: the same file, with other contents."""
    del api
    described = airflow.describe_connections(running.local.settings)["neople_api"] | {"password": key}
    (running.local.airflow.home / "file.json").write_text(json.dumps({"neople_api": described}))


def run(running: Cluster, api: airflow.RestApi, day: date) -> list[str]:
    """Start a day's run, or clear what failed of it; give the reasons for which it failed."""
    run_id = day_run.ensure_run(api, running.local.settings, day)
    wait(f"the run of {day} has ended", lambda: read_state(running, run_id) in day_run.ENDED, 120)
    return day_run.explain_failure(api, run_id) if read_state(running, run_id) == "failed" else []


def list_processes(running: Cluster) -> dict[str, int]:
    """Tell the process id of everything that runs."""
    home = running.local.home
    found = ((name, processes.find(name, home)) for name in processes.list_recorded(home))
    return {name: process.pid for name, process in found if process}


@pytest.mark.parametrize(
    ("replace", "days_ago"), [(replace_in_database, 2), (replace_in_file, 3)], ids=["database", "file"]
)
def test_a_new_key_needs_no_restart(
    running: Cluster, api: airflow.RestApi, replace: Callable[..., None], days_ago: int
) -> None:
    settings = running.local.settings
    day = settings.calendar.last_over(datetime.now(UTC)) - timedelta(days=days_ago)
    query(
        running,
        "DELETE FROM timeline.roster WHERE (server_id, character_id) NOT IN"
        " (SELECT server_id, character_id FROM timeline.roster ORDER BY 1, 2 LIMIT %s) RETURNING 1",
        FEW,
    )
    before = list_processes(running)
    key = f"new-{secrets.token_hex(16)}"
    open_api(running).switch(key=key, rate=1_000)  # the old one is revoked

    assert any("API003" in reason for reason in run(running, api, day))
    replace(running, api, key)
    assert run(running, api, day) == []

    tell("the new key is used, and no process was restarted")
    assert list_processes(running) == before
    assert [debt for debt in list_debts(settings) if debt[0] == day] == []  # left-out days may still be planned
    roster = {
        (str(server), str(character))
        for server, character in query(running, "SELECT server_id, character_id FROM timeline.roster")
    }
    truth = read_truth(open_api(running).read, [day])
    for event in list(truth):
        if event[1:3] not in roster:
            del truth[event]
    compare(settings, truth, [day])
    for log in running.local.home.rglob("*.log"):
        assert key.encode() not in log.read_bytes(), f"the key is in {log}"
