"""A page in Airflow's navigation: which days are there and what is owed, the latest report, and the quota.

It reads only, and shows itself to nobody but who may see the DAG timeline_daily.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse, Response

    from neople_timeline.settings import Settings

PREFIX: Final = "/timeline"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
Message = MutableMapping[str, Any]


async def serve(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Hand a request to the application, which is made only now: every task of Airflow loads the plugins too."""
    await make_app()(scope, receive, send)


@lru_cache(maxsize=1)
def make_app() -> "FastAPI":
    """Make the application: every route asks for the login, and there are no pages about the routes."""
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.exception_handlers import http_exception_handler
    from fastapi.responses import PlainTextResponse, RedirectResponse

    from neople_timeline.errors import TimelineError

    def explain(_request: object, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(str(error), status_code=503, headers=HEADERS)  # these errors show no secrets

    async def send_to_login(request: "Request", error: Exception) -> "Response":
        # Who follows the link in a mail is a person with a browser, and comes back to where the link led.
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
        if "text/html" not in request.headers.get("accept", ""):
            return await http_exception_handler(request, error)
        here = f"{request.url.path}?{request.url.query}".rstrip("?")
        return RedirectResponse(f"{find_root()}/api/v2/auth/login?{urlencode({'next': here})}", 303, HEADERS)

    login = Depends(requires_access_dag("GET", param_dag_id="timeline_daily"))
    app = FastAPI(dependencies=[login], docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(TimelineError, explain)
    app.add_exception_handler(401, send_to_login)
    app.get("/", response_model=None)(show_calendar)
    app.get("/reports/{path:path}", response_model=None)(show_report)
    return app


def find_root() -> str:
    """Give the path under which Airflow is served, empty where it is the host's root."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def show_calendar(until: date | None = None, day: date | None = None) -> "HTMLResponse":
    """Show the months up to a day, and what is owed of a chosen one."""
    from fastapi.responses import HTMLResponse

    from neople_timeline.pipeline import show_coverage

    return HTMLResponse(show_coverage(read_settings(), until, day), headers=HEADERS)


def show_report(path: str) -> "HTMLResponse":
    """Show a page of the report as it lies in the lake."""
    from fastapi import HTTPException
    from fastapi.responses import HTMLResponse

    from neople_timeline.pipeline import read_report

    page = read_report(read_settings(), path)
    if page is None:
        raise HTTPException(status_code=404, detail="There is no such page.")
    return HTMLResponse(page, headers=HEADERS)


def read_settings() -> "Settings":
    """Read the Connections as the DAGs do, with their own code, which lies in the folder of the DAGs."""
    folder = conf.get_mandatory_value("core", "dags_folder")
    if folder not in sys.path:
        sys.path.append(folder)
    from timeline_connections import connect_settings  # found only now

    return connect_settings()


class TimelineCoverage(AirflowPlugin):
    """Puts the page under Browse."""

    name = "timeline_coverage"
    fastapi_apps = [{"app": serve, "url_prefix": PREFIX, "name": "Timeline coverage"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Timeline",
            "href": f"{find_root()}{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "timeline-coverage",
        }
    ]
