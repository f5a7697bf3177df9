"""A day of the sandbox's whole world, proven, for tests that start from there."""

from datetime import UTC, date, datetime
from urllib.request import urlopen

from neople_timeline import pipeline
from neople_timeline.settings import Settings


def collect_day(settings: Settings) -> date:
    """Collect the last complete day of everybody, and prove it."""
    with urlopen(f"{settings.neople_api_url}/sandbox/roster.csv", timeout=30) as answer:  # noqa: S310 - loopback
        pipeline.import_roster(settings, answer.read())
    day = settings.calendar.last_over(datetime.now(UTC))
    for shard in pipeline.plan_day(settings, day).shards:
        pipeline.collect_shard(settings, shard)
        pipeline.refine_shard(settings, shard)
        pipeline.load_shard(settings, shard)
    pipeline.build_marts(settings, [day])
    assert pipeline.verify_days(settings, [day]).ok
    return day
