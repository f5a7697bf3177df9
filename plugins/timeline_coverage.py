"""A page in Airflow's navigation: which days are there and what is owed, the latest report, and the quota.

It reads only, and shows itself to nobody but who may see the DAG timeline_daily.
"""

import sys
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, PlainTextResponse

from neople_timeline.errors import TimelineError
from neople_timeline.settings import Settings

PREFIX: Final = "/timeline"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}

# Without pages about itself: those would ask nobody for a login.
app = FastAPI(
    dependencies=[Depends(requires_access_dag("GET", param_dag_id="timeline_daily"))],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


def read_settings() -> Settings:
    """Read the Connections as the DAGs do, with their own code, which lies in the folder of the DAGs."""
    folder = conf.get_mandatory_value("core", "dags_folder")
    if folder not in sys.path:
        sys.path.append(folder)
    from connections import connect_settings  # noqa: PLC0415 - found only now

    return connect_settings()


@app.get("/")
def show_calendar(until: date | None = None, day: date | None = None) -> HTMLResponse:
    """Show the months up to a day, and what is owed of a chosen one."""
    from neople_timeline.pipeline import show_coverage  # noqa: PLC0415 - heavy, and all of Airflow loads the plugins

    return HTMLResponse(show_coverage(read_settings(), until, day), headers=HEADERS)


@app.get("/reports/{path:path}")
def show_report(path: str) -> HTMLResponse:
    """Show a page of the report as it lies in the lake."""
    from neople_timeline.pipeline import read_report  # noqa: PLC0415 - as above

    page = read_report(read_settings(), path)
    if page is None:
        raise HTTPException(status_code=404, detail="There is no such page.")
    return HTMLResponse(page, headers=HEADERS)


@app.exception_handler(TimelineError)
def explain(_request: object, error: Exception) -> PlainTextResponse:
    """Say what is wrong with the settings or the stores; the project's errors show no secrets."""
    return PlainTextResponse(str(error), status_code=503, headers=HEADERS)


class TimelineCoverage(AirflowPlugin):
    """Puts the page under Browse."""

    name = "timeline_coverage"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Timeline coverage"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Timeline",
            "href": f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "timeline-coverage",
        }
    ]
