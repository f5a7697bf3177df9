"""Days taken through all steps, for tests that start from there."""

from datetime import UTC, date, datetime
from urllib.request import urlopen

from neople_timeline import pipeline
from neople_timeline.models import Plan
from neople_timeline.settings import Settings


def take_through(settings: Settings, plan: Plan) -> None:
    """Take a plan through all steps but its proof."""
    for shard in plan.shards:
        pipeline.collect_shard(settings, shard)
        pipeline.refine_shard(settings, shard)
        pipeline.load_shard(settings, shard)
    pipeline.build_marts(settings, plan.days)


def work_off(settings: Settings, plan: Plan) -> None:
    """Take a plan through all steps, and require that its days agree."""
    take_through(settings, plan)
    assert pipeline.verify_days(settings, plan.days).ok


def collect_day(settings: Settings) -> date:
    """Collect the last complete day of everybody, and prove it."""
    with urlopen(f"{settings.neople_api_url}/sandbox/roster.csv", timeout=30) as answer:  # noqa: S310 - loopback
        pipeline.import_roster(settings, answer.read())
    day = settings.calendar.last_over(datetime.now(UTC))
    work_off(settings, pipeline.plan_day(settings, day))
    return day
