"""Collection against its limits and beside other ways: `make bench-collect [FULL=1]`.

a  10,000 characters, one day, no limit and no latency: CPU per event and memory, beside other ways
b  1,000 requests a second and 30 ms: how much of the limit 1 and 4 processes use, and how often they break it
c  memory of a collector for 1,000 and 100,000 characters (and a million) with small answers
"""

import argparse
import time
from typing import Any

from ground import DAY_BEFORE, Ground, Sandbox, Watch, collect_result, launch, open_ground
from rich.console import Console
from rich.table import Table

RATE = 1000
MANY, PACED = 10_000, 20_000
PLAIN, DLT = 500, 5_000
"""Samples: what takes long per event gets fewer, what takes long to start gets more."""
UNLIMITED = ("--rate", "1000000")


def main() -> None:
    """Run the parts that are asked for and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="abc")
    parser.add_argument("--characters", type=int, default=MANY, help="of part a")
    parser.add_argument("--million", action="store_true", help="part c with a million characters too, some 15 minutes")
    given = parser.parse_args()
    console = Console(width=120)
    with open_ground() as ground:
        if "a" in given.parts:
            console.print(compare_ways(ground, given.characters))
        if "b" in given.parts:
            console.print(measure_pace(ground))
        if "c" in given.parts:
            console.print(measure_memory(ground, [1000, 100_000, *([1_000_000] if given.million else [])]))


def compare_ways(ground: Ground, characters: int) -> Table:
    """Collect one day in each way; ratios are to the plain script of the same run."""
    table = Table(title="a: one day, no limit, no latency", title_justify="left")
    for column in ("way", "characters", "events", "wall s", "CPU µs/event", "ratio", "PostgreSQL µs/event", "peak MB"):
        table.add_column(column, justify="left" if column == "way" else "right")
    with ground.prepared_sandbox(characters, "--rate=0", "--latency=0") as sandbox:
        ways: dict[str, tuple[str, int, tuple[str, ...]]] = {
            "plain script (sample)": ("plain.py", PLAIN, ()),
            "dlt rest_api (sample)": ("dlt_rest_api.py", DLT, ()),
            "bare client": ("bare.py", characters, ()),
            "neople-timeline": ("ours.py", characters, UNLIMITED),
        }
        baseline = 0.0
        steps: list[str] = []
        for name, (script, number, options) in ways.items():
            before = ground.cpu_seconds("postgres")
            result = run_alone(ground, sandbox, script, number, options)
            server = ground.cpu_seconds("postgres") - before
            events = result["events"]
            wall, cpu = (sum(step[place] for step in result["steps"].values()) for place in (0, 1))
            micros = cpu / events * 1e6
            baseline = baseline or micros
            table.add_row(
                name, f"{number:,}", f"{events:,}", f"{wall:.1f}", f"{micros:.1f}", f"{micros / baseline:.3f}",
                f"{server / events * 1e6:.1f}", f"{result['peak_mb']:.0f}",
            )  # fmt: skip
            steps = [
                f"{step} {figures[1] / events * 1e6:.1f} µs, {result['peaks'][step]:.0f} MB"
                for step, figures in result["steps"].items()
            ]
    table.caption = "of ours: " + "; ".join(steps)
    return table


def run_alone(
    ground: Ground, sandbox: Sandbox, script: str, characters: int, options: tuple[str, ...]
) -> dict[str, Any]:
    """Run one contender on a database and a folder of its own."""
    return collect_result(launch(script, ground.prepare(sandbox, characters), *options))


def measure_pace(ground: Ground) -> Table:
    """Collect at the limit with 1 and 4 processes, on a key that was used before."""
    table = Table(title=f"b: {RATE} requests a second, 30 ms", title_justify="left")
    for column in ("processes", "requests", "seconds", "÷ least", "share while busy", "violations", "most in a second"):
        table.add_column(column, justify="right")
    with ground.sandbox(PACED, f"--kept-days={PACED}", f"--rate={RATE}", "--latency=30ms") as sandbox:
        for processes in (1, 4):
            environment = ground.prepare(sandbox, PACED)
            learn_how_fast_it_is(environment)
            sandbox.count_events()  # which makes the day's events before anybody asks, as for `prepared_sandbox`
            collect_result(launch("ours.py", environment, "--setup"))
            sandbox.reset()
            begun = time.monotonic()
            with Watch(sandbox) as watch:
                running = [
                    launch("ours.py", environment, "--shard", str(index), str(processes), "--collect-only")
                    for index in range(processes)
                ]
                for process in running:
                    collect_result(process)
            seconds, stats = time.monotonic() - begun, sandbox.ask("stats")
            table.add_row(
                str(processes), f"{stats['requests']:,}", f"{seconds:.2f}",
                f"{seconds * RATE / stats['requests']:.3f}", f"{watch.busy_rate() / RATE:.1%}",
                str(stats["violations"]), str(stats["peak_per_second"]),
            )  # fmt: skip
    table.caption = (
        "seconds from the start of the first Python to the end of the last, least is requests ÷ limit; "
        "the share is that of whole seconds, the first and the last left out; the day before was collected first"
    )
    return table


def learn_how_fast_it_is(environment: dict[str, str]) -> None:
    """Collect the day before: the limiter is sure of the fastest answer after ten seconds, and never forgets it."""
    before = environment | {"BENCH_DAY": DAY_BEFORE}
    collect_result(launch("ours.py", before, "--setup"))
    collect_result(launch("ours.py", before, "--shard", "0", "1", "--collect-only"))


def measure_memory(ground: Ground, sizes: list[int]) -> Table:
    """Collect ever more characters with small answers."""
    table = Table(title="c: peak memory of the collector", title_justify="left")
    for column in ("characters", "events", "seconds", "peak MB"):
        table.add_column(column, justify="right")
    for size in sizes:
        with ground.sandbox(size, "--rate=0", "--latency=0", "--small") as sandbox:
            environment = ground.prepare(sandbox, size)
            collect_result(launch("ours.py", environment, "--setup"))
            result = collect_result(launch("ours.py", environment, *UNLIMITED, "--shard", "0", "1", "--collect-only"))
        wall = sum(step[0] for step in result["steps"].values())
        table.add_row(f"{size:,}", f"{result['events']:,}", f"{wall:.1f}", f"{result['peak_mb']:.0f}")
    return table


if __name__ == "__main__":
    main()
