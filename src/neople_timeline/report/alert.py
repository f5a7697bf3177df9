"""Short mails to those who run the pipeline: a run that failed without a report, a day that is late."""

from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Final

import psycopg

from neople_timeline.report.outbox import MAIL_POLICY, address_mail, make_message_id, send_once
from neople_timeline.report.words import show_text
from neople_timeline.settings import Settings

LONGEST_LINE: Final = 2000


def mail_alert(
    settings: Settings, connection: psycopg.Connection, edition: str, day: date, title: str, lines: list[str]
) -> bool:
    """Mail some lines of plain text, once per edition and day; False where there is no mail or it was sent before."""
    if not (settings.smtp_url and settings.report_to):
        return False
    message = build_alert(title, lines)
    message_id = make_message_id(edition, day, settings.report_from, settings.lake_url)
    address_mail(message, settings.report_from, settings.report_to, message_id, datetime.now(UTC))
    return send_once(settings, connection, edition, day, message)


def build_alert(title: str, lines: list[str]) -> EmailMessage:
    """Build the mail without its envelope; texts that strangers may have had a hand in are shown as text."""
    message = EmailMessage(policy=MAIL_POLICY)
    message["Subject"] = show_text(title, 200)
    message.set_content("".join(f"{show_text(line, LONGEST_LINE)}\n" for line in lines))
    return message
