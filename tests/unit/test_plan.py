from datetime import date, time, timedelta

import pytest

from neople_timeline.errors import ConfigError
from neople_timeline.models import Calendar
from neople_timeline.plan import check_days


@pytest.mark.parametrize("starts_at", [time(0), time(6), time(6, 1), time(23, 59)])
def test_a_backfill_may_begin_with_the_first_day_of_which_there_is_data_and_not_before(starts_at: time) -> None:
    calendar, last = Calendar(starts_at), date(2017, 10, 1)
    check_days(calendar, calendar.first_day, last, unfinished=False)
    with pytest.raises(ConfigError, match=f"before {calendar.first_day}, the first day of which the API has data"):
        check_days(calendar, calendar.first_day - timedelta(days=1), last, unfinished=False)
