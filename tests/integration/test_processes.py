"""What the local stack starts, it stops: with all that descends from it."""

import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from neople_timeline.local import stack
from neople_timeline.local.processes import (
    LocalError,
    NotReadyError,
    Service,
    choose_port,
    find,
    is_listening,
    list_recorded,
    read_since_start,
    start,
    stop,
)


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


@pytest.mark.parametrize("command", ["exec sleep 300", "echo no; exit 1"])
def test_who_answers_in_the_place_of_a_service_is_not_taken_for_it(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        ready = lambda: is_listening(port)  # noqa: E731
        service = Service("late", ["sh", "-c", command], ready, port, patience_seconds=0.5)
        with pytest.raises(LocalError, match=f"port {port} was taken by another program"):
            start(service, tmp_path)
    stop(["late"], tmp_path)


def test_what_keeps_a_service_from_answering_is_told(tmp_path: Path) -> None:
    def ready() -> bool:
        raise NotReadyError("no SSL is spoken here")

    with pytest.raises(LocalError, match=r"^mute does not answer after 0 s: no SSL is spoken here\. Its log"):
        start(Service("mute", ["sleep", "300"], ready, patience_seconds=0), tmp_path)
    stop(["mute"], tmp_path)


def test_a_service_may_listen_in_a_child_of_its_process(tmp_path: Path) -> None:
    port = choose_port()
    serve = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(300)"
    command = ["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", serve]
    assert start(Service("served", command, lambda: is_listening(port), port), tmp_path)
    assert stop(["served"], tmp_path, patience_seconds=0) == ["served"]


def test_two_programs_that_start_at_once_choose_different_ports() -> None:
    choose = "from neople_timeline.local.processes import choose_port; print(choose_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", choose], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        port = int(other.stdout.readline())
        assert choose_port(port) != port  # though nobody listens there yet
        other.stdin.write(b"\n")
    assert choose_port(port) == port


def has_said(name: str, words: str, home: Path) -> bool:
    return words in read_since_start(name, home)


def test_a_service_that_is_started_again_is_ready_by_what_it_says_now(tmp_path: Path) -> None:
    talks = Service(
        "talks", ["sh", "-c", "echo at work; exec sleep 300"], partial(has_said, "talks", "at work", tmp_path)
    )
    start(talks, tmp_path)
    stop(["talks"], tmp_path)
    with pytest.raises(LocalError, match="does not answer after 1 s"):
        start(replace(talks, command=["sleep", "300"], patience_seconds=1), tmp_path)
    stop(["talks"], tmp_path)


def test_whichever_part_ends_is_named_with_its_log_and_postgres_before_those_that_need_it(tmp_path: Path) -> None:
    names = ["airflow-api", "objects", "postgres"]

    for name in names:
        script = f"echo the last words of {name}; exec sleep 300"
        start(Service(name, ["sh", "-c", script], partial(has_said, name, "the last words", tmp_path)), tmp_path)
    require_parts = stack.watch(tmp_path)
    require_parts()
    for name, gone in zip(names, ("airflow-api", "objects and airflow-api", "postgres and objects and"), strict=True):
        process = find(name, tmp_path)
        assert process
        process.kill()
        psutil.wait_procs([process], timeout=5)
        with pytest.raises(LocalError, match=f"^{gone}") as raised:
            require_parts()
        assert str(raised.value).endswith(f"the last words of {name}")
    stop(names, tmp_path)
