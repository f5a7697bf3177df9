"""Who has cleared which raid or legion, against a handful of rows whose answer was worked out by hand."""

from rows import Row, character, event, pick, run


def test_a_raid_with_phases_is_cleared_with_its_last_phase() -> None:
    raid = {"raid_name": "무형의 시로코", "raid_party_name": "파티"}
    rows = run(
        "clears_by_week",
        [
            event(201, "2026-11-12 20:00", **raid, raid_phase_name="추적"),
            event(201, "2026-11-12 20:02", **raid, raid_phase_name="토벌"),
            event(201, "2026-11-12 20:00", character="b", **raid, raid_phase_name="추적"),
        ],
    )
    assert pick(rows, "content_name", "clears", "characters", "earlier_phases") == [("무형의 시로코", 1, 1, 2)]


def test_the_last_phase_of_a_raid_never_heard_of_is_learnt_from_its_runs() -> None:
    def phase(name: str, minute: str, who: str) -> Row:
        return event(201, f"2026-11-12 {minute}", who, raid_name="새 레이드", raid_phase_name=name)

    full = [("진입", "20:00"), ("격돌", "20:10"), ("결말", "20:20")]
    failed_often = [phase(name, minute, who) for who in "bcd" for name, minute in full[:2]]
    rows = run("clears_by_week", [phase(name, minute, "a") for name, minute in full] + failed_often)
    assert pick(rows, "clears", "characters", "earlier_phases") == [(1, 1, 8)]


def test_a_day_knows_the_last_phase_of_a_raid_from_the_week_before_and_so_counts_no_run_that_was_only_begun() -> None:
    def phase(name: str, minute: str, who: str) -> Row:
        return event(201, minute, who, raid_name="새 레이드", raid_phase_name=name)

    full = [("진입", "20:00"), ("결말", "20:20")]
    begun = phase("진입", "2026-11-12 21:00", "b")
    ended = phase("결말", "2026-11-12 06:05", "c")  # begun before six o'clock, a day earlier
    for day, clears in (("2026-11-05", (0, 1)), ("2026-11-04", (1, 1))):  # longer ago than a week is not looked at
        before = [phase(name, f"{day} {at}", "a") for name, at in full]
        people = [character("b"), character("c")]
        rows = run("characters_by_day", [*before, begun], people)
        assert pick(rows, "character_id", "raid_clears") == [("b", clears[0]), ("c", 0)]
        rows = run("characters_by_day", [*before, ended], people)
        assert pick(rows, "character_id", "raid_clears") == [("b", 0), ("c", clears[1])]


def test_a_raid_of_two_modes_is_cleared_once_in_each() -> None:
    raid = {"raid_name": "무형의 시로코", "raid_phase_name": "토벌"}
    rows = run("clears_by_week", [event(201, **raid, raid_mode_name=mode) for mode in ("일반", "하드")])
    assert sorted(pick(rows, "mode_name", "clears")) == [("일반", 1), ("하드", 1)]


def test_the_phases_of_two_parties_of_one_character_tell_nothing_of_each_other() -> None:
    ended = [("1", "진입", "20:00"), ("1", "결말", "20:01")]
    begun_later = [("2", "진입", "20:10"), ("3", "진입", "20:20"), ("4", "진입", "20:30")]
    rows = run(
        "clears_by_week",
        [
            event(201, f"2026-11-12 {at}", raid_name="새 레이드", raid_party_name=party, raid_phase_name=name)
            for party, name, at in ended + begun_later
        ],
    )
    assert pick(rows, "clears", "earlier_phases") == [(1, 4)]


def test_phases_of_one_minute_are_one_clear() -> None:
    phases = [event(201, raid_name="새 레이드", raid_phase_name=name) for name in ("진입", "격돌", "결말")]
    assert pick(run("clears_by_week", phases), "clears", "earlier_phases") == [(1, 2)]


def test_phases_of_a_raid_without_a_name_are_learnt_as_well() -> None:
    phases = [("진입", "20:00"), ("결말", "20:10")]
    rows = run("clears_by_week", [event(201, f"2026-11-12 {at}", raid_phase_name=name) for name, at in phases])
    assert pick(rows, "content_name", "clears", "earlier_phases") == [("레이드", 1, 1)]


def test_clears_are_apart_by_kind_mode_and_hard_and_hard_left_out_means_not_hard() -> None:
    raid = {"raid_name": "기계 혁명", "raid_mode_name": "바칼 레이드"}
    rows = run(
        "clears_by_week",
        [
            event(201, **raid, is_hard=True),
            event(201, **raid),
            event(201, **raid, is_hard=False, is_matching=True),
            event(201, raid_name="기계 혁명", raid_mode_name="개전", is_single=True),
            event(210, raid_name="기계 혁명"),
            event(209, region_name="이스핀즈"),
            event(209, region_name="이스핀즈", server="bakal"),
            event(207, is_guide=True),
        ],
    )
    names = ("kind", "content_name", "mode_name", "is_hard", "clears", "characters", "single_clears", "matching_clears")
    assert pick(rows, *names) == [
        ("fiend war", "핀드워 클리어", None, False, 1, 1, 0, 0),
        ("legion", "이스핀즈", None, False, 2, 2, 0, 0),
        ("raid", "기계 혁명", "개전", False, 1, 1, 1, 0),
        ("raid", "기계 혁명", "바칼 레이드", False, 2, 1, 0, 1),
        ("raid", "기계 혁명", "바칼 레이드", True, 1, 1, 0, 0),
        ("raid vanguard", "기계 혁명", None, False, 1, 1, 0, 0),
    ]


def test_who_has_cleared_what_counts_a_raid_with_phases_by_its_last_one() -> None:
    raid = {"raid_name": "무형의 시로코", "raid_party_name": "파티"}
    rows = run(
        "clears_by_character",
        [
            event(201, "2026-11-12 20:00", "a", **raid, raid_phase_name="추적"),
            event(201, "2026-11-12 20:02", "a", **raid, raid_phase_name="토벌"),
            event(201, "2026-11-12 20:00", "b", **raid, raid_phase_name="추적"),
            event(209, "2026-11-12 21:00", "b", region_name="이스핀즈"),
            event(209, "2026-11-13 21:00", "b", region_name="이스핀즈"),
        ],
    )
    names = ("character_id", "kind", "content_name", "mode_name", "is_hard", "clears")
    assert pick(rows, *names) == [
        ("a", "raid", "무형의 시로코", None, False, 1),
        ("b", "legion", "이스핀즈", None, False, 2),
    ]


def test_a_week_runs_from_thursday_six_to_the_next_thursday() -> None:
    minutes = ["2026-11-12 05:59", "2026-11-12 06:00", "2026-11-19 05:59", "2026-11-19 06:00"]
    clears = [event(209, minute, region_name="차원회랑") for minute in minutes]
    assert pick(run("clears_by_week", clears), "week", "clears") == [(clears[1]["day"], 2)]
