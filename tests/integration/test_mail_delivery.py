"""The mail of a report leaves once, whatever the mail server says or does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from reported_day import DAY, PAGE, query, read_mails

from mail_catcher import Smtp
from neople_timeline import pipeline
from neople_timeline.errors import ConfigError, RetryLater
from neople_timeline.lake import open_lake
from neople_timeline.local.processes import choose_port
from neople_timeline.models import CharacterKey, Member
from neople_timeline.settings import Settings
from neople_timeline.warehouse import planning
from neople_timeline.warehouse.audit import mark_day_verified
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.roster import add_members


@pytest.fixture(autouse=True)
def proven_day(settings: Settings) -> None:
    """Let the day be one whose only character does not exist: nothing is left to collect, and a mail is due."""
    with connect(settings) as connection:
        add_members(connection, [Member(CharacterKey("cain", "a" * 32), None)])
        planning.plan_days(connection, [DAY], again=False)
        connection.execute("UPDATE timeline.collection SET state = 'missing'")
        mark_day_verified(connection, DAY, datetime.now(UTC))


def test_a_day_that_is_not_proven_is_not_mailed(settings: Settings, smtp: Smtp) -> None:
    for spoil in ("UPDATE timeline.day SET verified_at = NULL", "DELETE FROM timeline.collection"):
        with connect(settings) as connection:
            connection.execute(spoil)
        published = pipeline.publish_report(settings, DAY)
        assert (published.mailed, published.is_proven) == (False, False)
    assert read_mails(smtp) == []


def test_a_mail_that_has_left_never_leaves_again_however_long_ago_that_was(settings: Settings, smtp: Smtp) -> None:
    assert pipeline.publish_report(settings, DAY).mailed
    assert query(settings, "UPDATE timeline.mail SET claimed_at = claimed_at - interval '1 year' RETURNING sent_at")
    assert not pipeline.publish_report(settings, DAY).mailed
    assert len(read_mails(smtp)) == 1


def test_a_day_that_failed_before_anything_was_collected_is_mailed_with_the_reason(
    settings: Settings, smtp: Smtp
) -> None:
    published = pipeline.publish_report(settings, DAY, "NEOPLE_API_KEY is refused\r\nBcc: x@example.org")
    assert published.mailed
    (mail,) = read_mails(smtp)
    assert mail["Subject"] == f"[실패] {DAY} 던파 타임라인"
    assert mail["Bcc"] is None
    body = mail.get_body(("plain",))
    assert body is not None
    assert "NEOPLE_API_KEY is refused" in body.get_content()
    assert "수치는 아직 계산되지 않았습니다" in open_lake(settings).get(PAGE).decode()


def test_without_a_mail_server_or_receiver_the_page_is_published_all_the_same(settings: Settings, smtp: Smtp) -> None:
    for quiet in (replace(settings, smtp_url=""), replace(settings, report_to="")):
        assert not pipeline.publish_report(quiet, DAY).mailed
    assert read_mails(smtp) == []
    assert open_lake(settings).read(PAGE) is not None


def test_a_refused_login_names_the_server_not_the_password_keeps_the_page_and_the_next_run_mails(
    settings: Settings, smtp: Smtp
) -> None:
    wrong = replace(settings, smtp_url=smtp.url.replace(smtp.url.split(":")[2].split("@")[0], "wrong-secret"))
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+ refuses the login") as refusal:
        pipeline.publish_report(wrong, DAY)
    assert "wrong-secret" not in str(refusal.value)
    assert open_lake(settings).read(PAGE) is not None
    assert pipeline.publish_report(settings, DAY).mailed


def test_a_mail_server_that_is_not_there_is_told_and_the_next_run_mails(settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = replace(settings, smtp_url=f"smtp://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(RetryLater, match=r"127\.0\.0\.1:\d+ does not take the mail"):
            pipeline.publish_report(away, DAY)
    assert pipeline.publish_report(settings, DAY).mailed


class Picky:
    """Takes mail for some, and has no mailbox or no time for others."""

    def __init__(self, replies: dict[str, str]) -> None:
        self.replies, self.taken = replies, list[list[str]]()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address not in self.replies:
            envelope.rcpt_tos.append(address)
        return self.replies.get(address, "250 fine")

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(list(envelope.rcpt_tos))
        return "250 fine"


@contextmanager
def serve_mail(settings: Settings, picky: Picky, to: str) -> Iterator[Settings]:
    server = Controller(picky, hostname="127.0.0.1", port=choose_port())
    server.start()
    try:
        yield replace(settings, smtp_url=f"smtp://127.0.0.1:{server.port}", report_to=to)
    finally:
        server.stop()


def test_who_is_refused_is_named_and_the_others_get_one_mail(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    picky = Picky({"gone@example.org": "550 no such user", "busy@example.org": "450 come back later"})
    with serve_mail(settings, picky, "a@example.org, gone@example.org, busy@example.org, b@example.org") as asked:
        published = [pipeline.publish_report(asked, DAY) for _ in range(2)]

    assert [one.mailed for one in published] == [True, False]
    assert picky.taken == [["a@example.org", "b@example.org"]]
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "gone@example.org (550 no such user), busy@example.org (450 come back later)" in said
    assert "a@example.org" not in said


@pytest.mark.parametrize(
    ("reply", "error", "said"), [("550 no such user", ConfigError, "REPORT_TO"), ("450 later", RetryLater, "")]
)
def test_a_mail_that_all_are_refused_did_not_leave(
    settings: Settings, reply: str, error: type[Exception], said: str
) -> None:
    picky = Picky({"gone@example.org": reply, "away@example.org": reply})
    with serve_mail(settings, picky, "gone@example.org, away@example.org") as asked:
        with pytest.raises(error, match=rf"gone@example\.org \({reply}\), away@example\.org .*{said}"):
            pipeline.publish_report(asked, DAY)
        picky.replies.clear()
        assert pipeline.publish_report(asked, DAY).mailed


@pytest.fixture
def breaking_server() -> Iterator[str]:
    """A mail server that takes the mail and goes away before it says so."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = server.accept()
        with client, client.makefile("rwb") as stream:
            stream.write(b"220 hello\r\n")
            stream.flush()
            for line in stream:
                if line.upper().startswith(b"DATA"):
                    stream.write(b"354 go on\r\n")
                    stream.flush()
                elif line == b".\r\n":
                    return
                elif line[:4].upper() in {b"EHLO", b"MAIL", b"RCPT"}:
                    stream.write(b"250 fine\r\n")
                    stream.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"smtp://127.0.0.1:{server.getsockname()[1]}"
    thread.join()
    server.close()


def test_a_mail_whose_fate_is_unknown_is_not_repeated_at_once_but_after_ten_minutes(
    settings: Settings, smtp: Smtp, breaking_server: str
) -> None:
    with pytest.raises(RetryLater, match="broke off while it took the mail"):
        pipeline.publish_report(replace(settings, smtp_url=breaking_server), DAY)
    with pytest.raises(RetryLater, match="daily of 2026-10-17 is being sent") as later:
        pipeline.publish_report(settings, DAY)
    assert 590 < later.value.seconds <= 600
    assert read_mails(smtp) == []
    ((first_id,),) = query(
        settings, "UPDATE timeline.mail SET claimed_at = now() - interval '11 minutes' RETURNING message_id"
    )
    assert pipeline.publish_report(settings, DAY).mailed
    (mail,) = read_mails(smtp)
    assert mail["Message-ID"] == first_id


def test_eight_runs_at_once_send_one_mail(settings: Settings, smtp: Smtp) -> None:
    connect(settings).close()
    mailed: list[bool | None] = []

    def publish() -> None:
        try:
            mailed.append(pipeline.publish_report(settings, DAY).mailed)
        except RetryLater:
            mailed.append(None)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mailed.count(True) == 1
    assert len(mailed) == 8
    assert not pipeline.publish_report(settings, DAY).mailed
    assert len(read_mails(smtp)) == 1


class Rough(Picky):
    """Takes the mail while PostgreSQL restarts."""

    def __init__(self, url: str) -> None:
        super().__init__({})
        self.url = url

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        self.taken.append(list(envelope.rcpt_tos))
        return "250 fine"


def test_a_mail_that_is_taken_while_postgresql_restarts_is_known_as_sent(settings: Settings) -> None:
    rough = Rough(settings.warehouse_url)
    with serve_mail(settings, rough, "a@example.org") as asked, suppress(RetryLater):
        pipeline.publish_report(asked, DAY)
    assert len(rough.taken) == 1
    assert query(settings, "SELECT edition FROM timeline.mail WHERE sent_at IS NOT NULL") == [("daily",)]
    assert not pipeline.publish_report(settings, DAY).mailed
