"""Run `neople-timeline …` and let it die, or stand still, at a step: `FAULT='{"at": …}' python crash_at.py day …`.

The production code knows nothing of this: the named functions are wrapped here before the command line starts. Waits
and batches are made short, so that a small roster takes several commits and a lease runs out in seconds.
"""

import functools
import importlib
import inspect
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from neople_timeline import collect, pipeline
from neople_timeline.cli import screen
from neople_timeline.cli.main import main
from neople_timeline.neople import client
from neople_timeline.summary import Published
from neople_timeline.warehouse import ledger, permits

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def shorten_waits(*, hurried: bool) -> None:
    """Make small what takes long in production; every rule stays as it is. Who is hurried gives up soon, too."""
    real_sleep = time.sleep
    quick_time = SimpleNamespace(sleep=lambda seconds: real_sleep(min(seconds, 0.3)), monotonic=time.monotonic)
    patience = (
        (ledger, "LEASE_SECONDS", 3),
        (ledger, "HEARTBEAT_SECONDS", 1),
        (permits, "LEASE_SECONDS", 1.5),
        (permits, "MARGIN_SECONDS", 0.5),
        (client, "REQUEST_SECONDS", 2),
    )
    for module, name, value in (
        *(patience if hurried else ()),
        (collect, "FETCHERS", 6),
        (collect, "BATCH_CHAINS", 5),
        (client, "random", SimpleNamespace(uniform=lambda _low, _high: 0.02)),
        (screen, "time", quick_time),
    ):
        if not hasattr(module, name):
            raise AttributeError(f"{module.__name__} has no {name} any more")
        setattr(module, name, value)


def arm(at: str, *, after: bool = False, call: int = 1, match: str = "", action: str = "kill") -> None:
    """Wrap a function `package.module:Class.name`, so that this process gets a signal before or after its n-th call.

    With `match`, only calls with a text argument (or attribute of one) that contains it are counted.
    """
    module_name, _, path = at.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module_name))
    function = getattr(owner, name)
    counter, lock = itertools.count(1), threading.Lock()

    def is_due(arguments: tuple[Any, ...]) -> bool:
        if match and not any(match in str(argument) for argument in arguments):
            return False
        with lock:
            return next(counter) == call

    setattr(owner, name, _wrap(function, is_due, functools.partial(_strike, action), after=after))


def _strike(action: str) -> None:
    os.kill(os.getpid(), SIGNALS[action])


def _wrap(
    function: Callable[..., Any], is_due: Callable[[tuple[Any, ...]], bool], strike: Callable[[], None], *, after: bool
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wait_for(*arguments: Any, **options: Any) -> Any:
        due = is_due(arguments)
        if due and not after:
            strike()
        result = await function(*arguments, **options)
        if due and after:
            strike()
        return result

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        due = is_due(arguments)
        if due and not after:
            strike()
        result = function(*arguments, **options)
        if due and after:
            strike()
        return result

    return wait_for if inspect.iscoroutinefunction(function) else call


def end_with_the_proof() -> None:
    """Leave out marts and report, for cases that have nothing to do with them."""
    pipeline.build_marts = lambda *_: ()
    pipeline.republish_reports = lambda *_: {}
    pipeline.publish_report = lambda *_: Published("left out", mailed=False, debts=0)


if __name__ == "__main__":
    shorten_waits(hurried="UNHURRIED" not in os.environ)
    if "LIGHT" in os.environ:
        end_with_the_proof()
    if fault := json.loads(os.environ.get("FAULT", "{}")):
        arm(**fault)
    main()
