"""The page in Airflow's navigation, on a real API server: for those who are logged in, and reading only."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from cryptography.fernet import Fernet
from through_airflow import World

from neople_timeline import pipeline
from neople_timeline.local import airflow, processes
from neople_timeline.settings import Settings

DAY = date(2026, 11, 14)
PAGES = (
    "/timeline/",
    f"/timeline/?day={DAY}",
    f"/timeline/reports/day={DAY}/index.html",
    "/timeline/docs",
    "/timeline/redoc",
    "/timeline/openapi.json",
)


@dataclass(frozen=True)
class Server:
    port: int
    token: str

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        return answer.status, content

    def read(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Ask as a browser that is logged in."""
        return self.ask(path, method, Cookie=f"_token={self.token}")


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Server]:
    """Airflow's API server over a day of which two characters are owed."""
    world.api.switch(key_error="")
    pipeline.import_roster(world.settings, world.api.read("roster.csv"))
    plan = pipeline.plan_day(world.settings, DAY)
    for shard in plan.shards:
        pipeline.collect_shard(world.settings, shard)
        pipeline.refine_shard(world.settings, shard)
        pipeline.load_shard(world.settings, shard)
    pipeline.build_marts(world.settings, [DAY])
    pipeline.publish_report(world.settings, DAY)
    service = next(one for one in airflow.list_services(world.airflow, world.home) if one.name == "airflow-api")
    processes.start(service, world.home)
    api = airflow.RestApi(world.airflow.port, world.airflow.password)
    token = api.call("POST", "/auth/token", {"username": airflow.USER, "password": world.airflow.password})
    yield Server(world.airflow.port, token["access_token"])
    processes.stop([service.name], world.home)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_gets_in_without_a_login(server: Server, path: str) -> None:
    for headers in ({}, {"Cookie": "_token=x"}, {"Authorization": "Bearer x.y.z"}):
        status, content = server.ask(path, **headers)
        assert status in {401, 403, 404}
        assert "<html" not in content


def test_a_browser_that_is_not_logged_in_is_sent_to_the_login_and_back(server: Server) -> None:
    path = f"/timeline/reports/day={DAY}/index.html"
    target = path
    for leads_to in ("/api/v2/auth/login", "/auth/login"):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", target, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status in {303, 307}
        target = answer.headers["Location"]
        assert urlsplit(target).path.startswith(leads_to)
        assert parse_qs(urlsplit(target).query)["next"] == [path]


def test_the_navigation_has_the_page(server: Server) -> None:
    status, content = server.read("/api/v2/plugins")
    assert status == 200
    (plugin,) = (one for one in json.loads(content)["plugins"] if one["name"] == "timeline_coverage")
    (view,) = plugin["external_views"]
    assert (view["name"], view["href"], view["destination"]) == ("Timeline", "/timeline/", "nav")


def test_the_calendar_shows_the_day_and_a_click_what_is_owed_of_it(server: Server, world: World) -> None:
    world.query(
        "UPDATE timeline.collection SET state = 'owed', reason = '<b>timed out</b>'"
        " WHERE (day, server_id, character_id) IN (SELECT day, server_id, character_id FROM timeline.collection"
        " WHERE day = %s AND state <> 'missing' ORDER BY 2, 3 LIMIT 2) RETURNING 1",
        DAY,
    )
    status, calendar = server.read(f"/timeline/?until={DAY}")
    assert status == 200
    assert f'aria-label="{DAY}: 일부 수집 대기 (2)"' in calendar
    latest = re.search(r'href="(reports/day=[\d-]+/index\.html)"', calendar)
    assert latest is not None
    assert server.read(f"/timeline/{latest[1]}")[0] == 200
    status, detail = server.read(f"/timeline/?until={DAY}&day={DAY}")
    assert status == 200
    assert "&lt;b&gt;timed out&lt;/b&gt;" in detail
    assert "<b>timed out" not in detail


def test_reports_are_served_and_nothing_else_of_the_lake(server: Server, world: World) -> None:
    status, page = server.read(f"/timeline/reports/day={DAY}/index.html")
    assert (status, page.encode()) == (200, bytes(world.store.get(f"reports/day={DAY}/index.html").bytes()))
    (event,) = [key for key in world.list_objects() if key.startswith(f"events/day={DAY}/")][:1]
    for path in (f"../{event}", f"%2e%2e/{event}", event, "day=2026-11-14/../../" + event, "day=2020-01-01/index.html"):
        assert server.read(f"/timeline/reports/{path}")[0] == 404


def test_it_only_reads(server: Server) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert server.read("/timeline/", method)[0] == 405
    assert server.read("/timeline/?until=0001-01-01&day=9999-12-31")[0] == 200
    assert server.read("/timeline/?until=tomorrow")[0] == 422


def test_the_next_start_sets_what_follows_the_stack_and_keeps_what_was_changed_in_airflow(
    server: Server, world: World
) -> None:
    api = airflow.RestApi(server.port, world.airflow.password)

    def change(name: str, **values: str) -> None:
        api.call("PATCH", f"/api/v2/connections/{name}", {"connection_id": name, "conn_type": "generic", **values})

    def start(settings: Settings, *, is_rate_chosen: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        airflow.ensure_connections(api, settings, is_rate_chosen=is_rate_chosen)
        api_now, mail_now = (api.call("GET", f"/api/v2/connections/{name}") for name in ("neople_api", "smtp_default"))
        return ({**one, "extra": json.loads(one["extra"])} for one in (api_now, mail_now))  # type: ignore[return-value]

    moved = replace(
        world.settings,
        neople_api_url="http://127.0.0.1:1",
        neople_api_key="another key",
        smtp_url=re.sub(r":\d+$", ":2", world.settings.smtp_url),
    )
    change("neople_api", extra='{"rate": 70}')
    change("smtp_default", extra='{"report_to": "me@example.org"}')
    key, mail = start(moved)
    assert (key["host"], key["extra"]) == ("http://127.0.0.1:1", {"rate": 70})
    with psycopg.connect(world.airflow.metastore_url) as metastore:
        (kept,) = metastore.execute("SELECT password FROM connection WHERE conn_id = 'neople_api'").fetchone() or ()
    assert Fernet(world.airflow.fernet_key).decrypt(kept.encode()) == b"another key"
    assert (mail["host"], mail["port"], mail["extra"]["report_to"]) == ("127.0.0.1", 2, "me@example.org")

    change("smtp_default", host="smtp.example.org", login="me")
    key, mail = start(world.settings, is_rate_chosen=True)
    assert key["extra"] == {"rate": world.settings.neople_api_rate}
    assert (mail["host"], mail["login"], mail["port"]) == ("smtp.example.org", "me", 2)

    api.call("DELETE", "/api/v2/connections/smtp_default")
    _, mail = start(world.settings)
    assert (mail["host"], mail["extra"]["report_to"]) == ("127.0.0.1", world.settings.report_to)
