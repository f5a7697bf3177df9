"""Where the local stack keeps itself, and what it lets through from the shell that starts it."""

import os
from urllib.request import getproxies, proxy_bypass

import pytest

from neople_timeline.local.home import hide_settings_from_children


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
