"""When a day's rows last changed and when its page was written, on the clock of the marts."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both marks; of the days that are there already nothing is known, and nothing is made anew."""
    op.execute("ALTER TABLE timeline.day ADD changed_in bigint, ADD reported_in bigint")


def downgrade() -> None:
    """Forget both."""
    op.execute("ALTER TABLE timeline.day DROP changed_in, DROP reported_in")
