from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.sandbox.traffic import SECOND, Stats, Window


@given(gaps=st.lists(st.integers(0, SECOND // 3), max_size=60))
def test_the_window_counts_what_a_second_really_held(gaps: list[int]) -> None:
    window, now, arrivals = Window(), 0, []
    for gap in gaps:
        now += gap
        arrivals.append(now)
        assert window.arrive(now) == sum(now - SECOND < moment <= now for moment in arrivals)
    peaks = [sum(moment - SECOND < other <= moment for other in arrivals) for moment in arrivals]
    assert window.peak == max(peaks, default=0)


def test_requests_above_the_limit_are_violations() -> None:
    stats = Stats()
    allowed = [stats.arrive(moment, 3) for moment in (0, 1, 2, 3, SECOND, SECOND + 1, SECOND + 3)]
    assert allowed == [True, True, True, False, False, False, True]
    assert (stats.requests, stats.violations, stats.window.peak) == (7, 3, 4)
    assert stats.as_json(0)["violated_at"] == [f"1970-01-01T00:00:0{second}+00:00" for second in (0, 1, 1)]


def test_without_a_limit_only_the_peak_is_kept() -> None:
    stats = Stats()
    assert all(stats.arrive(moment, 0) for moment in range(50))
    assert (stats.violations, stats.window.peak) == (0, 50)


def test_a_lowered_limit_counts_at_once() -> None:
    stats = Stats()
    assert stats.arrive(0, 2)
    assert stats.arrive(1, 2)
    assert not stats.arrive(2, 1)


def test_an_answer_given_twice_is_repeated() -> None:
    stats = Stats()
    for target in ("/a?x", "/b", "/a?x", "/a?x"):
        stats.answer_timeline(target)
    assert (len(stats.answered), stats.repeated) == (2, 2)


def test_a_reset_forgets_figures_but_not_the_last_second() -> None:
    stats = Stats()
    stats.by_error["DNF001"] += 1
    assert stats.arrive(5, 1)
    stats.reset()
    assert stats.as_json(0)["requests"] == 0
    assert stats.as_json(0)["by_error"] == {}
    assert stats.as_json(0)["first_at"] is None
    assert not stats.arrive(6, 1)
    assert stats.as_json(0) == stats.as_json(0) | {"requests": 1, "violations": 1, "seconds": 0.0}
    assert stats.as_json(0)["first_at"] == "1970-01-01T00:00:00+00:00"
