"""Which data sets OpenLineage is told of: where they are, as others call them too, and never with a password."""

import pytest
from airflow.providers.common.compat.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk.lineage import HookLineageCollector

import timeline_lineage
from neople_timeline.catalogue import MARTS
from neople_timeline.settings import Settings
from timeline_lineage import RAW, Folder, WarehouseTable, list_mart_tables, tell_lineage

WAREHOUSE = "postgres://timeline:secret@db.example.org:5433/warehouse"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> HookLineageCollector:
    """What OpenLineage asks when a task ends."""
    collector = HookLineageCollector()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(timeline_lineage, "get_hook_lineage_collector", lambda: collector)
    return collector


def test_a_task_names_what_it_reads_and_writes(collector: HookLineageCollector) -> None:
    settings = Settings(lake_url="s3://lake/timeline", warehouse_url=WAREHOUSE)

    tell_lineage(settings, reads=[Folder("events")], writes=[WarehouseTable("event"), RAW])

    told = collector.collected_assets
    sides = [[translate_airflow_asset(one.asset, None) for one in side] for side in (told.inputs, told.outputs)]
    assert [[(one.namespace, one.name) for one in side if one] for side in sides] == [
        [("s3://lake", "timeline/events")],
        [("postgres://db.example.org:5433", "warehouse.timeline.event"), ("s3://lake", "timeline/raw")],
    ]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (WAREHOUSE, "postgres://db.example.org:5433/warehouse/timeline/event"),
        ("postgresql://u:secret@db/w", "postgres://db:5432/w/timeline/event"),
        ("postgresql://u:secret@/w?host=/run/postgresql", "postgres://localhost:5432/w/timeline/event"),
        ("postgresql://u:secret@[::1]/w", "postgres://[::1]:5432/w/timeline/event"),
        ("postgresql://u:secret@one:5432,two:5433/w", "postgres://one:5432/w/timeline/event"),
    ],
)
def test_the_warehouse_has_one_address_however_it_is_written(
    collector: HookLineageCollector, url: str, address: str
) -> None:
    tell_lineage(Settings(warehouse_url=url), writes=[WarehouseTable("event")])

    (told,) = collector.collected_assets.outputs
    assert told.asset.uri == address
    assert translate_airflow_asset(told.asset, None)


@pytest.mark.parametrize("lake", ["s3://lake", "s3://lake/", "file:///srv/lake"])
def test_any_lake_is_named(collector: HookLineageCollector, lake: str) -> None:
    tell_lineage(Settings(lake_url=lake), writes=[Folder("events")])

    (told,) = collector.collected_assets.outputs
    assert told.asset.uri == f"{lake.rstrip('/')}/events"
    assert translate_airflow_asset(told.asset, None)


def test_every_mart_is_named() -> None:
    assert [table.name for table in list_mart_tables()] == [mart.warehouse_name for mart in MARTS]
