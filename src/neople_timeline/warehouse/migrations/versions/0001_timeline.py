"""The roster, the ledger, the data and the shared limiter."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the functions of the limiter."""
    for name in ("0001_ledger.sql", "0001_limiter.sql", "0001_data.sql"):
        op.get_bind().exec_driver_sql(Path(__file__).with_name(name).read_text("utf-8"))


def downgrade() -> None:
    """Drop everything that upgrade made."""
    op.execute("DROP VIEW timeline.unread_letter")
    op.execute("DROP FUNCTION timeline.lend_permits, timeline.slow_down, timeline.know_fastest, timeline.share_left")
    for name in (
        "character", "event", "rate_lease", "rate_budget", "mail", "dead_letter", "part", "collection", "worker",
        "backfill", "day", "roster_reject", "roster", "setting",
    ):  # fmt: skip
        op.execute(f"DROP TABLE timeline.{name}")
    op.execute("DROP SEQUENCE timeline.mart_generation")
