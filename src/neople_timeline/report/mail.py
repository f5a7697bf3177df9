"""The mail: the essence of the page, built as one value and sent through one server."""

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from neople_timeline.errors import ConfigError, RetryLater, TimelineError
from neople_timeline.report import charts
from neople_timeline.report.page import (
    choose_goals,
    list_headlines,
    make_environment,
    make_speaker,
    pivot_drops,
    write_lead,
)
from neople_timeline.settings import Language
from neople_timeline.summary import EQUIPMENT_ROUTES, Summary

TIMEOUT_SECONDS: Final = 30
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in, read from `SMTP_URL`."""

    host: str
    port: int
    implicit_tls: bool
    starttls_required: bool
    user: str = ""
    password: str = field(default="", repr=False)


class MailRefusedError(TimelineError):
    """The mail certainly did not leave; `cause` says what the caller should do."""

    def __init__(self, cause: ConfigError | RetryLater) -> None:
        """Wrap what to raise once the claim is released."""
        super().__init__(str(cause))
        self.cause = cause


def read_server(smtp_url: str) -> MailServer:
    """Read `smtp://user:password@host:port?starttls=required` or `smtps://…`; its ConfigError shows no secret."""
    try:
        parts = urlsplit(smtp_url)
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    options = parse_qs(parts.query)
    known = options in ({}, {"starttls": ["required"]})
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"} or not known:
        raise ConfigError(
            "SMTP_URL must look like smtp://user:password@host:587, with ?starttls=required to insist on encryption, "
            "or smtps://user:password@host:465"
        )
    implicit_tls = parts.scheme == "smtps"
    return MailServer(
        parts.hostname,
        port or (465 if implicit_tls else 587),
        implicit_tls,
        bool(options),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def write_subject(summary: Summary, edition: str, language: Language) -> str:
    """Write the subject: the day and its figures, or at once what is wrong."""
    say = make_speaker(language, is_week=summary.is_week)
    values = {
        "day": summary.first,
        "last": f"{summary.day:%m-%d}",
        "owed": f"{summary.state.owed:,}",
        "primeval": f"{summary.figures.primeval:,}" if summary.figures else "?",
        "epic": f"{summary.figures.epic:,}" if summary.figures else "?",
    }
    if summary.failure is not None:
        return say("subject_failed", **values)
    if summary.state.owed:
        return say("subject_owed", **values)
    return say("subject_complete" if edition.endswith("-complete") else "subject", **values)


def build_mail(summary: Summary, edition: str, language: Language, location: str) -> EmailMessage:
    """Build the mail without its envelope; the same values give the same bytes."""
    images = _draw_images(summary)
    values = {
        "summary": summary,
        "headlines": list_headlines(summary),
        "lead": write_lead(summary, language),
        "drops": pivot_drops(summary.drops, EQUIPMENT_ROUTES),
        "goals": choose_goals(summary.board, raids=8, legions=4),
        "images": images,
        "location": location,
        "colours": charts.MAIL,
    }
    environment = make_environment(language, is_week=summary.is_week)
    message = EmailMessage(policy=MAIL_POLICY)
    message["Subject"] = write_subject(summary, edition, language)
    message.set_content(environment.get_template("mail.txt.j2").render(values))
    message.add_alternative(environment.get_template("mail.html.j2").render(values), subtype="html")
    page = message.get_payload()[1]  # type: ignore[index]  # the alternative just added
    assert isinstance(page, EmailMessage)  # noqa: S101 - tells mypy what add_alternative made
    for name, png in images.items():
        page.add_related(png, "image", "png", cid=f"<{name}@chart>", filename=f"{name}.png", disposition="inline")
    _fix_boundaries(message)
    return message


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


def send_mail(server: MailServer, message: EmailMessage) -> tuple[str, ...]:
    """Hand a mail in, and return whom the server refused while it took the mail for others, each with its reason.

    MailRefusedError means that it certainly did not leave; RetryLater that the outcome is not known.
    """
    where = _name(server)
    client = _connect(server)
    try:
        refused = client.send_message(message)
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
        raise MailRefusedError(_explain(where, error)) from None
    except (OSError, smtplib.SMTPException) as error:
        raise RetryLater(
            f"{where} broke off while it took the mail ({_describe(error)}); it is sent again after ten minutes",
            seconds=600,
        ) from None
    finally:
        with suppress(OSError, smtplib.SMTPException):
            client.quit()
    return _list_refused(refused)


def try_server(server: MailServer) -> None:
    """Log in to the mail server and hang up; MailRefusedError says why it would take no mail."""
    _connect(server).close()


def _connect(server: MailServer) -> smtplib.SMTP:
    where = _name(server)
    try:
        return _open(server)
    except ssl.SSLError as error:
        raise MailRefusedError(ConfigError(f"{where} cannot be trusted: {error.reason or error}")) from None
    except UnicodeError:  # it may quote the password
        wrong = "SMTP_URL has a host that is none, or a user or password with letters that mail servers do not take"
        raise MailRefusedError(ConfigError(wrong)) from None
    except (OSError, smtplib.SMTPException) as error:
        raise MailRefusedError(_explain(where, error)) from None


def _name(server: MailServer) -> str:
    return f"the mail server {server.host}:{server.port}"


def _open(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    client = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=context)
        if server.implicit_tls
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    )
    try:
        _log_in(server, client, context)
    except BaseException:
        client.close()
        raise
    return client


def _log_in(server: MailServer, client: smtplib.SMTP, context: ssl.SSLContext) -> None:
    client.ehlo_or_helo_if_needed()
    is_encrypted = server.implicit_tls
    if not is_encrypted and client.has_extn("starttls"):
        client.starttls(context=context)
        client.ehlo()
        is_encrypted = True
    if not is_encrypted and (server.starttls_required or (server.user and server.host not in LOOPBACK)):
        raise smtplib.SMTPNotSupportedError("it offers no encryption (STARTTLS), so the password was not sent")
    if server.user:
        client.login(server.user, server.password)


def _explain(where: str, error: Exception) -> ConfigError | RetryLater:
    reason = _describe(error)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return ConfigError(f"{where} refuses the login: {reason}. Check user and password in SMTP_URL")
    if _is_permanent(error):
        return ConfigError(f"{where} refuses the mail: {reason}. Check SMTP_URL, REPORT_FROM and REPORT_TO")
    return RetryLater(f"{where} does not take the mail: {reason}", seconds=300)


def _is_permanent(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError)


def _list_refused(replies: Mapping[str, tuple[int, bytes]]) -> tuple[str, ...]:
    return tuple(f"{recipient} ({_show_reply(*reply)})" for recipient, reply in replies.items())


def _describe(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return ", ".join(_list_refused(error.recipients))
    if isinstance(error, smtplib.SMTPResponseException):
        return _show_reply(error.smtp_code, error.smtp_error)
    return " ".join(str(error).split())[:200] or type(error).__name__


def _show_reply(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())[:200]}"


def _draw_images(summary: Summary) -> Mapping[str, bytes]:
    images = {}
    if any(summary.hours):
        hours = charts.draw_hours(summary.hours, summary.hours_before, summary.first_hour, charts.MAIL)
        images["hours"] = charts.to_png(hours)
    if len(summary.trend) > 1:
        images["trend"] = charts.to_png(charts.draw_trend(summary.trend, summary.day, charts.MAIL))
    return images


def _fix_boundaries(message: EmailMessage) -> None:
    # Drawn at random otherwise, and the same mail would be other bytes each time.
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_neople-timeline-part-{number}")
