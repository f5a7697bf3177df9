from datetime import date

from neople_timeline.catalogue import Mart
from neople_timeline.marts.periods import cut_pieces, days_covered, periods_of, tabulate_days
from neople_timeline.models import days_between


def test_a_week_is_named_by_its_thursday_and_covers_seven_days() -> None:
    wednesday, thursday = date(2026, 11, 18), date(2026, 11, 19)
    assert periods_of([thursday, wednesday], "week") == (date(2026, 11, 12), thursday)
    assert days_covered([wednesday], "week")[0::6] == (date(2026, 11, 12), wednesday)
    assert len(days_covered([wednesday, thursday], "week")) == 14


def test_a_month_covers_all_its_days_and_no_other() -> None:
    assert days_covered([date(2028, 2, 10)], "month")[0::28] == (date(2028, 2, 1), date(2028, 2, 29))
    assert days_covered([date(2026, 12, 31)], "month")[-1] == date(2026, 12, 31)
    assert periods_of([date(2026, 12, 31), date(2027, 1, 1)], "month") == (date(2026, 12, 1), date(2027, 1, 1))


def test_days_of_the_day_marts_are_only_those_given() -> None:
    days = (date(2026, 11, 1), date(2026, 11, 30))
    assert days_covered(days, "day") == periods_of(days, "day") == days


def test_each_day_is_tabled_with_its_period() -> None:
    table = tabulate_days([date(2026, 11, 18), date(2026, 11, 19)], "week")
    assert table.to_pylist() == [
        {"day": date(2026, 11, 18), "period": date(2026, 11, 12)},
        {"day": date(2026, 11, 19), "period": date(2026, 11, 19)},
    ]


def periods_in(marts: tuple[Mart, ...]) -> set[str]:
    return {mart.period for mart in marts}


def test_one_day_is_one_piece_with_all_marts() -> None:
    day = date(2026, 11, 18)
    ((days, marts),) = cut_pieces([day])
    assert (days, periods_in(marts)) == ((day,), {"day", "week", "month"})
    assert list(cut_pieces([])) == []


def test_pieces_end_with_their_week_or_month_which_belong_to_the_first_piece_with_a_day_of_theirs() -> None:
    pieces = list(cut_pieces(tuple(days_between(date(2026, 10, 26), date(2026, 11, 6)))[::-1]))
    assert [(days[0], days[-1], periods_in(marts)) for days, marts in pieces] == [
        (date(2026, 10, 26), date(2026, 10, 28), {"day", "week", "month"}),
        (date(2026, 10, 29), date(2026, 10, 31), {"day", "week"}),
        (date(2026, 11, 1), date(2026, 11, 4), {"day", "month"}),
        (date(2026, 11, 5), date(2026, 11, 6), {"day", "week"}),
    ]


def test_days_far_apart_share_no_piece() -> None:
    assert [days for days, _ in cut_pieces([date(2026, 11, 5), date(2024, 11, 6)])] == [
        (date(2024, 11, 6),),
        (date(2026, 11, 5),),
    ]
