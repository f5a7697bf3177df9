"""One day with this project: `ours.py [--rate N] [--shard INDEX OF] [--setup | --collect-only]`."""

import argparse
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

from meter import Meter

from neople_timeline import pipeline
from neople_timeline.models import Shard
from neople_timeline.settings import Settings, read_settings


def main() -> None:
    """Run the day, or one part of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--shard", type=int, nargs=2)
    parser.add_argument("--setup", action="store_true", help="only fill the roster and plan the day")
    parser.add_argument("--collect-only", action="store_true")
    given = parser.parse_args()
    settings = replace(read_settings(), neople_api_rate=given.rate)
    day = date.fromisoformat(os.environ["BENCH_DAY"])
    meter = Meter()
    if not given.shard:
        pipeline.import_roster(settings, Path(os.environ["BENCH_ROSTER"]).read_bytes())
        with meter.step("plan"):
            plan = pipeline.plan_day(settings, day)
        shards = plan.shards
    else:
        shards = (Shard((day,), *given.shard),)
    if given.setup:
        meter.report(events=0)
        return
    run(settings, shards, meter, collect_only=given.collect_only)


def run(settings: Settings, shards: tuple[Shard, ...], meter: Meter, *, collect_only: bool) -> None:
    """Collect, refine and load the shards one after the other."""
    events = 0
    for shard in shards:
        with meter.step("collect"):
            collected = pipeline.collect_shard(settings, shard)
        events += collected.events
    if not collect_only:
        for shard in shards:
            with meter.step("refine"):
                pipeline.refine_shard(settings, shard)
        for shard in shards:
            with meter.step("load"):
                pipeline.load_shard(settings, shard)
    meter.report(events=events)


if __name__ == "__main__":
    main()
