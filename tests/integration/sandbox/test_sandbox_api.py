"""What the sandbox answers while nothing is wrong: routes, keys, limits, settings, figures."""

import json
import time
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pytest
from sandbox_client import DAY_OF_TRUTH, KEY, Client, busy, running, timeline, walk

from neople_timeline.sandbox import api
from neople_timeline.sandbox.traffic import SECOND


@pytest.mark.parametrize("limit", [7, 10, 100])
def test_the_pages_of_all_characters_are_the_truth(client: Client, limit: int) -> None:
    truth = client.truth()
    read = []
    for server, character in client.roster():
        if client.ask(timeline((server, character)))[0] == 404:
            continue
        for answer in walk(client, (server, character), limit=limit):
            rows = answer["timeline"]["rows"]
            read += [{"serverId": server, "characterId": character} | row for row in rows]
    assert read == truth
    assert len(truth) > 500


def test_an_answer_has_all_the_fields_of_the_recorded_ones(client: Client) -> None:
    character = busy(client)
    answer = client.read(timeline(character))
    assert list(answer) == [
        *("serverId", "characterId", "characterName", "level", "jobId", "jobGrowId", "jobName", "jobGrowName"),
        *("fame", "adventureName", "guildId", "guildName", "timeline"),
    ]
    assert (answer["serverId"], answer["characterId"]) == character
    assert answer["timeline"]["date"] == DAY_OF_TRUTH
    assert len(answer["timeline"]["next"]) in {160, 192}
    assert len(answer["timeline"]["rows"]) == 10


def test_without_dates_it_is_the_last_thirty_days(client: Client) -> None:
    server, character = busy(client)
    dates = client.read(f"/df/servers/{server}/characters/{character}/timeline")["timeline"]["date"]
    start, end = (time.mktime(time.strptime(dates[name], "%Y-%m-%d %H:%M")) for name in ("start", "end"))
    assert end - start == 30 * 86_400


def test_a_key_is_needed_and_must_be_the_right_one(client: Client) -> None:
    path = timeline(busy(client))
    assert client.refusal(path, key=None) == (401, "API000")
    assert client.refusal(path, key="another") == (401, "API003")
    assert client.refusal(path + "&apikey=another", key=None) == (401, "API003")


def test_a_key_in_the_query_works_and_is_counted(client: Client) -> None:
    assert client.ask(timeline(busy(client), apikey=KEY), key=None)[0] == 200
    assert client.ask(timeline(busy(client)))[0] == 200
    assert client.read("/sandbox/stats")["keys_in_query"] == 1


def test_a_key_can_be_revoked_or_blocked(client: Client) -> None:
    client.put("/sandbox/settings", {"key_error": "API004"})
    assert client.refusal("/df/servers") == (401, "API004")
    client.put("/sandbox/settings", {"key_error": None, "key": "another"})
    assert client.refusal("/df/servers") == (401, "API003")
    assert client.ask("/df/servers", key="another")[0] == 200


def test_what_is_not_there(client: Client) -> None:
    roster = client.roster()
    home, character = roster[1]
    elsewhere = "bakal" if home != "bakal" else "cain"
    assert client.refusal(timeline(("nowhere", character))) == (404, "DNF000")
    assert client.refusal(timeline((elsewhere, character))) == (404, "DNF001")
    assert client.refusal(timeline((home, "0" * 32))) == (404, "DNF001")
    assert client.refusal(timeline(roster[0])) == (404, "DNF001")  # the first of two that are missing
    assert client.refusal("/df/nonsense") == (404, "DNF900")
    assert client.refusal(timeline(roster[1], startDate="tomorrow")) == (400, "DNF006")
    assert client.refusal(timeline(roster[1], next="00")) == (400, "DNF901")


def test_the_other_pages_of_a_character(client: Client) -> None:
    assert [row["serverId"] for row in client.read("/df/servers")["rows"]] == [
        *("cain", "diregie", "siroco", "prey", "casillas", "hilder", "anton", "bakal"),
    ]
    server, character = busy(client)
    for path, field in (("", "guildName"), ("/status", "status"), ("/equip/equipment", "equipment")):
        page = client.read(f"/df/servers/{server}/characters/{character}{path}")
        assert page["characterId"] == character
        assert field in page


def test_characters_are_found_by_name(client: Client) -> None:
    server, character = client.roster()[3]
    name = client.read(timeline((server, character)))["characterName"]
    for where in (server, "all"):
        rows = client.read(f"/df/servers/{where}/characters?characterName={quote(name)}")["rows"]
        assert [row["characterId"] for row in rows] == [character]
    part = client.read(f"/df/servers/all/characters?characterName={quote(name[1:3])}&wordType=full")["rows"]
    assert character in {row["characterId"] for row in part}
    assert client.read(f"/df/servers/all/characters?characterName={quote(name[:2])}")["rows"] == []
    assert client.refusal("/df/servers/all/characters?characterName=") == (400, "DNF901")
    assert client.refusal(f"/df/servers/nowhere/characters?characterName={quote(name)}") == (404, "DNF000")


def test_hostile_names_are_found_too(client: Client) -> None:
    for index in (5, 21, 37, 53):
        server, character = client.roster()[index]
        name = client.read(timeline((server, character)))["characterName"]
        rows = client.read(f"/df/servers/{server}/characters?characterName={quote(name, safe='')}")["rows"]
        assert [row["characterName"] for row in rows] == [name]


def test_characters_are_found_by_fame(client: Client) -> None:
    answer = client.read("/df/servers/all/characters-fame?minFame=30000&maxFame=32000&limit=3")
    fames = [row["fame"] for row in answer["rows"]]
    assert answer["fame"] == {"min": 30000, "max": 32000}
    assert fames == sorted(fames, reverse=True)
    assert 0 < len(fames) <= 3
    assert all(30000 <= fame <= 32000 for fame in fames)
    assert client.refusal("/df/servers/all/characters-fame?minFame=1&maxFame=2002") == (400, "DNF901")


def test_the_truth_of_one_character_is_a_part_of_the_whole(client: Client) -> None:
    server, character = busy(client)
    alone = client.truth(serverId=server, characterId=character)
    assert alone == [event for event in client.truth() if event["characterId"] == character]
    counts = client.read(f"/sandbox/truth/counts?{urlencode(DAY_OF_TRUTH)}")
    assert counts["by_character"][f"{server}/{character}"] == len(alone)
    assert counts["events"] == sum(counts["by_code"].values()) == len(client.truth())
    assert (counts["characters"], counts["missing"]) == (60, 2)


def test_control_requests_that_make_no_sense_say_why(client: Client) -> None:
    for method, path, body in (
        ("GET", "/sandbox/truth", None),
        ("GET", "/sandbox/truth?start=yesterday&end=today", None),
        ("PUT", "/sandbox/settings", {"unheard": 1}),
        ("PUT", "/sandbox/faults", [{"fault": "unheard"}]),
        ("PUT", "/sandbox/faults", {"fault": "nan"}),
    ):
        status, text = client.ask(path, method=method, body=body)
        assert status == 400
        assert json.loads(text)["error"]
    assert client.ask("/sandbox/nothing")[0] == 404
    assert client.ask("/elsewhere")[0] == 404


def test_requests_above_the_limit_are_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0)  # stands still, however slow this machine is
    clock.monotonic_ns = lambda: clock.now
    monkeypatch.setattr(api, "time", clock)
    with running(rate=5) as client:
        statuses = [client.ask("/df/servers")[0] for _ in range(9)]
        assert statuses == [200] * 5 + [429] * 4
        client.put("/sandbox/settings", {"statuses": {"API002": 503}, "retry_after": "3"})
        assert client.refusal("/df/servers") == (503, "API002")
        assert client.headers["Retry-After"] == "3"
        stats = client.read("/sandbox/stats")
        assert (stats["requests"], stats["violations"], stats["peak_per_second"]) == (10, 5, 10)
        assert stats["by_error"] == {"API002": 5}
        assert stats["by_status"] == {"200": 5, "429": 4, "503": 1}
        clock.now += SECOND
        assert client.ask("/df/servers")[0] == 200


def test_figures_tell_what_was_asked_twice(client: Client) -> None:
    character = busy(client)
    client.ask("/sandbox/stats/reset", method="POST")
    for path in (timeline(character), timeline(character), timeline(character, limit=50)):
        client.read(path)
    stats = client.read("/sandbox/stats?characters")
    assert (stats["requests"], stats["timeline_distinct"], stats["timeline_repeated"]) == (3, 2, 1)
    assert stats["by_route"] == {"timeline": 3}
    assert stats["by_character"] == {character[1]: 3}
    assert stats["first_at"] <= stats["last_at"]


def test_latency_is_waited_for(client: Client) -> None:
    client.put("/sandbox/settings", {"latency_seconds": 0.08, "latency_jitter_seconds": 0.01})
    began = time.monotonic()
    client.read("/df/servers")
    assert time.monotonic() - began >= 0.08


def test_maintenance_is_for_all_routes_until_it_ends(client: Client) -> None:
    client.put("/sandbox/settings", {"maintenance": True})
    assert client.refusal("/df/servers") == (503, "DNF980")
    assert client.refusal(timeline(client.roster()[1])) == (503, "DNF980")
    client.put("/sandbox/settings", {"maintenance": False})
    assert client.ask("/df/servers")[0] == 200


def test_facts_that_nobody_knows_can_be_switched(client: Client) -> None:
    character = busy(client)
    total = len(client.truth(serverId=character[0], characterId=character[1]))
    assert len(client.read(timeline(character, limit=101))["timeline"]["rows"]) == total
    assert client.read(timeline(character, limit=total))["timeline"]["next"] is None
    client.put("/sandbox/settings", {"clamp_limit": False, "full_page_goes_on": True, "old_envelope": True})
    assert client.refusal(timeline(character, limit=101)) == (400, "DNF901")
    sizes = [len(answer["timeline"]["rows"]) for answer in walk(client, character, limit=total)]
    assert sizes == [total, 0]
    assert not {"serverId", "fame"} & set(client.read(timeline(character)))
