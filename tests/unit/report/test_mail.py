import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from report_values import DAY, HOSTILE, make_figures, make_state, make_summary

from neople_timeline.report.mail import build_mail, write_subject
from neople_timeline.report.outbox import address_mail
from neople_timeline.report.page import render_page
from neople_timeline.summary import Board, Content, Summary

NOW = datetime(2026, 11, 16, 0, 1, tzinfo=UTC)
LOCATION = "s3://lake/reports/day=2026-11-15/index.html"


def send(summary: Summary, edition: str = "daily") -> EmailMessage:
    """Build a mail and read it as its receiver does."""
    mail = build_mail(summary, edition, "ko", LOCATION)
    address_mail(mail, "보고 <report@example.org>", "a@example.org, b@example.org", "<1@example.org>", NOW)
    received = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert isinstance(received, EmailMessage)
    return received


def read_text(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_mail_is_the_same_bytes_for_the_same_summary(summary: Summary) -> None:
    first, again = (build_mail(value, "daily", "ko", LOCATION).as_bytes() for value in (summary, make_summary()))
    assert first == again


def test_the_mail_holds_plain_text_html_and_its_charts(summary: Summary) -> None:
    mail = send(summary)
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "image/png",
    ]  # fmt: skip
    html = read_text(mail, "html")
    for part in mail.walk():
        if part.get_content_type() == "image/png":
            assert part["Content-Disposition"].startswith("inline")
            assert f"cid:{part['Content-ID'].strip('<>')}" in html
            assert part.get_content().startswith(b"\x89PNG")
    assert "http" not in html.replace("http-equiv", "")
    assert "<script" not in html
    assert "<svg" not in html


def test_the_plain_text_stands_on_its_own(summary: Summary) -> None:
    text = read_text(send(summary), "plain")
    for expected in (
        "2026-11-15 (일)", "태초: 3 (전날 ▲ 1, 지난주 같은 요일 ▲ 1)", "타임라인 기록: 11,204 (전날 ▲ 873",
        "[태초] 첫 새벽이 빚은 대검 / 빛의수호자 (카인)",
        "바하이트 4", "기계 혁명: 캐릭터 36 (하드 30)", "핀드워: 캐릭터 8", "수집 496/500", "검증 통과", LOCATION,
    ):  # fmt: skip
        assert expected in text
    assert "&" not in text
    assert "<" not in text


def test_one_of_something_is_written_in_the_singular() -> None:
    summary = make_summary(owed=1, state=replace(make_state(1), waiting=(DAY,)))
    figures, contents = make_figures(DAY, 1, 1, 1), (Content("raid", "아스라한", 1, 1),)
    summary = replace(summary, figures=figures, board=Board(DAY, DAY, contents, (), (), 1))
    for day in (summary, replace(summary, figures=make_figures(DAY, 1, 0, 1)), replace(summary, first=DAY)):
        mail = build_mail(day, "daily", "en", LOCATION)
        said = [read_text(mail, "plain"), read_text(mail, "html"), render_page(day, "en").decode()]
        assert re.findall(r"\b1 (?:[a-z-]+ )?[a-z-]+s\b", "\n".join(said)) == []


def test_the_subject_says_the_day_and_what_is_wrong() -> None:
    assert write_subject(make_summary(), "daily", "ko") == "2026-11-15 던파 타임라인: 태초 3개, 에픽 122개"
    assert write_subject(make_summary(owed=7), "daily-incomplete", "ko") == "[수집 대기 7건] 2026-11-15 던파 타임라인"
    assert write_subject(make_summary(failure="x"), "daily-incomplete", "ko") == "[실패] 2026-11-15 던파 타임라인"
    assert write_subject(make_summary(), "daily-complete", "ko").startswith("[수집 완료] 2026-11-15")
    assert write_subject(make_summary(owed=7), "daily-incomplete", "en") == "[7 owed] 2026-11-15 DNF timeline"


def test_a_week_s_mail_is_named_by_its_thursday_and_says_so() -> None:
    week = make_summary(is_week=True)
    assert write_subject(week, "weekly", "ko") == "2026-11-09 ~ 11-15 주간 던파 타임라인: 태초 3개, 에픽 122개"
    assert write_subject(week, "weekly-complete", "en").startswith("[now complete] Week 2026-11-09")
    assert "2026-11-09 (월) – 2026-11-15 (일)" in read_text(send(week, "weekly"), "plain")


def test_the_page_is_a_link_where_pages_are_served_and_an_address_where_not(summary: Summary) -> None:
    served = build_mail(
        summary, "daily", "ko", "https://airflow.example.org/timeline/reports/day=2026-11-15/index.html"
    )
    html = read_text(served, "html")
    assert '<a href="https://airflow.example.org/timeline/reports/day=2026-11-15/index.html"' in html
    assert "<a " not in read_text(send(summary), "html")


def test_the_html_part_stays_below_what_gmail_cuts_off(summary: Summary) -> None:
    assert len(read_text(send(summary), "html").encode()) < 60_000


def test_a_list_that_is_cut_says_how_many_more_there_are(summary: Summary) -> None:
    mail = send(summary)
    for kind in ("plain", "html"):
        assert "외 122개" in read_text(mail, kind)
        assert "외 " not in read_text(send(replace(summary, drops=summary.drops[:1])), kind)


def test_a_failed_or_indebted_day_says_why_in_both_parts() -> None:
    mail = send(make_summary(owed=3, failure="PostgreSQL went away"))
    for kind in ("plain", "html"):
        text = read_text(mail, kind)
        assert "PostgreSQL went away" in text
        assert "캐릭터 3명의 기록을 아직 받지 못했습니다" in text
        assert "연결이 끊겼습니다" in text
        assert "빚쟁이2" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_change_no_header_and_no_markup(name: str) -> None:
    calm = send(make_summary(name="이름", failure="이름", state=make_state(3, text="이름")))
    mail = send(make_summary(name=name, failure=name, state=make_state(3, text=name)))
    assert mail.items() == calm.items()
    assert read_text(mail, "html").count("<") == read_text(calm, "html").count("<")
    assert read_text(mail, "plain").count("\n") == read_text(calm, "plain").count("\n")
    assert not {"\u202e", "\u2066", "\u2069"} & set(read_text(mail, "plain") + read_text(mail, "html"))
