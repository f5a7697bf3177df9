"""All faults in any order: whatever happened, nothing false is ever published, and in the end everything is there."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import psutil
import pytest
from frail_server import FrailServer
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from place import COMPLETE, DAY, Place, Run, World, in_sessions
from s3_proxy import Trouble, run_proxy
from test_crashes import COLLECTING, PUBLISHING
from test_outages import RESTARTS, TROUBLES

from compare_truth import assert_nothing_false

DAYS = (DAY - timedelta(days=1), DAY)
COMMANDS = (
    ("day", str(DAYS[0])),
    ("day", str(DAYS[1])),
    ("day", str(DAYS[1]), "--again"),
    ("backfill", str(DAYS[0]), str(DAYS[1])),
    ("retry",),
)
STEPS = [*COLLECTING.values(), *RESTARTS.values(), *(one for one in PUBLISHING.values() if "match" not in one)]
ALTERATIONS = ("unknown_code", "retyped_fields", "nul")
"""Faults that change what is true, for as long as they are in force."""
WRONG_ANSWERS = (
    *({"fault": name} for name in (
        "reset_before", "reset_in_body", "reset_after", "status_500", "html_200", "error_200", "empty_200", "cut_json",
        "cursor_repeats", "cursor_cycles", "cursor_endless", "rows_overlap", "rows_outside_window", "rows_unsorted",
        "rows_null", "timeline_null", "nan", "duplicate_keys", "lone_surrogate", "deep_nesting", "too_many",
        "maintenance", "missing_character", "window_cut",
    )),
    {"fault": "too_many", "retry_after": "1"},
    {"fault": "timeout", "times": 1},
    *({"fault": name} for name in ALTERATIONS),
)  # fmt: skip
BEGINNINGS = st.fixed_dictionaries(
    {
        "command": st.sampled_from(COMMANDS),
        "fault": st.none() | st.sampled_from(STEPS),
        "action": st.sampled_from(["kill", "stop"]),
        "call": st.integers(1, 3),
    }
)
Borrow = Callable[..., AbstractContextManager[Place]]


class AnyOrder(RuleBasedStateMachine):
    """Two days, up to two runs at a time, and everything that can go wrong; the class is bound to a world first."""

    borrow: Borrow
    world: World
    server: FrailServer

    def __init__(self) -> None:
        super().__init__()
        self.ends = contextlib.ExitStack()
        self.place = self.ends.enter_context(type(self).borrow(self.server.server, self.server.template))
        self.true_settings = self.place.settings  # whoever looks must not meet the faults
        upstream = int(self.place.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        self.proxy = self.ends.enter_context(run_proxy(upstream))
        self.ends.callback(self.place.stop)
        self.place.environment["AWS_ENDPOINT_URL"] = self.proxy.url
        self.running: list[Run] = []
        self.truth = self.world.truth(*DAYS)
        self.is_altered = False

    @initialize(beginning=BEGINNINGS)
    def begin_first(self, beginning: dict[str, Any]) -> None:
        self._begin(**beginning)

    @precondition(lambda self: len(self.running) < 2)
    @rule(beginning=BEGINNINGS)
    def begin(self, beginning: dict[str, Any]) -> None:
        """Start a run that may die or stand still at a step; some debts are due by now."""
        self.place.query("UPDATE timeline.collection SET next_try_at = NULL WHERE next_try_at IS NOT NULL RETURNING 1")
        self._begin(**beginning)

    def _begin(self, command: tuple[str, ...], fault: dict[str, Any] | None, action: str, call: int) -> None:
        self.running.append(
            self.place.start(*command, fault={"call": call, **fault, "action": action} if fault else None)
        )

    @precondition(lambda self: self.running)
    @rule(seconds=st.sampled_from([0.5, 2, 8]))
    def wait(self, seconds: float) -> None:
        """Let the runs work; who stands still goes on afterwards."""
        for run in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired, psutil.NoSuchProcess):
                if psutil.Process(run.process.pid).status() == psutil.STATUS_STOPPED:
                    run.go_on()
                run.process.wait(seconds)
        self._look()

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 1))
    def kill(self, which: int) -> None:
        self.running[which % len(self.running)].kill()
        self._look()

    @rule(
        answers=st.lists(st.sampled_from(WRONG_ANSWERS), max_size=3),
        probability=st.sampled_from([0.02, 0.3]),
        rate=st.sampled_from([1000, 100]),
        key_error=st.sampled_from([None, None, None, "API003"]),
    )
    def change_the_api(
        self, answers: list[dict[str, Any]], probability: float, rate: int, key_error: str | None
    ) -> None:
        self.world.fail(*({"probability": probability, **answer} for answer in answers))
        self.world.switch(rate=rate, key_error=key_error)
        if any(answer["fault"] in ALTERATIONS for answer in answers):
            self.truth |= self.world.truth(*DAYS)  # what landed before is as true as what lands now
            self.is_altered = True

    @rule(name=st.sampled_from(sorted(TROUBLES)))
    def change_the_store(self, name: str) -> None:
        self.proxy.troubles = [
            Trouble(one.action, one.match, min(one.times, 10), one.seconds) for one in TROUBLES[name]
        ]

    @precondition(lambda self: self.running)
    @rule(after=st.sampled_from([0.2, 0.7, 1.5]))
    def cut_off_postgres(self, after: float) -> None:
        time.sleep(after)
        in_sessions(self.place, "pg_terminate_backend")

    @precondition(lambda self: self.running)
    @rule(after=st.sampled_from([0.2, 1.5]), how=st.sampled_from([signal.SIGINT, signal.SIGQUIT]))
    def restart_postgres(self, after: float, how: signal.Signals) -> None:
        time.sleep(after)
        self.server.end(how)
        self.server.start()

    def _look(self) -> None:
        """Assert that what is there is true, though some may be lacking, and that no run ended by a defect."""
        for run in self.running:
            assert "Traceback" not in run.text, run.text
        self.running = [run for run in self.running if run.process.poll() is None]
        assert_nothing_false(self.true_settings, self.truth, DAYS)

    def teardown(self) -> None:
        """Put everything right, and look whether one more run makes everything complete."""
        try:
            self.world.fail()
            self.world.switch(rate=1000, key_error=None)
            self.proxy.troubles = []
            self.place.stop()
            again = ["--again"] if self.is_altered or self._is_missing() else []
            run = self.place.start("backfill", str(DAYS[0]), str(DAYS[1]), *again)
            assert run.wait() == COMPLETE, run.text
            self.place.assert_complete(*DAYS)
        finally:
            self.ends.close()

    def _is_missing(self) -> bool:
        """Say whether somebody was called missing: who comes back is asked for again only if told so."""
        return any(reason.startswith("missing") for reason in self.place.debts().values())


@pytest.mark.parametrize("examples", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_whatever_happens_in_any_order(
    borrow_place: Borrow, world: World, frail_server: FrailServer, examples: int
) -> None:
    parts = {"borrow": staticmethod(borrow_place), "world": world, "server": frail_server}
    bound = type("Bound", (AnyOrder,), parts)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        bound,
        settings=settings(
            max_examples=examples,
            stateful_step_count=10,
            deadline=None,
            phases=[Phase.generate],
            derandomize=examples == 1,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
