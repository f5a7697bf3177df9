"""Who was missing, found at once among all others: each daily run looks who of them is there again."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index them."""
    op.execute("CREATE INDEX collection_missing ON timeline.collection (day) WHERE state = 'missing'")


def downgrade() -> None:
    """Look through all again."""
    op.execute("DROP INDEX timeline.collection_missing")
