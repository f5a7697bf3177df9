"""A roster file of names, whose characters the API tells."""

import json
from dataclasses import replace
from urllib.request import Request, urlopen

import pytest

from neople_timeline import pipeline
from neople_timeline.errors import RetryLater, StopCollecting
from neople_timeline.models import CharacterKey, Member
from neople_timeline.neople.client import TRIES
from neople_timeline.settings import Settings
from sandbox_control import SandboxApi

NOBODY = CharacterKey("cain", "f" * 32)


@pytest.fixture
def asking(settings: Settings, small_api: SandboxApi) -> Settings:
    """Settings with an API that knows six characters, and an empty roster."""
    return replace(settings, neople_api_url=small_api.url, neople_api_key=small_api.key)


def read_name(api: SandboxApi, character: CharacterKey) -> str:
    path = f"{api.url}/df/servers/{character.server_id}/characters/{character.character_id}"
    with urlopen(Request(path, headers={"apikey": api.key})) as answer:  # noqa: S310 - loopback
        return str(json.load(answer)["characterName"])


def write_names(*lines: tuple[str, str]) -> bytes:
    """Write a roster of names; none of these has a comma or a quote in it."""
    return "\n".join(["serverId,characterName", *map(",".join, lines)]).encode()


def test_who_is_named_is_found_and_who_is_not_is_told(asking: Settings, small_api: SandboxApi) -> None:
    known = [Member(character, read_name(small_api, character)) for character in small_api.characters()]
    lines = [(one.character.server_id, one.name or "") for one in known]
    seen: list[tuple[int, int]] = []
    data = write_names(*lines[:5], ("cain", "이런이름은없다"), ("nowhere", "빛"), ("all", lines[5][1]))
    roster, added = pipeline.import_roster(asking, data, lambda *progress: seen.append(progress))
    assert (roster.characters, added) == (tuple(one.character for one in known), 6)
    assert pipeline.list_members(asking) == sorted(known, key=lambda one: one.character)
    assert [(reject.line_number, reject.line) for reject in roster.rejects] == [
        (7, "cain,이런이름은없다"),
        (8, "nowhere,빛"),
    ]
    assert roster.rejects[0].reason == "there is no character of that name on 카인"
    assert seen[-1] == (8, 8)

    again, added = pipeline.import_roster(asking, write_names(*lines))
    assert (len(again.characters), added) == (6, 0)


def test_an_answer_that_makes_no_sense_costs_its_own_line_only(
    asking: Settings, small_api: SandboxApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neople_timeline.neople.client.random.uniform", lambda *_: 0)
    first, second, *_ = small_api.characters()
    names = [(one.server_id, read_name(small_api, one)) for one in (first, second)]
    small_api.fail({"fault": "html_200", "route": "search", "times": 2 * TRIES - 1})
    roster, added = pipeline.import_roster(asking, write_names(*names))
    assert (added, len(roster.characters)) == (1, 1)
    assert [reject.reason[:33] for reject in roster.rejects] == ["the API did not say who that is: "]


def test_in_an_outage_the_names_that_are_left_are_told_and_not_asked_for(
    asking: Settings, small_api: SandboxApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neople_timeline.neople.client.random.uniform", lambda *_: 0)
    small_api.fail({"fault": "html_200", "route": "search"})
    roster, added = pipeline.import_roster(asking, write_names(*(("cain", f"이름{n}") for n in range(1000))))
    assert (added, len(roster.rejects)) == (0, 1000)
    assert small_api.stats()["requests"] < 1000


@pytest.mark.parametrize("change", [{"maintenance": True}, {"key_error": "API003"}])
def test_who_was_found_before_the_api_went_down_is_on_the_roster(
    asking: Settings, small_api: SandboxApi, change: dict[str, object]
) -> None:
    names = [(one.server_id, read_name(small_api, one)) for one in small_api.characters()]

    def switch(done: int, _: int) -> None:
        if done == 1:
            small_api.switch(**change)

    small_api.switch(latency_seconds=0.05)
    many = [*names[:1], *(("cain", f"이름{n}") for n in range(500))]
    roster, added = pipeline.import_roster(asking, write_names(*many), switch)
    assert (added, len(roster.rejects)) == (1, 500)
    assert "the API did not say who that is" in roster.rejects[-1].reason


@pytest.mark.parametrize(
    ("change", "refusal"), [({"maintenance": True}, RetryLater), ({"key_error": "API003"}, StopCollecting)]
)
def test_those_with_an_id_are_on_the_roster_though_nobody_answers(
    change: dict[str, object], refusal: type[Exception], asking: Settings, small_api: SandboxApi
) -> None:
    small_api.switch(**change)
    data = f"serverId,characterId,characterName\n{','.join(NOBODY)},\ncain,,빛\n".encode()
    with pytest.raises(refusal):
        pipeline.import_roster(asking, data)
    assert pipeline.list_members(asking) == [Member(NOBODY, None)]
