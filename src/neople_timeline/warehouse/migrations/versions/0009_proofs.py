"""At which number a day was proven, so that a page of before is known to be outdated, whenever it was written down."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; pages of days that were proven before are as new as they were."""
    op.execute("ALTER TABLE timeline.day ADD proven_in bigint")


def downgrade() -> None:
    """Forget it."""
    op.execute("ALTER TABLE timeline.day DROP proven_in")
