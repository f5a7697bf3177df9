from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.models import (
    FIRST_MINUTE_WITH_DATA,
    KOREA,
    LONGEST_WINDOW_DAYS,
    MINUTE_FORMAT,
    Calendar,
    Usage,
    Window,
    add_months,
    days_between,
    number_of,
    parse_minute,
    round_seconds,
    split_runs,
    to_instant,
    week_of,
)

DAYS = st.dates(date(2017, 9, 21), date(2040, 12, 31))
MOMENTS = st.datetimes(datetime(2017, 9, 21), datetime(2040, 12, 31)).map(lambda moment: moment.replace(second=0))  # noqa: DTZ001 - Korean wall clock
STARTS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
GAME = Calendar()


@given(STARTS, MOMENTS)
def test_every_minute_belongs_to_exactly_the_day_whose_window_holds_it(starts_at: time, moment: datetime) -> None:
    calendar, minute = Calendar(starts_at), moment.strftime(MINUTE_FORMAT)
    day = calendar.day_of(minute)
    neighbours = [day + timedelta(days=offset) for offset in range(-2, 3)]
    assert [one for one in neighbours if minute in calendar.window(one, one)] == [day]


@given(STARTS, DAYS)
def test_windows_of_consecutive_days_are_adjacent_and_disjoint(starts_at: time, day: date) -> None:
    calendar = Calendar(starts_at)
    today = calendar.window(day, day)
    tomorrow = calendar.window(day + timedelta(days=1), day + timedelta(days=1))
    assert parse_minute(tomorrow.start) - parse_minute(today.end) == timedelta(minutes=1)
    assert parse_minute(today.end) - parse_minute(today.start) == timedelta(hours=23, minutes=59)
    assert today.end < tomorrow.start


@given(STARTS, DAYS, st.integers(0, 89))
def test_a_window_of_several_days_is_the_union_of_their_windows(starts_at: time, first: date, more: int) -> None:
    calendar, last = Calendar(starts_at), first + timedelta(days=more)
    whole = calendar.window(first, last)
    assert (whole.start, whole.end) == (calendar.window(first, first).start, calendar.window(last, last).end)


def test_the_game_day_runs_from_six_to_the_minute_before_six() -> None:
    assert GAME.window(date(2026, 11, 15), date(2026, 11, 15)) == Window("2026-11-15 06:00", "2026-11-16 05:59")
    assert GAME.day_of("2026-11-15 05:59") == date(2026, 11, 14)
    assert GAME.day_of("2026-11-15 06:00") == date(2026, 11, 15)


@given(STARTS)
def test_the_first_day_is_the_one_that_holds_the_first_minute_of_which_there_is_data(starts_at: time) -> None:
    calendar = Calendar(starts_at)
    assert FIRST_MINUTE_WITH_DATA in calendar.window(calendar.first_day, calendar.first_day)
    assert calendar.first_day == date(2017, 9, 21 if starts_at <= time(6) else 20)


def test_calendar_days_run_from_midnight() -> None:
    window = Calendar(time(0)).window(date(2024, 2, 28), date(2024, 2, 29))
    assert window == Window("2024-02-28 00:00", "2024-02-29 23:59")


@given(STARTS, MOMENTS)
def test_the_last_day_over_is_over_and_the_next_is_not(starts_at: time, now: datetime) -> None:
    calendar, instant = Calendar(starts_at), now.replace(tzinfo=UTC)
    last = calendar.last_over(instant)
    assert calendar.over_at(last) <= instant < calendar.over_at(last + timedelta(days=1))


def test_a_day_is_over_five_minutes_after_its_last_minute() -> None:
    assert GAME.over_at(date(2026, 11, 15)) == datetime(2026, 11, 15, 21, 5, tzinfo=UTC)


@given(MOMENTS)
def test_an_instant_is_the_same_minute_in_korea(moment: datetime) -> None:
    instant = to_instant(moment.strftime(MINUTE_FORMAT))
    assert instant.utcoffset() == timedelta(0)
    assert instant.astimezone(KOREA).replace(tzinfo=None) == moment.replace(second=0, microsecond=0)


def test_korea_is_nine_hours_ahead() -> None:
    assert to_instant("2026-11-15 06:00") == datetime(2026, 11, 14, 21, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-15",
        "2026-11-15T06:00",
        "2026-11-15 06:00:00",
        "2026-1-15  06:00",
        "2026-11-15\t06:00",
        "2026-11-15 0\uff16:00",
        "2026-11-1  06:00",
        "2026-02-30 06:00",
        "2026-11-15 24:00",
        "0000-00-00 00:00",
    ],
)
def test_what_is_not_spelt_as_a_minute_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is strptime's
        parse_minute(text)


@given(st.text("0123456789-: \t\uff10", min_size=16, max_size=16))
def test_a_minute_that_is_accepted_is_spelt_in_the_one_way(text: str) -> None:
    try:
        moment = parse_minute(text)
    except ValueError:
        return
    assert moment.strftime(MINUTE_FORMAT) == text


@given(st.sets(st.integers(0, 400).map(lambda offset: date(2024, 1, 1) + timedelta(days=offset))))
def test_split_runs_keeps_every_day_once_in_the_fewest_runs_without_gaps(days: set[date]) -> None:
    runs = split_runs(days)
    assert [day for run in runs for day in run] == sorted(days)
    assert all(len(run) <= LONGEST_WINDOW_DAYS for run in runs)
    assert all(run == tuple(days_between(run[0], run[-1])) for run in runs)
    for run, following in pairwise(runs):
        assert following[0] - run[-1] > timedelta(days=1) or len(run) == LONGEST_WINDOW_DAYS


def test_ninety_days_are_one_window_and_ninety_one_are_two() -> None:
    days = list(days_between(date(2025, 1, 1), date(2025, 4, 1)))
    assert [len(run) for run in split_runs(days[:90])] == [90]
    assert [len(run) for run in split_runs(days)] == [90, 1]


def test_days_between_includes_both_and_crosses_the_leap_day() -> None:
    assert list(days_between(date(2024, 2, 28), date(2024, 3, 1))) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
    assert list(days_between(date(2024, 3, 1), date(2024, 2, 28))) == []


@given(DAYS)
def test_a_week_starts_on_the_thursday_at_or_before_its_days(day: date) -> None:
    start = week_of(day)
    assert start.weekday() == 3
    assert timedelta(0) <= day - start <= timedelta(days=6)


@pytest.mark.parametrize(
    ("first", "months", "expected"),
    [
        (date(2026, 11, 1), 1, date(2026, 12, 1)),
        (date(2026, 11, 1), 2, date(2027, 1, 1)),
        (date(2026, 1, 1), 0, date(2026, 1, 1)),
        (date(2026, 1, 1), -1, date(2025, 12, 1)),
        (date(2026, 12, 1), -12, date(2025, 12, 1)),
    ],
)
def test_months_are_added_over_the_ends_of_years(first: date, months: int, expected: date) -> None:
    assert add_months(first, months) == expected


@pytest.mark.parametrize(("count", "said"), [(0, "0 events"), (1, "1 event"), (1234, "1,234 events")])
def test_a_number_is_written_with_its_noun(count: int, said: str) -> None:
    assert number_of(count, "event") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *[(0, "0 s"), (24.4, "24 s"), (120, "120 s")],
        *[(150, "2 min"), (7200, "120 min"), (9000, "2.5 h"), (4_000_000, "1,111.1 h")],
    ],
)
def test_a_time_is_written_as_exactly_as_it_matters(seconds: float, said: str) -> None:
    assert round_seconds(seconds) == said


def test_usage_of_one_try_after_the_other_adds_up() -> None:
    total = Usage(10, 1, 2, 3, 4, 4.0) + Usage(20, 4, 5, 6, 7, 3.0)
    assert total == Usage(30, 5, 7, 9, 11, 7.0)
    assert total.wasted == 32


def test_usage_tells_what_was_allowed_used_and_wasted_and_the_least_time() -> None:
    assert Usage(13_000, 4, 5, 6, 2, 14.0).describe(1000) == (
        "13,000 requests in 14.0 s, 14,000 allowed (at the limit of 1,000/s at least 13.0 s),"
        " 17 wasted: 4 retried, 5 pages repeated, 6 throttled, 2 pages not landed"
    )
