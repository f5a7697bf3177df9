import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from report_values import DAY

from neople_timeline.errors import ConfigError
from neople_timeline.report.alert import build_alert
from neople_timeline.report.outbox import MAIL_POLICY, address_mail, make_message_id

NOW = datetime(2026, 11, 16, 0, 1, tzinfo=UTC)


@given(st.integers(1, 99), st.integers(1, 9999), st.sampled_from(["2026-11-24", "[수집 완료] 2026-11-24"]))
@example(2, 53, "2026-11-24")
def test_a_subject_of_any_length_arrives_with_all_its_spaces(primevals: int, epics: int, start: str) -> None:
    subject = f"{start} 던파 타임라인: 태초 {primevals}개, 에픽 {epics:,}개"
    sent = build_alert(subject, ["text"]).as_bytes()
    assert message_from_bytes(sent, policy=policy.default)["Subject"] == subject
    assert max(map(len, sent.splitlines())) <= 78


@pytest.mark.parametrize(
    ("sender", "recipients"),
    [
        ("report@example.org\r\nBcc: x@example.org", "a@example.org"),
        ("report@example.org", "a@example.org\nBcc: x@example.org"),
        ("report@example.org", "nobody"),
        ("report@example.org", "a@example.org; b@example.org"),
        ("report@example.org", "a@example.org b@example.org"),
        ("report@example.org", "x@[evil"),
        ("", "a@example.org"),
    ],
)
def test_addresses_that_are_none_are_refused(sender: str, recipients: str) -> None:
    with pytest.raises(ConfigError, match="REPORT_FROM and REPORT_TO"):
        address_mail(EmailMessage(policy=MAIL_POLICY), sender, recipients, "<1@example.org>", NOW)


def test_the_message_id_is_the_same_for_a_day_and_edition_and_another_for_another_lake() -> None:
    first = make_message_id("daily", DAY, "x <r@example.org>", "s3://lake")
    assert first == make_message_id("daily", DAY, "x <r@example.org>", "s3://lake")
    assert first.endswith("@example.org>")
    assert re.fullmatch(r"<[\w.-]+@[\w.]+>", make_message_id("failed manual__2026-11-16T00:00:00+00:00", DAY, "", ""))
    assert len({first, make_message_id("daily-complete", DAY, "r@example.org", "s3://lake"),
                make_message_id("daily", DAY, "r@example.org", "s3://other")}) == 3  # fmt: skip
