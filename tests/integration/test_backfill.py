"""A long backfill in one process: asked for in chains of 90 days, refined some days at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from collected_day import take_through

from neople_timeline import parts, pipeline
from neople_timeline.plan import Forecast
from neople_timeline.settings import Settings
from neople_timeline.warehouse import parts as part_rows
from neople_timeline.warehouse.parts import Part
from sandbox_control import SandboxApi

FIRST, DAYS = date(2026, 8, 1), 90
LAST = FIRST + timedelta(days=DAYS - 1)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many parts were held at once, each time."""
    counts: list[int] = []
    real = part_rows.hold_parts

    @contextmanager
    def hold(connection: psycopg.Connection, parts: Sequence[Part]) -> Iterator[None]:
        counts.append(len(parts))
        with real(connection, parts):
            yield

    monkeypatch.setattr(part_rows, "hold_parts", hold)
    return counts


def test_ninety_days_are_one_chain_each_and_are_refined_thirty_at_a_time(
    settings: Settings, make_sandbox_api: Callable[..., Any], held: list[int]
) -> None:
    api = make_sandbox_api("--characters", "6", "--seed", "1", "--rate", "1000", "--latency", "0")
    settings = replace(settings, neople_api_url=api.url, neople_api_key=api.key)
    with urlopen(f"{api.url}/sandbox/roster.csv", timeout=30) as answer:  # noqa: S310 - loopback
        pipeline.import_roster(settings, answer.read())
    plan = pipeline.plan_backfill(settings, FIRST, LAST)
    assert plan.pending == 6 * DAYS
    for shard in plan.shards:
        pipeline.collect_shard(settings, shard, kind="backfill")
        assert pipeline.refine_shard(settings, shard).objects == 2 * DAYS
        pipeline.load_shard(settings, shard)
    assert sum(held) == DAYS * 2
    assert max(held) == parts.DAYS_AT_ONCE
    result = pipeline.verify_days(settings, plan.days)
    assert (result.ok, result.checked, list(result.owed)) == (True, 6 * DAYS, [])
    assert api.stats()["requests"] < plan.pending / 2, "pages of a chain, not a request per day"


@pytest.mark.parametrize("days", [1, 10])
def test_once_a_day_is_known_a_forecast_is_about_what_a_backfill_then_sends(
    settings: Settings, sandbox_api: SandboxApi, days: int
) -> None:
    pipeline.import_roster(settings, sandbox_api.read("roster.csv"))
    first, last = FIRST + timedelta(days=1), FIRST + timedelta(days=days)
    assert pipeline.forecast_backfill(settings, first, last) == Forecast(40, 0, 40 * days, 40, is_estimate=False)
    take_through(settings, pipeline.plan_backfill(settings, FIRST, FIRST))
    forecast = pipeline.forecast_backfill(settings, first, last)
    assert (forecast.pending, forecast.is_estimate) == (40 * days, True)
    plan = pipeline.plan_backfill(settings, first, last)
    sent = sum(pipeline.collect_shard(settings, shard, kind="backfill").usage.requests for shard in plan.shards)
    assert 1 / 1.5 < forecast.requests / sent < 1.5
