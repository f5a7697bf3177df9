"""A new day in PostgreSQL, whose statistics are of the day before."""

import re
from datetime import date, timedelta

import psycopg
import pytest
from psycopg.abc import Params

from neople_timeline.models import Shard
from neople_timeline.warehouse import ledger, planning
from neople_timeline.warehouse.ledger import Landed

DAY = date(2026, 11, 15)
SHARD = Shard.whole(DAY)


def count_wasted(connection: psycopg.Connection, statement: str, values: Params) -> int:
    """Run a statement, and count the pairs of rows that PostgreSQL compared in vain."""
    plan = connection.execute(f"EXPLAIN (ANALYZE) {statement}".encode(), values)
    return sum(int(pairs) for (line,) in plan for pairs in re.findall(r"Removed by Join Filter: (\d+)", line))


def test_a_commit_stays_fast_although_the_statistics_are_of_the_day_before(connection: psycopg.Connection) -> None:
    planning.plan_days(connection, [DAY - timedelta(days=1), DAY], again=False)
    connection.execute(
        "INSERT INTO timeline.collection (day, server_id, character_id, bucket, state)"
        " SELECT %s::date - old, 'cain', md5(n::text), 0, CASE old WHEN 1 THEN 'verified' ELSE 'planned' END"
        " FROM generate_series(1, 20000) n, generate_series(0, 1) old",
        [DAY],
    )
    connection.execute("ANALYZE timeline.collection")
    worker = ledger.start_worker(connection, SHARD, "daily", 1000)
    claims = ledger.claim_characters(connection, worker, SHARD, 2000)
    landed = [Landed(DAY, claim.character, 20, 7) for claim in claims]
    assert count_wasted(connection, ledger.COMMIT, ledger.tabulate(worker, "raw/new", landed[:1000])) < 1000
    assert ledger.commit_landed(connection, worker, "raw/new", landed[1000:]) == (1000, 20_000)


@pytest.mark.parametrize("table", ["event", "character"])
def test_a_new_day_is_not_planned_for_as_if_it_had_no_rows(connection: psycopg.Connection, table: str) -> None:
    def fill(day: date) -> None:
        planning.plan_days(connection, [day], again=False)
        who = "'cain', md5(n::text)"
        crowd = "FROM generate_series(1, 3000) n"
        for columns, values in (
            ("collection (day, server_id, character_id, bucket)", f"{who}, 0 {crowd}"),
            ("character (day, server_id, character_id)", f"{who} {crowd}"),
            (
                "event (day, server_id, character_id, occurred_at, occurred_minute, ordinal, code, name)",
                f"{who}, now(), '', k, 505, '' {crowd}, generate_series(1, 9) k",
            ),
        ):
            connection.execute(f"INSERT INTO timeline.{columns} SELECT %s, {values}".encode(), [day])

    fill(DAY - timedelta(days=1))
    connection.execute("ANALYZE")
    fill(DAY)
    wasted = count_wasted(
        connection,
        f"SELECT FROM timeline.{table} t JOIN timeline.collection c USING (server_id, character_id)"
        " WHERE t.day = %s AND c.day = %s AND c.bucket = 0",
        [DAY, DAY],
    )
    assert wasted < 1000
