"""Without statistics of what is new every day, PostgreSQL plans for a new day as for any other.

Statistics that are older than a day say that it has no rows, and those older than a collector that it has claimed none.
Taken for one row each, thousands of characters were compared one by one with all events of the day, and loading 6,000
characters took 163 s instead of 2. Without them, PostgreSQL takes each day, and each collector, for a two-hundredth of
what a table holds by now.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have none gathered of the days, weeks and months by which data comes in, and of who collects it."""
    _set_target(0)


def downgrade() -> None:
    """Have them gathered again."""
    _set_target(-1)


def _set_target(target: int) -> None:
    columns = op.get_bind().exec_driver_sql(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'timeline'::regnamespace AND relkind IN ('r', 'p')"
        " AND attname IN ('day', 'week', 'month', 'worker_id') AND NOT attisdropped"
    )
    for table, column in columns.fetchall():
        op.execute(f"ALTER TABLE {table} ALTER {column} SET STATISTICS {target}")
