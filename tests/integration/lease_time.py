"""Time that passes for the leases of permits without being waited for."""

import psycopg


def let_pass(connection: psycopg.Connection, seconds: float) -> None:
    """Move every lease so many seconds into the past, as PostgreSQL's clock counts them."""
    connection.execute(
        "UPDATE timeline.rate_lease SET expires_at = expires_at - passed, lapsed_at = lapsed_at - passed"
        " FROM (SELECT %s * interval '1 second' AS passed) AS time",
        (seconds,),
    )
