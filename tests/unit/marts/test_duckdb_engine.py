"""What the engine does beside the SQL: periods a few at a time, older files, nothing left behind."""

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rows import THURSDAY, character, event, run_all

from neople_timeline.catalogue import MARTS
from neople_timeline.marts.duckdb_engine import ask, run_marts
from neople_timeline.tables import EVENTS, Table

DAYS = [THURSDAY + timedelta(days=number) for number in range(9)]


def test_many_days_together_give_what_each_gives_by_itself() -> None:
    events = [event(505, f"{day} 21:00", who, item_rarity="에픽") for day in DAYS for who in "ab"]
    people = [character(who, day, guild_id="g") for day in DAYS for who in "ab"]
    together = run_all("day", events, people, DAYS)
    alone = [run_all("day", events, people, [day]) for day in DAYS]
    assert together["drops_by_item"]
    for name, rows in together.items():
        assert rows == [row for results in alone for row in results[name]]


def test_a_file_from_before_a_column_was_added_has_nulls_there(tmp_path: Path) -> None:
    older = pa.Table.from_pylist([event(505, item_rarity="태초")], EVENTS.schema).drop_columns(["is_mist_gear"])
    pq.write_table(older, tmp_path / "older.parquet")

    def give(table: Table, _days: Sequence[date], _folder: Path) -> list[Path]:
        return [tmp_path / "older.parquet"] if table is EVENTS else []

    results = {result.mart.name: result.table for result in run_marts(give, [THURSDAY])}
    assert results["drops_by_day"].select(["drops", "mist_gear_drops"]).to_pylist() == [
        {"drops": 1, "mist_gear_drops": 0}
    ]


@pytest.mark.parametrize("name", ["lake[1]", "lake?", "l*", "{a,b}"])
def test_letters_that_are_a_pattern_find_no_other_lake(tmp_path: Path, name: str) -> None:
    for folder, events in ((name, 1), ("lake1", 2)):
        path = tmp_path / folder
        path.mkdir()
        pq.write_table(pa.Table.from_pylist([event(505)] * events, EVENTS.schema), path / "part.parquet")

    def give(table: Table, _days: Sequence[date], _folder: Path) -> list[Path]:
        return [tmp_path / name / "part.parquet"] if table is EVENTS else []

    results = {result.mart.name: result.table for result in run_marts(give, [THURSDAY])}
    assert results["drops_by_day"].column("drops").to_pylist() == [1]


def test_days_without_files_give_empty_marts_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results = list(run_marts(lambda *_: [], [THURSDAY]))
    assert {result.mart.name for result in results} == {mart.name for mart in MARTS}
    assert not any(result.table.num_rows for result in results)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        (RuntimeError("Query interrupted"), KeyboardInterrupt),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), KeyboardInterrupt),
        (RuntimeError("out of memory"), RuntimeError),
    ],
)
def test_an_interruption_stays_one(said: Exception, raised: type[BaseException]) -> None:
    class Interrupted:
        def sql(self, _: str) -> None:
            raise said

    with pytest.raises(raised):
        ask(Interrupted(), "SELECT 1")  # type: ignore[arg-type]
