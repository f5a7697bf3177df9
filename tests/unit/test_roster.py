import csv
import io
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.errors import ConfigError
from neople_timeline.export import write_line
from neople_timeline.models import SERVERS, CharacterKey, Member
from neople_timeline.roster import Named, find_server, read_roster

A, B, C = (letter * 32 for letter in "abc")
HEADER = "serverId,characterId\n"


def test_a_plain_file_is_read_in_its_order() -> None:
    roster = read_roster(f"{HEADER}cain,{B}\nbakal,{A}\n".encode())
    assert roster.characters == (CharacterKey("cain", B), CharacterKey("bakal", A))
    assert (roster.rejects, roster.repeated) == ((), 0)


@pytest.mark.parametrize("name", ["-이름-", "＝1", "빛"])
def test_what_the_list_writes_is_read_as_it_was(name: str) -> None:
    line = write_line(["cain", A, name])
    assert line.startswith(f"cain,{A},'") == (name != "빛")
    assert read_roster(f"serverId,characterId,characterName\n{line}".encode()).members == (
        Member(CharacterKey("cain", A), name),
    )


KEYS = st.tuples(st.sampled_from(sorted(SERVERS)), st.text("0123456789abcdef", min_size=32, max_size=32))


HABITS = st.fixed_dictionaries(
    {
        "end": st.sampled_from(["\n", "\r\n", "\r"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "cp949", "utf-16"]),
        "between": st.sampled_from([",", ";", "\t"]),
        "korean": st.booleans(),
        "quote": st.sampled_from(["", '"']),
        "blank": st.sampled_from(["", " ", "\t"]),
        "empty": st.integers(0, 3),
    }
)


@given(st.lists(KEYS), HABITS)
def test_how_a_spreadsheet_saves_it_makes_no_difference(keys: list[tuple[str, str]], habits: dict[str, Any]) -> None:
    between, quote = habits["between"], habits["quote"]
    blank, lines = "" if between == "\t" else habits["blank"], [f"serverId{between}characterId"]
    for server, character in keys:
        name = SERVERS[server] if habits["korean"] else server.upper()
        cells = (f"{quote}{cell}{blank}{quote}" for cell in (name, character.upper()))
        lines += ["" for _ in range(habits["empty"])] + [between.join(cells)]
    roster = read_roster(habits["end"].join([*lines, f" {between} ", ""]).encode(habits["encoding"]))
    assert roster.characters == tuple(dict.fromkeys(CharacterKey(*key) for key in keys))
    assert roster.repeated == len(keys) - len(set(keys))
    assert roster.rejects == ()


def test_korean_windows_text_is_read_too() -> None:
    assert read_roster(f"{HEADER}카인,{A}\n".encode("cp949")).characters == (CharacterKey("cain", A),)


def test_further_columns_and_another_order_do_no_harm() -> None:
    roster = read_roster(f"name,characterId,serverId,note\n아무개,{A},prey,\n".encode())
    assert roster.characters == (CharacterKey("prey", A),)


def test_a_name_counts_where_there_is_no_id() -> None:
    text = f"serverId,characterId,characterName\ncain,{A},빛\n카인,,  달 \nall,,달\ncain,,{normalize('NFD', '달')}\n"
    roster = read_roster(text.encode())
    assert roster.members == (Member(CharacterKey("cain", A), "빛"),)
    assert roster.named == (Named(3, "cain", "달"), Named(4, "all", "달"))
    assert (roster.rejects, roster.repeated) == ((), 1)


def test_a_name_does_not_stand_for_an_id_that_is_wrong() -> None:
    roster = read_roster(f"serverId,characterId,characterName\ncain,{A[1:]},빛\ncain,,\ncain\ncain,,a\x07b\n".encode())
    assert (roster.characters, roster.named) == ((), ())
    reasons = [reject.reason for reject in roster.rejects]
    assert ["32 digits" in reasons[0], "neither an id" in reasons[1], "neither an id" in reasons[2]] == [True] * 3
    assert reasons[3] == "the name has characters that no name has"


def test_names_give_way_to_whom_the_api_found_and_the_others_are_told_by_line() -> None:
    text = f"serverId,characterId,characterName\ncain,{A},\ncain,,빛\ncain,,누구\nno server,,빛\nprey,,달\n"
    roster = read_roster(text.encode())
    light, nobody, moon = roster.named
    there, new = CharacterKey("cain", A), CharacterKey("prey", B)
    resolved = roster.resolve({moon: new, light: there, nobody: "there is nobody"})
    assert resolved.characters == (there, new)
    assert (resolved.named, resolved.repeated) == ((), 1)
    assert [(reject.line_number, reject.line) for reject in resolved.rejects] == [
        (4, "cain,누구"),
        (5, "no server,,빛"),
    ]
    assert resolved.rejects[0].reason == "there is nobody"
    assert resolved.describe(added=1)[0] == "1 character added, 1 there already, 1 line repeated."


@given(st.lists(st.tuples(st.sampled_from(sorted(SERVERS)), st.text(max_size=20))))
def test_any_name_is_kept_or_told(lines: list[tuple[str, str]]) -> None:
    data = io.StringIO()
    csv.writer(data).writerows([("serverId", "characterName"), *lines])
    roster = read_roster(data.getvalue().encode("utf-8", "surrogatepass"))
    assert all(line.name.strip() and line.name.isprintable() for line in roster.named)
    plain = {(server, normalize("NFC", name.strip())) for server, name in lines if name.strip() and name.isprintable()}
    assert plain == {(line.server_id, line.name) for line in roster.named} & plain


def test_each_line_that_cannot_be_used_is_named_and_the_others_count() -> None:
    lines = ["cain", f"cain,{A[1:]}", f"CAIN,{B}", f"ca in,{A}", f"cain,{A}x", ",", "cain,", f"{A},cain", f"prey,{C}"]
    roster = read_roster((HEADER + "\n".join(lines)).encode())
    assert roster.characters == (CharacterKey("cain", B), CharacterKey("prey", C))
    assert [(reject.line_number, reject.line) for reject in roster.rejects] == [
        (2, "cain"),
        (3, f"cain,{A[1:]}"),
        (5, f"ca in,{A}"),
        (6, f"cain,{A}x"),
        (8, "cain,"),
        (9, f"{A},cain"),
    ]
    assert "32 digits" in roster.rejects[0].reason
    assert "server" in roster.rejects[2].reason


def test_a_server_that_came_after_this_program_is_left_to_the_api_to_judge() -> None:
    roster = read_roster(f"{HEADER}newserver,{A}\ncain,{A}".encode())
    assert roster.characters == (CharacterKey("newserver", A), CharacterKey("cain", A))
    assert (roster.rejects, roster.strange_servers) == ((), ("newserver",))


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    roster = read_roster(f'{HEADER}"cain,{A}\nprey,{B}\nprey,{C}"\nbakal,{A}\n'.encode())
    assert roster.characters == (CharacterKey("prey", B), CharacterKey("bakal", A))
    assert [reject.line_number for reject in roster.rejects] == [2, 4]


def test_a_line_of_any_length_costs_itself_only() -> None:
    roster = read_roster(f'{HEADER}"{"x" * 200_000}\nprey,{B}\n'.encode())
    assert roster.characters == (CharacterKey("prey", B),)
    assert len(roster.rejects[0].line) == 200


@given(st.binary(max_size=60))
def test_any_bytes_below_the_header_are_read_or_named(data: bytes) -> None:
    try:
        roster = read_roster(HEADER.encode() + data)
    except ConfigError:
        return
    assert all(len(key.character_id) == 32 for key in roster.characters)


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", f"cain,{A}\n".encode(), b"serverId|characterId\n", "﻿serverId\n".encode()]
)
def test_a_file_without_the_header_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="serverId,characterId"):
        read_roster(data)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\xd8", b"PK\x03\x04\xff\xff\xff"])
def test_a_file_that_is_no_text_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"CSV \(UTF-8\)"):
        read_roster(data)


@pytest.mark.parametrize(
    ("name", "server"), [("카인", "cain"), ("cain", "cain"), (" Cain ", "cain"), ("바칼", "bakal")]
)
def test_a_server_is_found_by_either_name(name: str, server: str) -> None:
    assert find_server(name) == server
    assert find_server(normalize("NFD", name)) == server


def test_no_such_server_is_none() -> None:
    assert find_server("카인인") is None
    assert find_server("") is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        ("서버;캐릭터\n".encode("cp949"), "it is '서버,캐릭터'"),
        (b"PK\x03\x04" + bytes(100), "is an Excel workbook: save it as CSV"),
        (bytes(range(256)), "is no text"),
        (b"\xff\xfe\x00", "is no text"),
    ],
)
def test_what_is_no_roster_is_refused_with_what_it_is(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_roster(data)
