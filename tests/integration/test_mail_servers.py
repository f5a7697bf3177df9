"""The mail over TLS: real servers that ask for a login, with implicit TLS (smtps) and with STARTTLS (smtp)."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from neople_timeline.errors import ConfigError
from neople_timeline.local.processes import choose_port
from neople_timeline.report.smtp import MailRefusedError, read_server, send_mail

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

Start = Callable[[str], tuple[int, "Inbox"]]


class Inbox:
    """Keeps what a server takes, and how it came."""

    def __init__(self) -> None:
        self.mails: list[tuple[bool, str, bytes]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        is_encrypted = server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
        self.mails.append((is_encrypted, str(session.auth_data), envelope.original_content or b""))
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost that vouches for itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + built.public_bytes(pem))
    return path


@pytest.fixture
def start(certificate: Path) -> Iterator[Start]:
    """Start servers for `reporter` with the password `geheim`: `start("smtps")`."""
    started: list[Controller] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def log_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        known = given == LoginPassword(b"reporter", b"geheim")
        return AuthResult(success=known, handled=known, auth_data="reporter", message=None if known else "535 no")

    def begin(scheme: str) -> tuple[int, Inbox]:
        inbox, port = Inbox(), choose_port()
        options: dict[str, Any] = {"tls_context": context, "require_starttls": True}
        if scheme == "smtps":  # aiosmtpd does not notice that such a session is encrypted
            options = {"ssl_context": context, "auth_require_tls": False}
        server = Controller(inbox, hostname="localhost", port=port, authenticator=log_in, auth_required=True, **options)
        server.start()
        started.append(server)
        return port, inbox

    yield begin
    for server in started:
        server.stop()


@pytest.fixture
def mail() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "2026-11-15 던파 타임라인"
    message["From"] = "report@example.org"
    message["To"] = "players@example.org"
    message.set_content("태초 3개")
    return message


@pytest.fixture
def vouched_for(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this machine trust the servers' certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("vouched_for")
@pytest.mark.parametrize("url", ["smtps://{}", "smtp://{}", "smtp://{}?starttls=required"])
def test_the_mail_goes_out_encrypted_and_logged_in(start: Start, mail: EmailMessage, url: str) -> None:
    port, inbox = start(url.partition(":")[0])
    send_mail(read_server(url.format(f"reporter:geheim@localhost:{port}")), mail)
    ((is_encrypted, user, content),) = inbox.mails
    assert (is_encrypted, user) == (True, "reporter")
    assert b"players@example.org" in content


@pytest.mark.usefixtures("vouched_for")
@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_a_wrong_password_is_told_without_showing_it(start: Start, mail: EmailMessage, scheme: str) -> None:
    port, inbox = start(scheme)
    with pytest.raises(MailRefusedError, match="refuses the login") as refusal:
        send_mail(read_server(f"{scheme}://reporter:falsch-geheim@localhost:{port}"), mail)
    assert isinstance(refusal.value.cause, ConfigError)
    assert "geheim" not in str(refusal.value)
    assert inbox.mails == []


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_a_server_that_nobody_vouches_for_gets_no_password(start: Start, mail: EmailMessage, scheme: str) -> None:
    port, inbox = start(scheme)
    with pytest.raises(MailRefusedError, match="cannot be trusted"):
        send_mail(read_server(f"{scheme}://reporter:geheim@localhost:{port}"), mail)
    assert inbox.mails == []


def test_a_server_without_encryption_gets_no_mail_where_it_is_required(mail: EmailMessage) -> None:
    inbox, port = Inbox(), choose_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        with pytest.raises(MailRefusedError, match="offers no encryption"):
            send_mail(read_server(f"smtp://127.0.0.1:{port}?starttls=required"), mail)
    finally:
        server.stop()
    assert inbox.mails == []
