import logging

import pytest

from neople_timeline.models import Collected, Usage
from neople_timeline.progress_log import ProgressLog


def tell(log: ProgressLog, seconds: float, *, done: int = 0, events: int = 0, requests: int = 0) -> None:
    log(Collected(done, events, 0, 0, Usage(requests, seconds=seconds)))


def test_a_line_is_logged_every_half_minute_however_often_progress_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(1_000)
    for half_seconds in range(1, 301):
        tell(log, half_seconds / 2, done=half_seconds)
    assert [message.split(" ")[0] for message in caplog.messages] == ["60", "120", "180", "240", "300"]


def test_a_line_tells_what_is_done_the_rate_of_now_and_what_the_rest_takes_at_the_pace_until_now(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(12_000)
    tell(log, 30, requests=24_000)
    tell(log, 60, done=4_000, events=81_234, requests=30_000)
    tell(log, 90, done=11_999, events=240_001, requests=90_000)
    tell(log, 120, done=12_001, events=250_000, requests=90_000)
    assert caplog.messages == [
        "0 of 12,000 character-days, 0 events, 800 requests/s, none landed yet",
        "4,000 of 12,000 character-days, 81,234 events, 200 requests/s, about 120 s left",
        "11,999 of 12,000 character-days, 240,001 events, 2,000 requests/s, about 0 s left",
        "12,001 of 12,000 character-days, 250,000 events, 0 requests/s, about 0 s left",
    ]


def test_who_is_missing_or_owed_is_done_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ProgressLog(6)(Collected(1, 1, 1, 1, Usage(3, seconds=30)))
    assert caplog.messages == ["3 of 6 character-days, 1 event, 0 requests/s, about 30 s left"]
