"""What the sandbox does wrong when it is told to."""

import json
import select
import socket
import time

import pytest
from sandbox_client import KEY, SHAKEN, Client, busy, receive, running, timeline, walk


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
    assert select.select([client.connection.sock], [], [], 60)[0], "nothing is said after the answer"
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
    assert time.monotonic() - began < 60  # and not an hour


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
