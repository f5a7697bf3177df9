"""Commands that say whose timelines are collected."""

from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize

import pytest
from stand_ins import CAIN, COMPLETE, INDEBTED, run, stand_in

from neople_timeline import pipeline
from neople_timeline.cli.main import INTERRUPTED
from neople_timeline.errors import ConfigError
from neople_timeline.models import CharacterKey, Member, Reject
from neople_timeline.neople.protocol import FoundCharacter
from neople_timeline.roster import Roster, read_roster


def test_an_import_tells_what_came_of_each_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(b"whatever")
    roster = Roster((Member(CAIN, None),) * 3, (Reject(7, "cain,\x1b[31mx", "a character id has 32 digits"),), 2)
    steps = stand_in(monkeypatch, import_roster=(roster, 1))
    result = run("roster", "import", str(file))
    assert result.exit_code == INDEBTED
    assert steps.calls[0][1][0] == b"whatever"
    assert "1 character added, 2 there already, 2 lines repeated." in result.output
    assert "line 7: cain,\ufffd[31mx: a character id has 32 digits" in result.output


def test_an_import_tells_of_servers_that_are_not_known_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_bytes(b"")
    stand_in(
        monkeypatch,
        import_roster=(Roster((Member(CAIN, None), Member(CharacterKey("cian", "b" * 32), None)), (), 0), 2),
    )
    result = run("roster", "import", str(tmp_path / "roster.csv"))
    assert result.exit_code == COMPLETE
    assert "No server is known here as cian: misspelled, unless it is new" in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("roster", "import", str(tmp_path / "none.csv"))
    assert isinstance(result.exception, ConfigError)
    assert "none.csv cannot be read: No such file" in str(result.exception)


def hit(name: str, character: CharacterKey = CAIN) -> FoundCharacter:
    return FoundCharacter(*character, name, 110, "眞 웨펀마스터")


def test_the_one_character_of_a_name_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(
        monkeypatch, search_characters=[hit("빛"), hit("빛나", CharacterKey("cain", "b" * 32))], add_members=1
    )
    assert run("roster", "add", "카인", "빛").exit_code == COMPLETE
    assert steps.calls == [("search_characters", ("cain", "빛"), {}), ("add_members", ([Member(CAIN, "빛")],), {})]


@pytest.mark.parametrize("spelling", [" 빛 ", normalize("NFD", "빛")])
def test_a_name_is_looked_for_as_the_game_spells_it(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch, search_characters=[hit("빛")], add_members=1)
    assert run("roster", "add", "카인", spelling).exit_code == COMPLETE
    assert steps.calls[0] == ("search_characters", ("cain", "빛"), {})


@pytest.mark.parametrize(
    ("hits", "said"),
    [
        ([], "There is no character named '빛' on 카인."),
        ([hit("빛나"), hit("달빛")], "2 characters with a name that contains '빛'"),
        ([hit("빛나")], "1 character with a name that contains '빛'"),
        ([hit("빛"), hit("빛", CharacterKey("bakal", "c" * 32))], "2 characters named '빛'"),
    ],
)
def test_without_exactly_one_hit_nobody_is_added(
    hits: list[FoundCharacter], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = stand_in(monkeypatch, search_characters=hits, add_members=0)
    result = run("roster", "add", "카인", "빛")
    assert result.exit_code == INDEBTED
    assert said in result.output
    assert steps.calls[-1][1] == ([],)


def test_a_choice_shows_what_tells_characters_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, search_characters=[hit("빛"), hit("빛", CharacterKey("bakal", "c" * 32))], add_members=0)
    output = run("roster", "add", "all", "빛").output
    assert f"1. 빛: 카인, level 110, 眞 웨펀마스터 (cain,{'a' * 32})" in output
    assert f"2. 빛: 바칼, level 110, 眞 웨펀마스터 (bakal,{'c' * 32})" in output


def test_who_leaves_a_choice_open_has_interrupted_and_keeps_whom_was_found_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neople_timeline.cli.roster.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    two = [hit("달"), hit("달", CharacterKey("bakal", "c" * 32))]
    steps = stand_in(monkeypatch, add_members=1)
    monkeypatch.setattr(
        pipeline, "search_characters", lambda _settings, _server, name: two if name == "달" else [hit(name)]
    )
    result = run("roster", "add", "all", "빛", "달")  # and Ctrl-D
    assert result.exit_code == INTERRUPTED
    assert steps.calls == [("add_members", ([Member(CAIN, "빛")],), {})]


def test_an_empty_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = stand_in(monkeypatch)
    result = run("roster", "add", "카인", "빛", " ")
    assert isinstance(result.exception, ConfigError)
    assert "a name is empty" in str(result.exception)
    assert steps.calls == []


def test_an_unknown_server_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    result = run("roster", "add", "카엔", "빛")
    assert isinstance(result.exception, ConfigError)
    assert "카인 (cain)" in str(result.exception)


def test_the_roster_is_listed_as_import_and_remove_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    other = CharacterKey("prey", "b" * 32)
    steps = stand_in(
        monkeypatch, list_members=(Member(CAIN, "나\x1b[2J"), Member(other, '="x",1')), remove_members=(2, 0)
    )
    listed = run("roster", "list")
    assert listed.stdout.splitlines()[1] == f"cain,{'a' * 32},나 [2J"
    assert listed.stderr == "2 characters.\n"
    roster = read_roster(listed.stdout.encode())
    assert (roster.members, roster.rejects) == ((Member(CAIN, "나 [2J"), Member(other, '="x",1')), ())
    assert run("roster", "remove", *listed.stdout.splitlines()[1:]).exit_code == COMPLETE
    assert steps.calls[-1][1] == ([CAIN, other],)


def test_removing_somebody_who_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, remove_members=(0, 0))
    assert run("roster", "remove", f"카인/{'A' * 32}").exit_code == INDEBTED
    assert isinstance(run("roster", "remove", "nobody").exception, ConfigError)
    assert isinstance(run("roster", "remove", "cain,\udcff").exception, ConfigError)
