"""Which mails were sent, so that a repeated run sends none twice."""

from datetime import date
from typing import Final

import psycopg

STALE: Final = "10 minutes"
"""A claim of this age without a sent mail belongs to a process that died; the next run may take it over."""


def choose_edition(connection: psycopg.Connection, kind: str, day: date, *, is_complete: bool) -> str:
    """Name the mail that a day asks for now; `kind` is `daily`, or `weekly` for the week that begins on the day.

    The first mail is `daily`, or `daily-incomplete` when something failed or is owed. A day that was incomplete and
    is complete now gets one follow-up, `daily-complete`. Weeks likewise.
    """
    rows = connection.execute("SELECT edition FROM timeline.mail WHERE day = %s", (day,))
    known = {row[0] for row in rows}
    if not is_complete:
        return kind if kind in known else f"{kind}-incomplete"
    return f"{kind}-complete" if f"{kind}-incomplete" in known else kind


CLAIM_MAIL: Final = """
INSERT INTO timeline.mail AS m (edition, day, message_id) VALUES (%s, %s, %s)
ON CONFLICT (edition, day) DO UPDATE SET claimed_at = clock_timestamp(), message_id = excluded.message_id
WHERE m.sent_at IS NULL AND m.claimed_at < clock_timestamp() - %s::interval
RETURNING edition
"""


def claim_mail(connection: psycopg.Connection, edition: str, day: date, message_id: str) -> bool:
    """Claim the sending of an edition; False when it was sent already or somebody is sending it now."""
    row = connection.execute(CLAIM_MAIL, (edition, day, message_id, STALE)).fetchone()
    return row is not None


READ_PATIENCE: Final = """
SELECT CASE WHEN sent_at IS NULL
  THEN greatest(1, extract(epoch FROM claimed_at + %s::interval - clock_timestamp()))::float END
FROM timeline.mail WHERE edition = %s AND day = %s
"""


def read_patience(connection: psycopg.Connection, edition: str, day: date) -> float | None:
    """Give in how many seconds a claimed edition may be claimed anew, None for one that was sent."""
    row = connection.execute(READ_PATIENCE, (STALE, edition, day)).fetchone()
    return row[0] if row else 1.0  # released meanwhile


def record_sent(connection: psycopg.Connection, edition: str, day: date) -> None:
    """Note that the mail server has taken the mail."""
    connection.execute(
        "UPDATE timeline.mail SET sent_at = clock_timestamp() WHERE edition = %s AND day = %s", (edition, day)
    )


def release_mail(connection: psycopg.Connection, edition: str, day: date) -> None:
    """Give up a claim whose mail certainly did not leave, so that the next run may try at once."""
    connection.execute("DELETE FROM timeline.mail WHERE edition = %s AND day = %s AND sent_at IS NULL", (edition, day))
