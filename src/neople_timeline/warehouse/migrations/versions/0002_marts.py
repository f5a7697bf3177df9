"""The marts' tables, and the record of what is published."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create a table per mart."""
    op.get_bind().exec_driver_sql(Path(__file__).with_name("0002_marts.sql").read_text("utf-8"))


def downgrade() -> None:
    """Drop the marts; they can be computed again."""
    for name in (
        "drops_by_day", "drops_by_item", "drops_by_channel", "characters_by_day", "adventures_by_day", "guilds_by_day",
        "servers_by_day", "activity_by_hour", "clears_by_week", "clears_by_character", "enhancements_by_day",
        "luck_by_week", "luck_by_month", "safe_moves_by_day", "changes_by_day", "codes_by_day",
    ):  # fmt: skip
        op.execute(f"DROP TABLE timeline.mart_{name}")
    op.execute("DROP TABLE timeline.published_mart")
