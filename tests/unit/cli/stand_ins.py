"""The command line with something else behind it than the pipeline."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from neople_timeline import pipeline
from neople_timeline.cli.main import app
from neople_timeline.models import CharacterKey, Collected, Plan, Shard, Usage
from neople_timeline.pipeline import Loaded, Refined
from neople_timeline.summary import Published
from neople_timeline.verify import Verification
from neople_timeline.warehouse.audit import Owed

DAY = date(2026, 11, 15)
CAIN = CharacterKey("cain", "a" * 32)
COMPLETE, INDEBTED, WRONG, FAILED = range(4)
PROVEN = Verification(
    (DAY,),
    checked=5,
    events=100,
    disagreements=(),
    unfinished=(),
    owed=(),
    missing=1,
    uncollected=(),
    provisional=(),
    orphans=(),
)
DEBT = Owed(DAY, CAIN, "카인\x1b[2J", "the connection failed", 2, None)
PLAN = Plan((DAY,), (Shard((DAY,), 0, 2), Shard((DAY,), 1, 2)), 5, 5)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


class Steps:
    """Stands in for the pipeline, and writes down what was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **results: Any) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for name, result in results.items():
            monkeypatch.setattr(pipeline, name, self._make(name, result))

    def _make(self, name: str, result: Any) -> Callable[..., Any]:
        def step(_settings: Any, *arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            given = result.pop(0) if isinstance(result, list) and result and name != "search_characters" else result
            if isinstance(given, Exception):
                raise given
            return given

        return step

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


def stand_in(monkeypatch: pytest.MonkeyPatch, **others: Any) -> Steps:
    results: dict[str, Any] = {
        "plan_day": PLAN,
        "plan_backfill": PLAN,
        "plan_debts": PLAN,
        "collect_shard": Collected(4, 100, 1, 0, Usage(requests=7, retried=2, seconds=0.5)),
        "refine_shard": Refined(0, 0),
        "load_shard": Loaded(0, 0),
        "build_marts": (),
        "verify_days": PROVEN,
        "prove_days": PROVEN,
        "is_planned": True,
        "publish_report": Published("s3://lake/reports/x", mailed=True, debts=0),
        "republish_reports": {},
    }
    return Steps(monkeypatch, **(results | others))
