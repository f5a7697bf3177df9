"""What the local stack starts, it stops: with all that descends from it."""

import time
from pathlib import Path

import psutil

from neople_timeline.local.processes import Service, find, list_recorded, start, stop


def test_an_orphan_is_stopped_with_its_session_though_its_leader_lives(tmp_path: Path) -> None:
    mark = tmp_path / "orphan"
    script = f"( (sleep 300 & echo $! > {mark}.draft; mv {mark}.draft {mark}) ); exec sleep 300"
    start(Service("sleeper", ["sh", "-c", script], mark.exists), tmp_path)
    orphan, leader = psutil.Process(int(mark.read_text())), find("sleeper", tmp_path)
    assert leader is not None
    assert orphan not in leader.children(recursive=True)
    assert stop(["sleeper"], tmp_path) == ["sleeper"]
    assert list_recorded(tmp_path) == []
    assert not leader.is_running()
    deadline = time.monotonic() + 10
    while orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
