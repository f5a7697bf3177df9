from dataclasses import replace
from datetime import date, timedelta

from neople_timeline.models import Reject, Usage
from neople_timeline.report.profiles import Adventure
from neople_timeline.summary import (
    Attempts,
    Board,
    BoardRow,
    Channel,
    Content,
    DataState,
    DayFigures,
    Drop,
    DropCount,
    Goal,
    LedgerLine,
    Luck,
    Newcomer,
    Person,
    Rename,
    Spending,
    Star,
    Summary,
)
from neople_timeline.warehouse.profiles import Profile

DAY = date(2026, 11, 15)

HOSTILE = (
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "=cmd|' /C calc'!A0",
    "\u202eabc\u2066def",
    "\u2069\u2069\u202eabc",
    "a\r\nBcc: victim@example.org\r\n\r\n<b>",
    "a\u2028b\u0085c\x1bd\x00e",
    '" onmouseover="alert(1)',
    "&lt;b&gt;&amp;",
    "긴" * 255,
    "العربية",
)
"""Names that try to be more than text."""


def make_person(name: str = "빛의수호자", number: int = 1) -> Person:
    return Person("cain", f"{number:032x}", name, "네동네모험단", "사일런기사단")


def make_figures(day: date, events: int = 11_204, primeval: int = 3, epic: int = 122) -> DayFigures:
    return DayFigures(day, events, 431, primeval, epic, 304, 88, 141)


def make_state(owed: int = 0, text: str = "") -> DataState:
    reason = text or "연결이 끊겼습니다"
    debts = tuple(LedgerLine(DAY, 1, "prey", f"{n:032x}", text or f"빚쟁이{n}", reason) for n in range(min(owed, 50)))
    return DataState(
        planned=500,
        collected=496 - owed,
        missing=4,
        owed=owed,
        debts=debts,
        reasons=((reason, owed),) if owed else (),
        missing_characters=(LedgerLine(DAY, 1, "anton", "f" * 32, "", "DNF001 NOT_FOUND_CHARACTER"),) * 4,
        rejects=(Reject(7, text or "=cmd|' /C calc'!A0,xyz", "the server is not one of the eight"),),
        rejected=1,
        spending=Spending(Usage(1240, 11, 2, 1, 0, 3.9), 1000),
        is_verified=owed == 0,
    )


def make_summary(
    *,
    name: str = "빛의수호자",
    owed: int = 0,
    failure: str | None = None,
    state: DataState | None = None,
    goal: str = "기계 혁명",
    is_computed: bool = True,
    is_first: bool = False,
    is_empty: bool = False,
    is_week: bool = False,
) -> Summary:
    """Build a day; `is_computed`: its marts are; `is_first`: nothing before it is; `is_empty`: nothing happened."""
    people = [make_person(name, 1), make_person("달그림자", 2), make_person("새벽안개", 3)]
    trend = tuple(make_figures(DAY - timedelta(days=n), 10_000 + 331 * (n % 5), (n * 5) % 3) for n in range(13, 0, -1))
    goals = (
        Goal("raid", goal, "바칼 레이드", is_hard=True, clears=31, characters=30),
        Goal("raid", "아스라한", "", is_hard=False, clears=44, characters=41),
        Goal("legion", "이스핀즈", "", is_hard=False, clears=120, characters=96),
    )
    best_drops = tuple(
        Drop(f"2026-11-15 {19 + n}:07", person, f"첫 새벽이 빚은 {item}", rarity, 505, "종말의 숭배자", "바하이트", 4)
        for n, (person, item, rarity) in enumerate(
            zip(people, ("대검", "목걸이", "하의"), ("태초", "태초", "에픽"), strict=True)
        )
    )
    contents = (
        Content("raid", "아스라한", 41, 0),
        Content("raid", goal, 36, 30),
        Content("fiend war", "핀드워 클리어", 8, 0),
        Content("legion", "이스핀즈", 96, 0),
    )
    summary = Summary(
        first=DAY,
        day=DAY,
        first_minute="2026-11-15 06:00",
        last_minute="2026-11-16 05:59",
        figures=make_figures(DAY) if is_computed else None,
        yesterday=None if is_first else trend[-1],
        last_week=None if is_first else trend[-7],
        trend=(make_figures(DAY),) if is_first else (*trend, make_figures(DAY)),
        whole=frozenset(DAY - timedelta(days=n) for n in range(14)),
        drops=(
            DropCount("태초", 505, 2),
            DropCount("에픽", 505, 90),
            DropCount("레전더리", 505, 210),
            DropCount("태초", 504, 1),
            DropCount("에픽", 513, 32),
            DropCount("유니크", 513, 12),
            DropCount("에픽", 516, -3),
            DropCount("레전더리", 550, 14),
        ),
        star=Star(best_drops[0], 2),
        best_drops=best_drops,
        channels=(Channel("바하이트", 4, 2), Channel(name, None, 1)),
        channel_count=2,
        luckiest=(Luck(people[0], 31, 2, 9), Luck(people[1], 28, 1, 7)),
        unluckiest=(Luck(people[2], 64, 0, 1),),
        hours=tuple(200 + 37 * ((n * 7) % 11) for n in range(24)),
        hours_before=tuple(180 + 31 * ((n * 5) % 13) for n in range(24)),
        first_hour=6,
        board=Board(
            date(2026, 11, 12),
            DAY,
            contents,
            goals,
            tuple(BoardRow(person, (1, n % 2, 2)) for n, person in enumerate(people)),
            3,
        ),
        attempts=tuple(
            Attempts(code, level, 120 - 7 * level, 110 - 8 * level, 3, 1)
            for code in (401, 402)
            for level in range(1, 14)
        ),
        renames=(Rename(102, people[1], "옛이름", "달그림자"),),
        newcomers=(Newcomer(people[2], is_created=True),),
        state=state or make_state(owed),
        failure=failure,
    )
    if is_week:
        return replace(
            summary, first=DAY - timedelta(days=6), yesterday=None, last_week=make_figures(DAY, 9_000, 2, 100)
        )
    return (
        summary
        if not is_empty
        else replace(
            summary,
            figures=make_figures(DAY, 0, 0, 0),
            drops=(),
            star=None,
            best_drops=(),
            channels=(),
            luckiest=(),
            unluckiest=(),
            attempts=(),
            hours=(0,) * 24,
            board=Board(DAY, DAY, (), (), (), 0),
            renames=(),
            newcomers=(),
        )
    )


def make_profile(name: str = "빛의수호자", number: int = 1, adventure: str = "네동네모험단") -> Profile:
    person = replace(make_person(name, number), adventure=adventure)
    drops = (
        Drop("2026-11-14 19:07", person, "첫 새벽이 빚은 대검", "태초", 505, "종말의 숭배자", "바하이트", 4),
        Drop("2026-11-15 20:07", person, "첫 새벽이 빚은 하의", "에픽", 513),
    )
    days = tuple(replace(make_figures(DAY - timedelta(days=n), 40 * n, n % 2, 7), active=int(n > 0)) for n in (3, 1, 0))
    return Profile(
        person,
        "眞 웨펀마스터",
        115,
        61_203,
        days,
        drops,
        (Goal("raid", "아스라한", "", is_hard=True, clears=2, characters=1),),
    )


def make_adventure(name: str = "네동네모험단", member: str = "빛의수호자") -> Adventure:
    return Adventure("cain", name, (make_profile(member, 1, name), make_profile("달그림자", 2, name)))
