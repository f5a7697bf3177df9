from datetime import date, timedelta

import pytest

from neople_timeline.absences import DOUBTED, Absences
from neople_timeline.models import CharacterKey, Claim

FIRST = date(2026, 8, 1)
KNEW, NOBODY = "knew it the last time", "has found nobody"


def claim(number: int, window: int = 0) -> Claim:
    """Give a claim of three days of a character; its windows follow each other."""
    start = FIRST + timedelta(days=3 * window)
    return Claim(CharacterKey("cain", f"{number:032x}"), tuple(start + timedelta(days=day) for day in range(3)), 0)


def run(*, has_found_anybody: bool, found: int, lost: int, new: int, windows: int = 1) -> dict[str | None, int]:
    """Ask for characters; count the new absences by their doubt."""
    absences = Absences(has_found_anybody=has_found_anybody)
    claims = [[claim(number, window) for window in range(windows)] for number in range(found + lost + new)]
    absences.ask([one for windows_of_one in claims for one in windows_of_one])
    for number, windows_of_one in enumerate(claims):
        for one in windows_of_one:
            if number < found:
                absences.find(one)
            else:
                assert not absences.add(one, "DNF001", was_there=True if number < found + lost else None)
    settled = absences.settle()
    assert not absences.gone
    assert {absence.answer for absence in settled} <= {"DNF001"}
    doubts = [absence.doubt for absence in settled]
    return {doubt: doubts.count(doubt) for doubt in doubts}


@pytest.mark.parametrize(
    ("before", "found", "lost", "new", "expected"),
    [
        pytest.param(True, 10, 0, 2, {None: 2}, id="wrong ids beside others who are there"),
        pytest.param(True, 0, 0, 2, {None: 2}, id="wrong ids alone, after others were found before"),
        pytest.param(False, 0, 0, 2, {NOBODY: 2}, id="a first day on which nobody is found"),
        pytest.param(False, 1, 0, 2, {None: 2}, id="a first day on which one is found"),
        pytest.param(True, 1, 2, 0, {None: 2}, id="few are lost, whatever their share"),
        pytest.param(True, 0, 1, 0, {KNEW: 1}, id="the only one is lost"),
        pytest.param(True, 10, DOUBTED, 1, {KNEW: DOUBTED, None: 1}, id="many of a small roster are lost"),
        pytest.param(True, 297, 3, 0, {None: 3}, id="a hundredth is lost"),
        pytest.param(True, 296, 3, 0, {KNEW: 3}, id="more than a hundredth is lost"),
    ],
)
def test_who_is_lost_is_doubted_if_many_are_or_all(
    before: bool,  # noqa: FBT001 - a table
    found: int,
    lost: int,
    new: int,
    expected: dict[str | None, int],
) -> None:
    assert run(has_found_anybody=before, found=found, lost=lost, new=new) == expected


def test_the_hundredth_counts_characters_and_not_their_windows() -> None:
    assert run(has_found_anybody=True, found=296, lost=3, new=0, windows=4) == {KNEW: 3 * 4}
    assert run(has_found_anybody=True, found=297, lost=3, new=0, windows=4) == {None: 3 * 4}


def test_a_character_that_is_lost_in_one_of_its_windows_only_counts_as_lost() -> None:
    absences = Absences(has_found_anybody=True)
    for number in range(DOUBTED):
        absences.ask([claim(number, 0), claim(number, 1)])
        absences.find(claim(number, 0))
        absences.add(claim(number, 1), "DNF001", was_there=True)
    assert {absence.claim: absence.doubt for absence in absences.settle()} == {
        claim(number, 1): KNEW for number in range(DOUBTED)
    }


@pytest.mark.parametrize(("before", "find"), [(True, False), (False, True), (True, True)])
def test_who_was_missing_before_is_believed_at_once_where_the_api_has_found_anybody(
    *, before: bool, find: bool
) -> None:
    absences = Absences(has_found_anybody=before)
    if find:
        absences.find(claim(1))
    assert absences.add(claim(2), "DNF001", was_there=False)
    assert not absences.gone


def test_who_was_missing_before_is_not_believed_where_nobody_was_ever_found() -> None:
    absences = Absences(has_found_anybody=False)
    assert not absences.add(claim(2), "DNF001", was_there=False)
    assert [absence.doubt for absence in absences.settle()] == [NOBODY]


def test_a_second_look_that_finds_a_character_settles_it() -> None:
    absences = Absences(has_found_anybody=True)
    for number in range(DOUBTED):
        absences.add(claim(number), "DNF001", was_there=True)
    absences.find(claim(0))  # two are left, which is not many
    assert [(absence.claim, absence.doubt) for absence in absences.settle()] == [(claim(1), None), (claim(2), None)]


def test_a_second_look_that_cannot_be_read_leaves_the_character_to_who_calls_it_owed() -> None:
    absences = Absences(has_found_anybody=True)
    absences.add(claim(1), "DNF001", was_there=True)
    absences.drop(claim(1))
    assert absences.settle() == []


def test_only_known_characters_are_lost_in_a_row_and_one_that_is_there_ends_the_row() -> None:
    absences = Absences(has_found_anybody=True)
    absences.add(claim(1), "DNF001", was_there=None)
    absences.add(claim(2, 0), "DNF001", was_there=True)
    absences.add(claim(2, 1), "DNF001", was_there=True)
    absences.add(claim(3), "DNF001", was_there=True)
    assert absences.lost_in_a_row == 2
    absences.find(claim(4))
    assert absences.lost_in_a_row == 0
    assert len(absences.gone) == 4
