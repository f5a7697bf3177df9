"""Every query of docs/queries.md gives the result that the page shows."""

import re
from datetime import date
from pathlib import Path

import duckdb
import psycopg
import pytest
from stored_days import store_days

from neople_timeline.lake import open_lake
from neople_timeline.marts.build import build_marts
from neople_timeline.models import days_between
from neople_timeline.settings import make_settings
from neople_timeline.warehouse.connection import connect

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"
DAYS = tuple(days_between(date(2026, 11, 12), date(2026, 11, 18)))
QUERY = re.compile(r"(```sql\n-- (?P<engine>\w+)\n(?P<sql>.*?);\n```\n\n)(?P<result>(?:\|[^\n]*\n)+)", re.DOTALL)


def test_every_query_gives_the_result_that_the_page_shows(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings({"warehouse_url": postgres_url, "lake_url": f"file://{tmp_path}/lake"})
    monkeypatch.chdir(tmp_path)
    lake = open_lake(settings)
    text = PAGE.read_text("utf-8")
    with connect(settings) as connection:
        store_days(lake, connection, DAYS, events=2000)
        build_marts(settings, lake, connection, DAYS)
        answered = QUERY.sub(lambda found: found[1] + ask(connection, found["engine"], found["sql"]), text)
    assert len(QUERY.findall(text)) == 10
    (tmp_path / PAGE.name).write_text(answered, "utf-8")
    assert answered == text, f"if these results are the right ones, put {tmp_path / PAGE.name} in the page's place"


def ask(connection: psycopg.Connection, engine: str, query: str) -> str:
    """Run a query and give its result as a Markdown table."""
    if engine == "DuckDB":
        relation = duckdb.sql(query)
        names, rows = relation.columns, relation.fetchall()
    else:
        cursor = connection.execute(query.encode())
        names, rows = [column.name for column in cursor.description or ()], cursor.fetchall()
    lines = [names, ["---"] * len(names), *([str(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
