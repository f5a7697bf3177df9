import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import uvloop

from neople_timeline.sandbox.api import Sandbox, SandboxOptions

KEY = "a-key-of-the-tests"
DAY = {"startDate": "20261115T0600", "endDate": "20261116T0559"}
DAY_OF_TRUTH = {"start": "2026-11-15 06:00", "end": "2026-11-16 05:59"}
SHAKEN = (ConnectionError, http.client.HTTPException)


class Client:
    """One connection that is opened anew after it broke."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host, timeout=10)

    def ask(self, path: str, *, method: str = "GET", key: str | None = KEY, body: Any = None) -> tuple[int, bytes]:
        sent = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, sent, {"apikey": key} if key else {})
            answer = self.connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        except SHAKEN:
            self.connection.close()
            raise

    def read(self, path: str) -> Any:
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def refusal(self, path: str, key: str | None = KEY) -> tuple[int, str]:
        status, body = self.ask(path, key=key)
        error = json.loads(body)["error"]
        assert error["status"] == status
        return status, error["code"]

    def put(self, path: str, body: Any) -> Any:
        status, text = self.ask(path, method="PUT", key=None, body=body)
        assert status == 200, text
        return json.loads(text)

    def roster(self) -> list[tuple[str, str]]:
        head, *lines = self.ask("/sandbox/roster.csv", key=None)[1].decode().splitlines()
        assert head == "serverId,characterId"
        return [(server, character) for server, _, character in (line.partition(",") for line in lines)]

    def truth(self, **more: str) -> list[dict[str, Any]]:
        text = self.ask(f"/sandbox/truth?{urlencode(DAY_OF_TRUTH | more)}", key=None)[1].decode()
        return [json.loads(line) for line in text.splitlines()]


def timeline(character: tuple[str, str], **parameters: object) -> str:
    return f"/df/servers/{character[0]}/characters/{character[1]}/timeline?{urlencode(DAY | parameters)}"


def receive(wire: socket.socket, received: bytearray) -> None:
    while piece := wire.recv(65_536):
        received += piece


@contextmanager
def running(**options: Any) -> Iterator[Client]:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def make() -> tuple[Sandbox, str]:
        usual = {"characters": 40, "seed": 1, "rate": 0, "latency_seconds": 0.0, "key": KEY}
        sandbox = Sandbox(SandboxOptions(**(usual | options)))
        return sandbox, await sandbox.start()

    sandbox, url = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
    client = Client(url)
    try:
        yield client
    finally:
        client.connection.close()
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    with running(characters=60, missing=2) as client:
        yield client


@pytest.fixture
def client(shared: Client) -> Iterator[Client]:
    """The shared sandbox, with no rule, figure or setting left from another test."""
    before = json.loads(shared.ask("/sandbox/settings", key=None)[1])
    yield shared
    shared.put("/sandbox/settings", before | {"key": KEY})
    shared.ask("/sandbox/faults", method="DELETE")
    shared.ask("/sandbox/stats/reset", method="POST")


def busy(client: Client) -> tuple[str, str]:
    """A character with a few pages of ten."""
    counts = client.read(f"/sandbox/truth/counts?{urlencode(DAY_OF_TRUTH)}")["by_character"]
    server, _, character = next(name for name, count in counts.items() if 25 <= count < 100).partition("/")
    return server, character


def walk(client: Client, character: tuple[str, str], **parameters: object) -> list[dict[str, Any]]:
    answers = [client.read(timeline(character, **parameters))]
    while cursor := answers[-1]["timeline"]["next"]:
        answers.append(client.read(timeline(character, next=cursor)))
    return answers


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


def test_requests_above_the_limit_are_refused_and_counted() -> None:
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
        time.sleep(1.01)
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
    assert 0.08 <= time.monotonic() - began < 2


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


def test_a_rule_strikes_as_often_as_it_says(client: Client) -> None:
    character, other = busy(client), client.roster()[1]
    client.put("/sandbox/faults", [{"fault": "status_500", "character": character[1], "times": 2, "after": 1}])
    assert [client.ask(timeline(character))[0] for _ in range(5)] == [200, 500, 500, 200, 200]
    assert client.ask(timeline(other))[0] == 200
    assert client.read("/sandbox/faults")[0]["struck"] == 2
    assert client.read("/sandbox/stats")["by_fault"] == {"status_500": 2}


def test_other_routes_have_faults_when_asked_for(client: Client) -> None:
    client.put("/sandbox/faults", [{"fault": "html_200", "route": "servers"}])
    assert client.ask("/df/servers")[1].startswith(b"<!DOCTYPE html>")
    assert client.headers["Content-Type"].startswith("text/html")
    assert client.read(timeline(busy(client)))["timeline"]


@pytest.mark.parametrize("fault", ["reset_before", "reset_in_body"])
def test_a_reset_leaves_no_whole_answer(client: Client, fault: str) -> None:
    character = busy(client)
    client.put("/sandbox/faults", [{"fault": fault, "times": 1}])
    with pytest.raises(SHAKEN):
        client.ask(timeline(character))
    assert client.ask(timeline(character))[0] == 200


def test_a_reset_in_the_body_comes_after_its_first_half(client: Client) -> None:
    character = busy(client)
    whole = client.ask(timeline(character))[1]
    client.put("/sandbox/faults", [{"fault": "reset_in_body"}])
    host, _, port = client.host.partition(":")
    received = bytearray()
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(f"GET {timeline(character)} HTTP/1.1\r\nHost: {host}\r\napikey: {KEY}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            receive(wire, received)
    headers, _, body = bytes(received).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(whole)}".encode() in headers
    assert body == whole[: len(whole) // 2]


def test_a_reset_after_the_answer_hits_the_next_request(client: Client) -> None:
    character = busy(client)
    client.put("/sandbox/faults", [{"fault": "reset_after", "times": 1}])
    assert len(json.loads(client.ask(timeline(character))[1])["timeline"]["rows"]) == 10
    time.sleep(0.1)
    with pytest.raises(SHAKEN):
        client.ask(timeline(character))
    assert client.ask(timeline(character))[0] == 200


def test_a_timeout_never_answers(client: Client) -> None:
    client.put("/sandbox/faults", [{"fault": "timeout", "seconds": 0.2, "times": 1}])
    began = time.monotonic()
    with pytest.raises(SHAKEN):
        client.ask(timeline(busy(client)))
    assert time.monotonic() - began >= 0.2


def test_a_sandbox_stops_though_somebody_waits_for_ever() -> None:
    with running() as client:
        client.put("/sandbox/faults", [{"fault": "timeout"}])
        host, _, port = client.host.partition(":")
        with socket.create_connection((host, int(port))) as wire:
            wire.sendall(f"GET {timeline(client.roster()[1])} HTTP/1.1\r\nHost: x\r\napikey: {KEY}\r\n\r\n".encode())
            began = time.monotonic()
            client.read("/sandbox/stats")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("fault", ["cut_json", "empty_200", "html_200", "nan", "deep_nesting"])
def test_what_comes_with_200_need_not_be_json(client: Client, fault: str) -> None:
    client.put("/sandbox/faults", [{"fault": fault}])
    status, body = client.ask(timeline(busy(client)))
    assert status == 200
    with pytest.raises((ValueError, RecursionError)):
        json.loads(body, parse_constant=int)


@pytest.mark.parametrize("fault", ["cursor_repeats", "cursor_cycles", "cursor_endless"])
def test_a_bad_cursor_never_ends(client: Client, fault: str) -> None:
    character = busy(client)
    client.put("/sandbox/faults", [{"fault": fault}])
    cursor, seen = None, []
    for _ in range(40):
        answer = client.read(timeline(character, limit=100, **({"next": cursor} if cursor else {})))
        cursor = answer["timeline"]["next"]
        seen.append(cursor)
    assert None not in seen
    assert len(set(seen)) == {"cursor_repeats": 1, "cursor_cycles": 2, "cursor_endless": 40}[fault]


@pytest.mark.parametrize("fault", ["unknown_code", "extra_fields", "retyped_fields", "nul"])
def test_faults_of_the_world_are_in_the_pages_and_in_the_truth(client: Client, fault: str) -> None:
    character = busy(client)
    plain = client.truth(serverId=character[0], characterId=character[1])
    client.put("/sandbox/faults", [{"fault": fault, "character": character[1]}])
    truth = client.truth(serverId=character[0], characterId=character[1])
    rows = [row for answer in walk(client, character) for row in answer["timeline"]["rows"]]
    assert rows == [{name: event[name] for name in ("code", "name", "date", "data")} for event in truth]
    assert truth != plain
    client.ask("/sandbox/faults", method="DELETE")
    assert client.truth(serverId=character[0], characterId=character[1]) == plain


def start_program(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "neople_timeline.sandbox.api", *arguments]
    return subprocess.Popen(command, env=os.environ | variables, stdout=-1, stderr=-1, text=True)


def test_the_program_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    arguments = ["--characters", "7", "--port-file", str(port_file), "--latency", "0"]
    with start_program(*arguments, SANDBOX_API_KEY="hidden-key") as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        port = port_file.read_text()
        assert line == f"sandbox API at http://127.0.0.1:{port} with 7 characters\n"
        client = Client(f"127.0.0.1:{port}")
        assert client.ask("/df/servers", key="hidden-key")[0] == 200
        client.connection.close()
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start_program("--port", str(port)) as program:
            assert program.wait(10) == 2
            assert program.stderr is not None
            assert f"cannot listen on 127.0.0.1 port {port}" in program.stderr.read()
