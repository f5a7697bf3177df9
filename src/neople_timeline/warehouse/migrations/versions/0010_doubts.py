"""Since when an absence is doubted: an outage may come on a day that was planned long ago."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; what was doubted before is doubted from its next try on."""
    op.execute("ALTER TABLE timeline.collection ADD doubted_at timestamptz")


def downgrade() -> None:
    """Forget it."""
    op.execute("ALTER TABLE timeline.collection DROP doubted_at")
