"""Which data sets a task reads and writes, for whoever draws lineage: OpenLineage, where it is on."""

from collections.abc import Iterable

from airflow.sdk import BaseHook
from airflow.sdk.lineage import get_hook_lineage_collector

from neople_timeline.settings import Settings

RAW, EVENTS, CHARACTERS, MARTS, REPORTS = "raw", "events", "characters", "marts", "reports"
"""Folders of the lake; whatever else is named here is a table of the warehouse."""


def tell_lineage(settings: Settings, *, reads: Iterable[str] = (), writes: Iterable[str] = ()) -> None:
    """Note what the task that runs has read and written; nothing happens where nobody asks for it."""
    collector, hook = get_hook_lineage_collector(), BaseHook()
    for name in reads:
        collector.add_input_asset(hook, uri=locate(settings, name))
    for name in writes:
        collector.add_output_asset(hook, uri=locate(settings, name))


def locate(settings: Settings, name: str) -> str:
    """Give the address of a data set: no user, and no password."""
    if name in {RAW, EVENTS, CHARACTERS, MARTS, REPORTS}:
        return f"{settings.lake_url.rstrip('/')}/{name}"
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - heavy, see timeline_steps.py

    server = conninfo_to_dict(settings.warehouse_url)
    host, port = (str(server.get(key) or default).split(",")[0] for key, default in (("host", ""), ("port", 5432)))
    if not host or host.startswith("/"):
        host = "localhost"
    address = f"[{host}]" if ":" in host else host
    return f"postgres://{address}:{port}/{server.get('dbname', 'postgres')}/timeline/{name}"


def list_mart_tables() -> list[str]:
    """Name the marts' tables."""
    from neople_timeline.catalogue import MARTS as CATALOGUE  # noqa: PLC0415 - as above

    return [mart.warehouse_name for mart in CATALOGUE]
