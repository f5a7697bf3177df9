"""A day whose report the tests read, and where they look."""

from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import psycopg

from mail_catcher import Smtp
from neople_timeline.settings import Settings

DAY = date(2026, 10, 17)
PAGE = f"reports/day={DAY}/index.html"


def read_mails(smtp: Smtp) -> list[EmailMessage]:
    mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in (smtp.maildir / "new").iterdir()]
    return [mail for mail in mails if isinstance(mail, EmailMessage)]


def query(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.warehouse_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()
