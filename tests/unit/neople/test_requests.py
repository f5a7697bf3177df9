import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pages import CHARACTER, CURSOR, WINDOW

from neople_timeline.models import CharacterKey
from neople_timeline.neople.protocol import (
    FoundCharacter,
    Unreadable,
    next_path,
    read_found,
    search_path,
    timeline_path,
)

# What is asked ------------------------------------------------------------------------------------------------------


def test_the_first_request_has_both_dates_and_no_code_and_the_key_nowhere() -> None:
    url = urlsplit(timeline_path(CHARACTER, WINDOW))
    assert url.path == "/df/servers/cain/characters/0123456789abcdef0123456789abcdef/timeline"
    assert parse_qs(url.query) == {"limit": ["100"], "startDate": ["20261115T0600"], "endDate": ["20261116T0559"]}


def test_a_further_request_carries_the_cursor_only() -> None:
    assert parse_qs(urlsplit(next_path(CHARACTER, CURSOR)).query) == {"next": [CURSOR]}


@given(st.text(min_size=1))
@example("a/b")
def test_whatever_an_id_or_a_name_holds_stays_where_it_belongs(text: str) -> None:
    url = urlsplit("https://api.neople.co.kr" + timeline_path(CharacterKey(text, text), WINDOW))
    assert len(url.path.split("/")) == 7
    assert set(parse_qs(url.query)) == {"limit", "startDate", "endDate"}
    search = urlsplit("https://api.neople.co.kr" + search_path("all", text, "full"))
    assert parse_qs(search.query, keep_blank_values=True)["characterName"] == [text]


def test_the_search_is_for_exactly_the_name() -> None:
    query = parse_qs(urlsplit(search_path("cain", "빛나는 검+1", "match")).query)
    assert query == {"characterName": ["빛나는 검+1"], "wordType": ["match"], "limit": ["200"]}


# The name search ----------------------------------------------------------------------------------------------------


def test_hits_are_read() -> None:
    row = {"serverId": "cain", "characterId": "ab", "characterName": "빛", "level": 110, "jobGrowName": "眞 웨펀마스터"}
    assert (
        read_found(json.dumps({"rows": [row, {**row, "fame": 3}]}).encode())
        == [FoundCharacter("cain", "ab", "빛", 110, "眞 웨펀마스터")] * 2
    )
    assert read_found(b'{"rows":[]}') == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"rows":null}', b'{"rows":[{}]}', b"<html>", b"\xff"])
def test_what_is_no_list_of_hits_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_found(body)
    assert caught.value.body == body
