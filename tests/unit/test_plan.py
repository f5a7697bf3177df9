from datetime import date, time, timedelta

import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.models import Calendar
from neople_timeline.plan import check_days, estimate_pages


@pytest.mark.parametrize("starts_at", [time(0), time(6), time(6, 1), time(23, 59)])
def test_a_backfill_may_begin_with_the_first_day_of_which_there_is_data_and_not_before(starts_at: time) -> None:
    calendar, last = Calendar(starts_at), date(2017, 10, 1)
    check_days(calendar, calendar.first_day, last, unfinished=False)
    with pytest.raises(ConfigError, match=f"before {calendar.first_day}, the first day of which the API has data"):
        check_days(calendar, calendar.first_day - timedelta(days=1), last, unfinished=False)


@pytest.mark.parametrize(
    ("days", "known", "events", "pages"),
    [
        (90, 0, 0, 1),  # nothing is known
        (90, 500, 0, 1),  # who does nothing is asked for too
        (1, 500, 11_000, 1),
        (4, 500, 11_000, 1),
        (5, 500, 11_000, 2),
        (50, 500, 11_000, 11),
        (90, 500, 11_000, 20),
    ],
)
def test_a_chain_has_as_many_pages_as_its_days_have_at_the_mean_of_what_is_known(
    days: int, known: int, events: int, pages: int
) -> None:
    assert estimate_pages(days, known, events) == pages
