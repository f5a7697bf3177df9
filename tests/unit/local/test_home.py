"""Where the local stack keeps itself, and what it lets through from the shell that starts it."""

import os
import socket
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import pytest

from neople_timeline.local import home, processes, screen, stack
from neople_timeline.local.home import hide_settings_from_children, open_local


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of the test's own."""
    own: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", own)
    return own


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("direct", ["", "example.org", "*"])
def test_parts_on_this_machine_are_asked_without_the_shell_s_proxy(
    environment: dict[str, str], name: str, direct: str
) -> None:
    environment.update({"http_proxy": "http://proxy.example.org:3128", name: direct})
    hide_settings_from_children()
    assert getproxies()["http"]
    assert proxy_bypass("127.0.0.1")
    assert proxy_bypass("localhost")
    assert bool(proxy_bypass("example.org")) == bool(direct)
    assert not proxy_bypass("api.neople.co.kr") or direct == "*"
    assert environment["no_proxy"] == environment["NO_PROXY"]


def test_what_the_shell_says_of_other_parts_reaches_none_of_the_stack_s(environment: dict[str, str]) -> None:
    environment.update({"NEOPLE_API_KEY": " key ", "DAY_STARTS_AT": "00:00", "PATH": "/bin"})
    foreign = ("PGSSLMODE", "PGHOST", "WAREHOUSE_URL", "SMTP_URL", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW_HOME")
    environment.update(dict.fromkeys(foreign, "elsewhere"))
    assert hide_settings_from_children() == "key"
    assert "elsewhere" not in environment.values()
    assert {"DAY_STARTS_AT", "PATH"} <= set(environment)


def test_a_part_that_had_to_listen_elsewhere_comes_back_once_its_port_is_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr(screen, "say", said.append)
    ports = {name: processes.choose_port() for name in home.PORTS}
    for module in (home, stack):
        monkeypatch.setattr(module, "PORTS", ports)
    (tmp_path / "timeline_daily.py").touch()
    usual = ports["mail"]
    with socket.create_server(("127.0.0.1", usual)):
        first, second = (open_local(tmp_path, tmp_path, "") for _ in range(2))
        assert first.ports["mail"] == second.ports["mail"] != usual
        stack.say_moved(second)
        assert said == [f"[yellow]Port {usual} is taken by another program: mail listens on {second.ports['mail']}.[/]"]
    third = open_local(tmp_path, tmp_path, "")
    assert third.ports == ports
    stack.say_moved(third)
    processes.remember("mail", second.home)  # it runs, where it was started
    stack.say_moved(second)
    assert len(said) == 1
