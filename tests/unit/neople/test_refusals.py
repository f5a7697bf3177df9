import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pages import make_page, make_row

from neople_timeline.errors import SkipCharacter, StopCollecting, TimelineError
from neople_timeline.neople.protocol import (
    LONGEST_RETRY_AFTER,
    MAINTENANCE_SECONDS,
    MISSING,
    STOP,
    Maintenance,
    SlowDown,
    Unreadable,
    check_status,
    read_found,
    read_retry_after,
)

NOW = datetime(2026, 11, 16, tzinfo=UTC)

# What an error means ------------------------------------------------------------------------------------------------


def make_error(code: str, status: int = 500) -> bytes:
    return json.dumps({"error": {"status": status, "code": code, "message": "whatever"}}).encode()


@pytest.mark.parametrize("code", STOP)
def test_a_refused_key_or_request_stops_everything(code: str) -> None:
    with pytest.raises(StopCollecting, match=code):
        check_status(401, {}, make_error(code, 401))


@pytest.mark.parametrize("code", MISSING)
def test_an_unknown_character_is_skipped_as_missing(code: str) -> None:
    with pytest.raises(SkipCharacter, match=code):
        check_status(404, {}, make_error(code, 404))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, make_error("DNF999")),
        (500, make_error("API999")),
        (500, make_error("API007")),
        (500, make_error("API008")),
        (502, b"<html>Bad Gateway</html>"),
        (503, b""),
        (404, b"<html>Not Found</html>"),
        (404, make_error("DNF003", 404)),
        (400, b'{"error":null}'),
        (302, b""),
        (200, make_error("DNF999")),
    ],
)
def test_what_may_pass_is_tried_again_and_its_bytes_are_kept(status: int, body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        check_status(status, {}, body)
    assert caught.value.body == body


@pytest.mark.parametrize(("status", "body"), [(429, b""), (200, make_error("API002")), (400, make_error("API002"))])
def test_too_many_requests_slow_down(status: int, body: bytes) -> None:
    with pytest.raises(SlowDown) as caught:
        check_status(status, {"retry-after": "7"}, body)
    assert caught.value.seconds == 7


@pytest.mark.parametrize("status", [200, 400, 503])
def test_maintenance_waits_for_minutes(status: int) -> None:
    with pytest.raises(Maintenance) as caught:
        check_status(status, {}, make_error("DNF980", 503))
    assert caught.value.seconds == MAINTENANCE_SECONDS


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_without_a_code_stops_too(status: int) -> None:
    with pytest.raises(StopCollecting):
        check_status(status, {}, b"no JSON at all")


def test_a_code_that_is_none_is_not_repeated() -> None:
    with pytest.raises(Unreadable) as caught:
        check_status(500, {}, make_error("DNF\0999\x1b[2J"))
    assert str(caught.value) == "the API answers HTTP 500"


def test_a_found_name_that_cannot_be_stored_is_refused() -> None:
    row = {"serverId": "cain", "characterId": "a" * 32, "characterName": "x\0y"}
    with pytest.raises(Unreadable, match="cannot be stored"):
        read_found(json.dumps({"rows": [row]}).encode())


def test_the_message_decides_nothing() -> None:
    body = json.dumps({"error": {"code": "DNF001", "message": "DNF980 API003"}}).encode()
    with pytest.raises(SkipCharacter):
        check_status(404, {}, body)


def test_an_event_that_speaks_of_errors_is_no_error() -> None:
    check_status(200, {}, make_page([make_row(data={"error": {"code": "API003"}})]))
    check_status(200, {}, make_page([make_row()], error=None))


class BrokenHeaders(dict[str, str]):
    """Headers as the client gives them where a value is no text."""

    def get(self, *_: object) -> str:
        raise ValueError("failed to convert header to a str")


def test_a_retry_after_that_is_no_text_is_a_second() -> None:
    with pytest.raises(SlowDown) as caught:
        check_status(429, BrokenHeaders(), b"{}")
    assert caught.value.seconds == 1


@given(st.binary(), st.sampled_from([200, 302, 400, 401, 404, 429, 500, 503]))
def test_an_answer_of_any_bytes_is_one_of_our_errors_or_none(body: bytes, status: int) -> None:
    try:
        check_status(status, {}, body)
    except TimelineError:
        return
    assert status == 200


# Retry-After --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**30))
def test_retry_after_in_seconds_is_at_least_one_and_at_most_an_hour(seconds: int) -> None:
    assert read_retry_after(str(seconds), NOW) == min(max(seconds, 1), LONGEST_RETRY_AFTER)


@given(st.integers(-100_000, 100_000))
def test_retry_after_as_a_date_counts_from_now(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert read_retry_after(header, NOW) == min(max(seconds, 1), LONGEST_RETRY_AFTER)


@given(st.text())
@example("")
@example("-5")
@example("1e9")
@example("²")
@example("9" * 400)
@example("Mon, 16 Nov 2026 00:00:30")
@example("Mon, 16 Nov 99999 00:00:30 GMT")
@example("Mon, 16 Nov 2026 00:00:30 +99999999999999999999")
@example("Mon, 31 Feb 2026 25:61:61 GMT")
def test_any_retry_after_is_some_sensible_wait(text: str) -> None:
    assert 1 <= read_retry_after(text, NOW) <= LONGEST_RETRY_AFTER
