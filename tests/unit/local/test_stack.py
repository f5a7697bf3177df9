"""What `make run` does before it starts anything."""

from pathlib import Path

import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.local import stack

HEADER = "serverId,characterId\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "first line must be the header serverId,characterId or serverId,characterName; it is empty",
        ),
        (HEADER, "roster.csv names no character that can be used"),
        (f"{HEADER}cain,1\n", "its server and its id or name\n  line 2: cain,1: a character id has 32"),
        (HEADER + "cain,1\n" * 7, "\n  … and 2 more"),
    ],
)
def test_a_roster_that_names_nobody_is_refused_with_its_lines(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        stack.read_roster(file, "a key")
    assert said in str(refused.value)


@pytest.mark.parametrize("text", [f"{HEADER}cain,1\ncain,{'a' * 32}\n", "serverId,characterName\ncain,빛\ncain\n"])
def test_a_roster_with_one_character_is_taken_whatever_else_is_in_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(text)
    assert stack.read_roster(file, "a key") == file.read_bytes()
