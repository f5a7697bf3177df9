import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.report.smtp import MailRefusedError, MailServer, read_server, try_server


def test_a_host_that_can_be_none_is_a_wrong_setting() -> None:
    with pytest.raises(MailRefusedError, match="SMTP_URL has an invalid host") as caught:
        try_server(read_server(f"smtp://{'h' * 64}.example.org:25"))
    assert isinstance(caught.value.cause, ConfigError)


def test_smtp_url_is_read_with_its_ports_and_options() -> None:
    assert read_server("smtp://me:p%40ss@mail.example.org") == MailServer(
        "mail.example.org", 587, implicit_tls=False, starttls_required=False, user="me", password="p@ss"
    )
    assert read_server("smtps://mail.example.org").port == 465
    assert read_server("smtps://mail.example.org").implicit_tls
    assert read_server("smtp://mail.example.org:25?starttls=required").starttls_required


@pytest.mark.parametrize(
    "url", ["http://h", "smtp://", "smtp://h:x", "smtps://u:secret@h?verify=off", "smtp://u:secret@h/path", "secret"]
)
def test_a_malformed_smtp_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="SMTP_URL must look like") as refusal:
        read_server(url)
    assert "secret" not in str(refusal.value)


def test_the_password_is_not_in_the_server_s_repr() -> None:
    assert "secret" not in repr(read_server("smtp://me:secret@mail.example.org"))


class PlainServer:
    """Stands in for smtplib's client of a server that offers no encryption."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def ehlo_or_helo_if_needed(self) -> None:
        self.said.append("ehlo")

    def has_extn(self, name: str) -> bool:
        return name != "starttls"

    def login(self, user: str, password: str) -> None:
        self.said.append(f"login {user} {password}")

    def close(self) -> None:
        self.said.append("close")


@pytest.mark.parametrize(
    ("host", "user", "is_refused"),
    [("mail.example.org", "u", True), ("mail.example.org", "", False), ("127.0.0.1", "u", False)],
)
def test_a_password_travels_unencrypted_on_this_machine_only(
    host: str,
    user: str,
    is_refused: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = PlainServer()
    monkeypatch.setattr("neople_timeline.report.smtp.smtplib.SMTP", lambda *_, **__: plain)
    server = MailServer(host, 587, implicit_tls=False, starttls_required=False, user=user, password="p")
    if is_refused:
        with pytest.raises(MailRefusedError) as refused:
            try_server(server)
        assert "the password was not sent" in str(refused.value.cause)
    else:
        try_server(server)
    assert plain.said == ["ehlo", *(["login u p"] if user and not is_refused else []), "close"]
