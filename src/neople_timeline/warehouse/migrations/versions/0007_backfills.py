"""Which days a backfill planned: its own for half a day, whether or not its collectors have begun."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the list."""
    op.execute("""
        CREATE TABLE timeline.backfill (
          first_day date NOT NULL,
          last_day date NOT NULL,
          planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
          CHECK (first_day <= last_day)
        )
    """)


def downgrade() -> None:
    """Forget it: only backfills that are under way matter."""
    op.execute("DROP TABLE timeline.backfill")
