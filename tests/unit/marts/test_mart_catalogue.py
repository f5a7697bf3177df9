"""The catalogue is read from the headers of the SQL files, and every file is in it."""

import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import duckdb
import pytest

from neople_timeline.catalogue import MART_NAMES, MARTS, VIEWS, Mart, Period, parse_mart
from neople_timeline.marts.results import shape_result
from neople_timeline.report.words import ENGLISH_RARITIES, ROUTES
from neople_timeline.summary import EQUIPMENT_ROUTES, OATH_ROUTES, RARITIES, SAFE_ROUTES

GOOD = """-- What a row says,
-- in two lines.
-- question: Why?
-- keys: day, item_rarity
-- day date: the game day
-- item_rarity text: rarity
-- per_run double precision: rate
SELECT 1
"""


def test_a_header_gives_meaning_question_keys_and_columns() -> None:
    mart = parse_mart("some_mart", GOOD)
    assert (mart.meaning, mart.question) == ("What a row says, in two lines.", "Why?")
    assert (mart.keys, mart.period, mart.warehouse_name) == (("day", "item_rarity"), "day", "mart_some_mart")
    assert [(column.name, column.sql) for column in mart.columns] == [
        ("day", "date"),
        ("item_rarity", "text"),
        ("per_run", "double precision"),
    ]


@pytest.mark.parametrize(
    ("good", "spoiled", "said"),
    [
        ("-- keys: day, item_rarity\n", "", "then `question:`, `keys:` and a line"),
        ("-- question: Why?\n", "", "then `question:`, `keys:` and a line"),
        ("-- What a row says,\n-- in two lines.\n", "", "its header is the meaning"),
        ("-- item_rarity text: rarity\n", "", "of the keys, item_rarity is no column"),
        ("keys: day, item_rarity", "keys: item_rarity, day", "the first of the keys is the period"),
        ("double precision: rate", "double: rate", "`per_run double: rate` is no column"),
    ],
)
def test_a_header_that_does_not_follow_the_form_is_refused_with_what_is_wrong(
    good: str, spoiled: str, said: str
) -> None:
    assert good in GOOD
    with pytest.raises(ValueError, match=rf"some_mart\.sql: .*{re.escape(said)}"):
        parse_mart("some_mart", GOOD.replace(good, spoiled))


def test_a_query_that_gives_other_columns_than_its_header_names_is_refused() -> None:
    mart = parse_mart("some_mart", GOOD)
    rows = mart.schema.empty_table().rename_columns(["day", "item_rarity", "rate"])
    with pytest.raises(ValueError, match=r"some_mart\.sql: .* per_run, rate"):
        shape_result(mart, rows)


@pytest.mark.parametrize(("folder", "names"), [("sql", MART_NAMES), ("views", [view.name for view in VIEWS])])
def test_every_file_is_in_the_catalogue(folder: str, names: Sequence[str]) -> None:
    files = {path.name for path in resources.files("neople_timeline.marts").joinpath(folder).iterdir()}
    assert files == {f"{name}.sql" for name in names}


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_every_mart_has_a_question_and_a_meaning_for_each_column(mart: Mart) -> None:
    assert mart.question.endswith("?")
    assert mart.meaning.endswith(".")
    assert all(column.meaning for column in mart.columns)


@pytest.mark.parametrize("mart", [mart for mart in MARTS if mart.period != "day"], ids=lambda mart: mart.name)
def test_weeks_and_months_are_made_of_what_is_computed_once_a_day(mart: Mart) -> None:
    assert "events" not in find_sources(mart.sql, mart.period)


def find_sources(sql: str, period: Period) -> set[str]:
    """Name the relations that a query reads, and those that its views read; what is kept is not looked into."""
    views = {view.name: view for view in VIEWS}
    found = set(re.findall(r"(?:FROM|JOIN) ([a-z_]+)", sql))
    for name in tuple(found):
        if name in views and period not in views[name].kept_for:
            found |= find_sources(views[name].sql, period)
    return found


def test_no_query_reads_json() -> None:
    for text in [mart.sql for mart in MARTS] + [view.sql for view in VIEWS]:
        assert "json" not in text.lower()
        assert "events.data" not in text


def test_the_known_codes_are_those_that_the_sandbox_imitates() -> None:
    sandbox = json.loads(resources.files("neople_timeline.sandbox").joinpath("catalogue.json").read_text("utf-8"))
    view = next(view for view in VIEWS if view.name == "codes")
    known = duckdb.sql(f"SELECT code, label FROM ({view.sql}\n)").fetchall()
    assert sorted(known) == sorted((code["code"], code["name"]) for code in sandbox["codes"])


def read_view(name: str, columns: str) -> list[tuple[Any, ...]]:
    sql = next(view.sql for view in VIEWS if view.name == name)
    return duckdb.sql(f"SELECT {columns} FROM ({sql}\n)").fetchall()


def test_a_run_is_seen_by_every_code_with_which_a_dungeon_gives() -> None:
    given = {code for code, kind in read_view("codes", "code, kind") if kind in {"dungeon drop", "dungeon card"}}
    sql = next(view.sql for view in VIEWS if view.name == "dungeon_runs")
    found = re.search(r"WHERE code IN \(([\d, ]+)\)\n  GROUP", sql)
    assert found
    assert set(map(int, found[1].split(", "))) == given


def test_the_report_knows_the_routes_and_rarities_of_the_marts() -> None:
    routes = read_view("codes", "code, item_family, role")
    families = [
        {code for code, family, role in routes if family == wanted and role in {"drop", "safe"}}
        for wanted in ("equipment", "oath")
    ]
    assert [set(EQUIPMENT_ROUTES), set(OATH_ROUTES)] == families
    assert set(SAFE_ROUTES) == {code for code, _, role in routes if role == "safe"}
    assert [set(words) for words in ROUTES.values()] == [families[0] | families[1]] * 2
    ranked = sorted(read_view("rarities", "rarity_rank, item_rarity"), reverse=True)
    assert list(RARITIES) == list(ENGLISH_RARITIES) == [rarity for _, rarity in ranked]
