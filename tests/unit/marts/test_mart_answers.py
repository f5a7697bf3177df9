"""Each mart against a handful of rows whose answer was worked out by hand."""

from rows import Row, event, pick, run


def test_drops_are_counted_by_rarity_route_dungeon_and_channel() -> None:
    drop = {"item_rarity": "태초", "dungeon_name": "죽은 성", "channel_name": "바하이트", "channel_no": 4}
    rows = run(
        "drops_by_day",
        [
            event(505, **drop, is_mist_gear=True),
            event(505, character="b", **drop),
            event(505, **drop | {"channel_no": 5}),
            event(513, item_rarity="태초", dungeon_name="죽은 성"),
            event(505, **drop | {"item_rarity": "에픽"}),
        ],
    )
    assert pick(rows, "item_rarity", "route_code", "dungeon_name", "channel_no", "drops", "mist_gear_drops") == [
        ("에픽", 505, "죽은 성", 4, 1, 0),
        ("태초", 505, "죽은 성", 4, 2, 1),
        ("태초", 505, "죽은 성", 5, 1, 0),
        ("태초", 513, "죽은 성", None, 1, 0),
    ]


def test_upgrades_purchases_and_exchanges_are_no_drops() -> None:
    not_drops = [506, 508, 510, 511, 512, 517, 518, 519, 553, 601, 602, 401, 201, 9999]
    assert run("drops_by_day", [event(code, item_rarity="에픽") for code in not_drops]) == []


def test_every_route_of_equipment_and_of_oath_items_is_a_drop() -> None:
    equipment, oath = [504, 505, 507, 513, 514, 520, 521], [550, 551, 552, 554, 555, 557]
    rows = run("drops_by_day", [event(code, item_rarity="에픽") for code in equipment + oath])
    assert pick(rows, "item_family", "route_code", "drops") == [
        *[("equipment", code, 1) for code in equipment],
        *[("oath", code, 1) for code in oath],
    ]


def test_items_through_the_safe_are_netted_and_never_drops() -> None:
    moves = ["out", "out", "out", "in", None]
    rows = run("drops_by_day", [event(516, item_rarity="태초", safe_move=move) for move in moves])
    assert pick(rows, "route_code", "drops", "safe_net") == [(516, 0, 2)]


def test_an_unknown_rarity_is_kept_without_a_rank() -> None:
    rows = run("drops_by_day", [event(505, item_rarity="전설보다 위"), event(505), event(505, item_rarity="커먼")])
    assert pick(rows, "item_rarity", "rarity_rank", "drops") == [
        ("전설보다 위", None, 1),
        ("커먼", 1, 1),
        (None, None, 1),
    ]


def test_activity_counts_events_characters_and_drops_by_korean_hour() -> None:
    rows = run(
        "activity_by_hour",
        [
            event(505, "2026-11-12 06:00"),
            event(401, "2026-11-12 06:59"),
            event(9999, "2026-11-12 06:59", character="b"),
            event(550, "2026-11-13 05:59"),
        ],
    )
    assert pick(rows, "hour", "events", "characters", "drops") == [(5, 1, 1, 1), (6, 3, 2, 1)]


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


def test_a_week_runs_from_thursday_six_to_the_next_thursday() -> None:
    minutes = ["2026-11-12 05:59", "2026-11-12 06:00", "2026-11-19 05:59", "2026-11-19 06:00"]
    clears = [event(209, minute, region_name="차원회랑") for minute in minutes]
    assert pick(run("clears_by_week", clears), "week", "clears") == [(clears[1]["day"], 2)]
