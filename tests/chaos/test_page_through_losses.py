"""The page in Airflow's navigation where FAB guards it: its admin finds it in a browser, others get nothing of it."""

import secrets
from http.client import HTTPConnection
from pathlib import Path

import pytest
from losses import query
from playwright.sync_api import Page, sync_playwright

from neople_timeline.local import airflow
from neople_timeline.local.cluster import Cluster
from optional_browser import CHROMIUM

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture
def paths(running: Cluster) -> list[str]:
    """The calendar, and the page of a day that was collected."""
    ((day,),) = query(running, "SELECT max(day) FROM timeline.day WHERE verified_at IS NOT NULL")
    return ["/timeline/", f"/timeline/?day={day}", f"/timeline/reports/day={day}/index.html"]


def read(running: Cluster, path: str, token: str = "") -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", running.local.airflow.port, timeout=60)
    connection.request("GET", path, headers={"Cookie": f"_token={token}"} if token else {})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


def log_in(running: Cluster, user: str, password: str) -> str:
    """Give the token of a session."""
    nobody = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    return str(nobody.call("POST", "/auth/token", {"username": user, "password": password})["access_token"])


def make_user(running: Cluster, dag: str) -> str:
    """Make a user who may see one DAG and nothing else; give the token of a session."""
    admin = airflow.RestApi(running.local.airflow.port, running.local.airflow.password)
    name, password = f"reader-{secrets.token_hex(4)}", secrets.token_hex(12)
    rights = [{"action": {"name": "can_read"}, "resource": {"name": f"DAG:{dag}"}}]
    admin.call("POST", "/auth/fab/v1/roles", {"name": name, "actions": rights})
    person = {"username": name, "email": f"{name}@example.org", "first_name": name, "last_name": name}
    admin.call("POST", "/auth/fab/v1/users", {**person, "password": password, "roles": [{"name": name}]})
    return log_in(running, name, password)


def test_nobody_gets_in_without_a_login(running: Cluster, paths: list[str]) -> None:
    for path in paths:
        for token in ("", "x"):
            status, content = read(running, path, token)
            assert (status in {401, 403}, "<html" in content) == (True, False)


def test_who_may_not_see_the_daily_dag_gets_nothing(running: Cluster, paths: list[str]) -> None:
    elsewhere = make_user(running, "timeline_backfill")
    assert read(running, "/api/v2/dags/timeline_backfill", elsewhere)[0] == 200
    assert read(running, "/api/v2/dags/timeline_daily", elsewhere)[0] == 403
    for path in paths:
        status, content = read(running, path, elsewhere)
        assert (status, "<html" in content) == (403, False)


def test_who_may_see_the_daily_dag_gets_it(running: Cluster, paths: list[str]) -> None:
    reader = make_user(running, "timeline_daily")
    assert [read(running, path, reader)[0] for path in paths] == [200] * len(paths)


@pytest.mark.browser
def test_the_admin_finds_it_under_browse(running: Cluster) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.set_default_timeout(60_000)
        try:
            walk_through(page, running)
        finally:
            browser.close()


def walk_through(page: Page, running: Cluster) -> None:
    """Log in, open the page, choose a day, and go on to its report."""
    page.goto(f"http://127.0.0.1:{running.local.airflow.port}/")
    page.fill("input[name=username]", airflow.USER)
    page.fill("input[name=password]", running.local.airflow.password)
    page.click("[type=submit]")
    page.get_by_text("Browse").first.click()
    page.get_by_role("menuitem", name="Timeline").click()
    inside = page.frame_locator("iframe")
    inside.locator(".calendar").first.wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "airflow-timeline.png")
    inside.locator("a.day.verified").first.click()
    inside.locator("#day .ok").wait_for()
    page.screenshot(path=SCREENSHOTS / "airflow-timeline-day.png")
    inside.locator("a.beside").first.click()
    inside.get_by_text("이날의 득템").first.wait_for()
    page.screenshot(path=SCREENSHOTS / "airflow-timeline-report.png")
