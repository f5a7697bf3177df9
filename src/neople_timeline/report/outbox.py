"""What leaves by mail: a message in the form that all mailboxes read, addressed, and sent once per edition."""

import hashlib
import logging
import time
from contextlib import suppress
from datetime import date, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Final

import psycopg

from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.report.smtp import MailRefusedError, read_server, send_mail
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.mail import claim_mail, read_patience, record_sent, release_mail

log = logging.getLogger(__name__)

RESTART_SECONDS: Final = (0, 2, 5, 10, 20, 40, 60)
"""How long PostgreSQL is waited for before each try to note that a mail has left."""


class MailPolicy(EmailPolicy):
    """The standard library's, but a subject keeps the spaces at which it is folded: there they are lost."""

    def fold(self, name: str, value: str) -> str:
        """Write a header in lines, one that is not ASCII in encoded words of which each has its spaces in it."""
        if name != "Subject" or value.isascii():
            folded: str = super().fold(name, value)
            return folded
        return f"{name}: {Header(value, 'utf-8', header_name=name).encode(linesep=self.linesep)}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        """Write a header in lines, as bytes."""
        return self.fold(name, value).encode("ascii", "surrogateescape")


MAIL_POLICY: Final = MailPolicy(linesep="\r\n")


def address_mail(message: EmailMessage, sender: str, recipients: str, message_id: str, now: datetime) -> None:
    """Put the envelope on a mail; `recipients` are separated by commas."""
    try:
        message["From"] = sender
        message["To"] = recipients
        message["Message-ID"] = message_id
        addresses = message["From"].addresses + message["To"].addresses
        defects = message["From"].defects + message["To"].defects
    except (ValueError, IndexError, AttributeError) as error:  # the last is what the parser makes of an open bracket
        raise ConfigError("REPORT_FROM and REPORT_TO must be mail addresses, several separated by commas") from error
    # What the parser only half understands, as with semicolons, would go to some of those who are named.
    if defects or len(addresses) < 2 or not all(address.username and address.domain for address in addresses):
        raise ConfigError("REPORT_FROM and REPORT_TO must be mail addresses, several separated by commas")
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"


def make_message_id(edition: str, day: date, sender: str, lake: str) -> str:
    """Name a mail the same however often it is built, so that mailboxes show a doubly delivered one once."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    digest = hashlib.sha256(f"{lake} {edition}".encode()).hexdigest()[:12]
    return f"<{edition.partition(' ')[0]}.{day}.{digest}@{domain}>"


def send_once(
    settings: Settings, connection: psycopg.Connection, edition: str, day: date, message: EmailMessage
) -> bool:
    """Send a mail unless its edition left already; what certainly did not leave may be sent by the next run.

    While somebody else sends it, or died over it, it is RetryLater: only who comes back knows that it has left.
    """
    server = read_server(settings.smtp_url)
    if not claim_mail(connection, edition, day, str(message["Message-ID"])):
        seconds = read_patience(connection, edition, day)
        if seconds is not None:
            raise RetryLater(f"the mail {edition} of {day} is being sent, or whoever sent it died", seconds=seconds)
        log.info("The mail %s of %s was sent before", edition, day)
        return False
    try:
        unreached = send_mail(server, message)
    except MailRefusedError as refused:
        release_mail(connection, edition, day)
        raise refused.cause from None
    _note_sent(settings, connection, edition, day)
    log.info("Mailed %s of %s", edition, day)
    if unreached:
        log.warning("Not taken for %s: correct REPORT_TO. All others have the mail", ", ".join(unreached))
    return True


def _note_sent(settings: Settings, connection: psycopg.Connection, edition: str, day: date) -> None:
    """Note that a mail has left, even where PostgreSQL restarts just now: it would be sent again otherwise."""
    try:
        record_sent(connection, edition, day)
    except (psycopg.OperationalError, psycopg.InterfaceError):
        for seconds in RESTART_SECONDS:
            time.sleep(seconds)
            with suppress(RetryLater, psycopg.OperationalError), connect(settings) as fresh:
                return record_sent(fresh, edition, day)
        raise
