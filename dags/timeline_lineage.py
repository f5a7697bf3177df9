"""Which data sets a task reads and writes, for whoever draws lineage: OpenLineage, where it is on."""

from collections.abc import Iterable
from dataclasses import dataclass

from airflow.sdk import BaseHook
from airflow.sdk.lineage import get_hook_lineage_collector

from neople_timeline.settings import Settings


@dataclass(frozen=True)
class Folder:
    """A folder of the lake."""

    name: str


@dataclass(frozen=True)
class WarehouseTable:
    """A table of the warehouse, in its schema `timeline`."""

    name: str


DataSet = Folder | WarehouseTable

RAW, REPORTS, MART_FOLDERS = Folder("raw"), Folder("reports"), Folder("marts")
PARQUET = (Folder("events"), Folder("characters"))
ROWS = (WarehouseTable("event"), WarehouseTable("character"))


def tell_lineage(settings: Settings, *, reads: Iterable[DataSet] = (), writes: Iterable[DataSet] = ()) -> None:
    """Note what the task that runs has read and written; nothing happens where nobody asks for it."""
    collector, hook = get_hook_lineage_collector(), BaseHook()
    for data_set in reads:
        collector.add_input_asset(hook, uri=locate(settings, data_set))
    for data_set in writes:
        collector.add_output_asset(hook, uri=locate(settings, data_set))


def locate(settings: Settings, data_set: DataSet) -> str:
    """Give the address of a data set: no user, and no password."""
    if isinstance(data_set, Folder):
        return f"{settings.lake_url.rstrip('/')}/{data_set.name}"
    from psycopg.conninfo import conninfo_to_dict

    server = conninfo_to_dict(settings.warehouse_url)
    host, port = (str(server.get(key) or default).split(",")[0] for key, default in (("host", ""), ("port", 5432)))
    if not host or host.startswith("/"):
        host = "localhost"
    address = f"[{host}]" if ":" in host else host
    return f"postgres://{address}:{port}/{server.get('dbname', 'postgres')}/timeline/{data_set.name}"


def list_mart_tables() -> list[WarehouseTable]:
    """List the marts' tables."""
    from neople_timeline.catalogue import MARTS

    return [WarehouseTable(mart.warehouse_name) for mart in MARTS]
