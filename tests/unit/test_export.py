import csv
import io
import re
from datetime import UTC, date, datetime

import pytest

from neople_timeline.export import EXPORTABLE, LONGEST_CELL, write_cell, write_line

FORMULAS = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", "  =1+1", "\u202e=1+1",
    "\ufeff=1+1", "＝1+1", "＋1", "－1", "＠SUM(A1)",
)  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_a_name_that_would_be_computed_is_marked_as_text(name: str) -> None:
    assert write_cell(name).startswith("'")


@pytest.mark.parametrize(
    "name", [*FORMULAS, "a\r\nb", "a\u2028b\x85c\x00d", 'a"b,c', "\u202eabc\u2066d", "긴" * 255, "<b>"]
)
def test_a_name_stays_one_cell_of_one_line(name: str) -> None:
    line = write_line([name, 1])
    (row,) = csv.reader(io.StringIO(line, newline=""))
    assert len(row) == 2
    assert line.endswith("\r\n")
    assert len(line.splitlines()) == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x1f]", row[0])


def test_no_cell_is_longer_than_a_spreadsheet_takes() -> None:
    assert len(write_cell("=" + "1" * 40_000)) == LONGEST_CELL
    assert len(write_cell("1" * 40_000)) == LONGEST_CELL - 1


def test_numbers_flags_days_and_nothing_are_written_plainly() -> None:
    moment = datetime(2026, 11, 15, 21, tzinfo=UTC)
    assert write_line([-3, 0.5, True, None, date(2026, 11, 15), moment, "대검"]) == (
        "-3,0.5,true,,2026-11-15,2026-11-15T21:00:00+00:00,대검\r\n"
    )


def test_every_table_begins_its_keys_with_its_period() -> None:
    assert {"event", "character", "drops_by_item", "luck_by_week"} <= set(EXPORTABLE)
    assert {keys[0] for _, keys in EXPORTABLE.values()} == {"day", "week", "month"}
    for table, keys in EXPORTABLE.values():
        assert set(keys) <= {column.name for column in table.columns}
