"""The mail server: how it is named, asked to take a mail, and what its replies mean."""

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from neople_timeline.errors import ConfigError, RetryLater, TimelineError

TIMEOUT_SECONDS: Final = 30
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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
        wrong = "SMTP_URL has an invalid host, or a user or password with characters that mail servers do not accept"
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
