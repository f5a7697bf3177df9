"""The report's words in Korean and English, and how numbers, days and strangers' names are written."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from neople_timeline.models import SERVERS
from neople_timeline.settings import Language

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "ko": {
        "title": "던파 타임라인 일일 리포트",
        "subject": "{day} 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "subject_owed": "[수집 대기 {owed}건] {day} 던파 타임라인",
        "subject_failed": "[실패] {day} 던파 타임라인",
        "subject_complete": "[수집 완료] {day} 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "failed": "이날 수집을 끝까지 마치지 못했습니다",
        "owed_banner": "캐릭터 {owed}명의 기록을 아직 받지 못했습니다. 다음 실행 때 먼저 받습니다.",
        "absent_banner": "전혀 수집하지 않은 날: {days}",
        "waiting_banner": "이 보고서를 쓸 때 이전 {count}일({first} ~ {last})은 아직 수집하지 못했습니다."
        " 매일 일부씩 이어서 수집합니다.",
        "unknown_banner": "처음 보는 종류의 기록이 있습니다: {codes}. 원본은 보관하고, 기록 수에만 포함합니다.",
        "emptied_banner": "전날까지 있었지만 이날은 하나도 없는 항목: {columns}."
        " API가 이름을 바꿨을 수 있습니다. 원래 내용은 data에 있습니다.",
        "provisional": "잠정 집계: 이날이 끝나기 전에 수집한 내용입니다. 끝난 뒤 다음 실행에서 다시 수집합니다.",
        "lead_primeval": "태초 {primeval}개를 획득한 날입니다.",
        "lead_epic": "태초는 없었지만 에픽을 {epic}개 획득했습니다.",
        "lead_unknown": "수치는 아직 계산되지 않았습니다.",
        "lead_quiet": "조용한 하루였습니다.",
        "lead_record": "최근 {last}일 중 태초가 가장 많은 날입니다.",
        "lead_record_of_some": "최근 {last}일 중 수집한 {days}일 가운데 태초가 가장 많은 날입니다.",
        "star": "이날의 주인공",
        "star_count": "{rarity} {count}개",
        "events": "타임라인 기록",
        "records": "기록",
        "active": "활동 캐릭터",
        "primeval": "태초",
        "epic": "에픽",
        "legendary": "레전더리",
        "raids": "레이드 클리어",
        "legions": "레기온 클리어",
        "today": "이날",
        "day": "날짜",
        "yesterday": "전날",
        "last_week": "지난주 같은 요일",
        "no_comparison": "온전히 수집한 이전 날이 없어 비교하지 않음",
        "not_whole": "이날을 온전히 수집하지 못해 비교하지 않음",
        "partial_days": "일부만 수집한 날",
        "partial": "일부",
        "drops": "등급과 경로별 획득",
        "drops_by_rarity": "등급별 획득",
        "no_rarity": "등급 없음",
        "drops_chart": "경로별 획득 수를 등급 색으로 쌓은 막대 그래프",
        "oaths": "서약 획득",
        "best_drops": "이날의 득템",
        "best_shown": "태초·신화·에픽(서약은 태초만) 전체 {total}건 중 {shown}건 표시",
        "and_more": "외 {count}개",
        "oath": "서약",
        "channels": "태초가 나온 채널",
        "channel": "채널",
        "luck": "행운과 불운",
        "luckiest": "행운",
        "unluckiest": "불운",
        "luck_note": "드랍이나 카드가 기록된 던전만 셉니다. 행운은 태초가 많은 순(같으면 판당 비율),"
        " 불운은 태초 없이 기록이 가장 많은 순입니다.",
        "activity": "시간대별 활동",
        "activity_chart": "시간대별 기록 수: 막대는 이날, 선은 전날",
        "activity_chart_alone": "시간대별 기록 수",
        "trend": "최근 14일",
        "trend_chart": "날짜별 기록 수와 태초 수",
        "board": "주간 레이드·레기온",
        "raid_chart": "레이드별 클리어한 캐릭터 수",
        "legion_chart": "레기온별 클리어한 캐릭터 수",
        "week_note": "{week}(목) ~ {last}까지 수집한 기록",
        "nothing_cleared": "아직 없음",
        "owed_days": "아직 다 수집하지 못한 날이 있어 실제보다 적을 수 있습니다: {days}",
        "created": "생성",
        "joined": "처음 수집",
        "runs": "기록 판수",
        "raid": "레이드",
        "legion": "레기온",
        "hard": "하드",
        "normal_only": "일반만",
        "fiend_war": "핀드워",
        "vanguard": "선발대",
        "not_in_total": "(합계 제외)",
        "safe_note": "초월의 돌: 금고에서 꺼낸 수에서 넣은 수를 뺀 값",
        "characters": "캐릭터",
        "enhance": "강화와 증폭",
        "enhance_chart": "목표 단계별 성공률",
        "enhance_note": "강화권·증폭권 사용과 안전 강화·안전 증폭은 성공률에서 제외합니다.",
        "code_401": "강화",
        "code_402": "증폭",
        "level": "목표 단계",
        "tried": "시도",
        "succeeded": "성공",
        "rate": "성공률",
        "safe": "안전 시도",
        "tickets": "강화·증폭권",
        "people": "이름 변경과 새 캐릭터",
        "renames": "이름 변경",
        "newcomers": "새 캐릭터",
        "code_102": "캐릭터",
        "code_105": "모험단",
        "state": "데이터 상태",
        "collected": "수집",
        "missing": "없는 캐릭터",
        "owed": "수집 대기",
        "reason": "이유",
        "count": "건수",
        "first_shown": "전체 {total}건 중 {shown}건 표시",
        "days_from": "모두 {days}일, 첫날 {day}",
        "rejects": "명단에서 읽지 못한 줄",
        "line": "줄",
        "verified": "검증 통과: 수집 기록·원본·Parquet·PostgreSQL의 내용이 모두 일치합니다",
        "not_verified": "아직 검증되지 않았습니다",
        "spending": (
            "일일 수집: API 요청 {requests}건(허용 {allowed}건), 낭비 {wasted}건, {seconds}초 (이론상 최소 {least}초)"
        ),
        "no_spending": "이날의 일일 수집에서는 API를 호출하지 않았습니다",
        "character": "캐릭터",
        "adventure": "모험단",
        "route": "경로",
        "channel_unit": "채널",
        "who_cleared": "캐릭터별 클리어 현황",
        "total": "합계",
        "hour": "시각",
        "nothing": "없음",
        "page": "전체 보고서",
        "more": "더 보기",
        "numbers": "표로 보기",
        "weekly": "주간 리포트",
        "week_before": "지난 주간 리포트",
        "best_drops_own": "득템",
        "line_text": "내용",
        "week_days": "날짜별",
        "back": "일일 리포트 보기",
        "last_days": "최근 14일 · {first} ~ {last}",
        "played_days": "활동일",
        "fame": "명성",
        "this_week": "이번 주 클리어",
        "members": "모험단 캐릭터",
        "quota": "API 할당량",
        "per_second": "초당 요청",
        "lent": "현재 배정된 할당량",
        "paused": "{seconds}초 동안 멈춤",
        "not_paused": "멈춤 없음",
        "requests_24h": "최근 24시간 요청",
        "wasted_24h": "최근 24시간 낭비",
        "coverage": "수집 달력",
        "latest_report": "최근 일일 리포트",
        "report_of_day": "이날의 일일 리포트",
        "earlier": "이전 달",
        "later": "다음 달",
        "nothing_owed": "수집 대기 중인 기록이 없습니다",
        "day_verified": "검증됨",
        "day_collected": "수집됨",
        "day_owed": "일부 수집 대기",
        "day_running": "진행 중",
        "day_absent": "수집 안 됨",
        "nothing_planned": "이날은 아직 수집하지 않았습니다",
        "game_day": "게임일: {first} ~ {last} (한국 시각)",
    },
    "en": {
        "title": "DNF timeline daily report",
        "subject": "{day} DNF timeline: {primeval} primeval, {epic} epic",
        "subject_owed": "[{owed} owed] {day} DNF timeline",
        "subject_failed": "[failed] {day} DNF timeline",
        "subject_complete": "[now complete] {day} DNF timeline: {primeval} primeval, {epic} epic",
        "failed": "This day's run did not finish",
        "owed_banner": "Character-days still owed: {owed}. The next run collects them first.",
        "absent_banner": "Not collected at all: {days}",
        "waiting_banner": "Earlier days still to be collected when this was written: {count}, {first} to {last}."
        " Each daily run collects some of them.",
        "unknown_banner": "The API returned event kinds that this program does not know yet: {codes}."
        " They are kept in full, and counted as events only.",
        "emptied_banner": "Present until the day before, absent on this day: {columns}."
        " The API may have renamed them; the column data holds all that it sent.",
        "provisional": "Provisional: collected before the day was over. The next run after it ends collects it again.",
        "lead_primeval": "Primeval drops on this day: {primeval}.",
        "lead_epic": "No primeval drops; epic drops: {epic}.",
        "lead_unknown": "The figures have not been computed yet.",
        "lead_quiet": "A quiet day.",
        "lead_record": "That is the most in the last {last} days.",
        "lead_record_of_some": "That is the most on any of the {days} days collected in the last {last}.",
        "star": "Star of the day",
        "star_count": "{rarity}: {count}",
        "events": "Events",
        "records": "Events",
        "active": "Active characters",
        "primeval": "Primeval",
        "epic": "Epic",
        "legendary": "Legendary",
        "raids": "Raid clears",
        "legions": "Legion clears",
        "today": "this day",
        "day": "Day",
        "yesterday": "day before",
        "last_week": "week before",
        "no_comparison": "No complete earlier day to compare with",
        "not_whole": "Not compared: this day is not collected completely",
        "partial_days": "partly collected",
        "partial": "partly",
        "drops": "Items gained, by rarity and route",
        "drops_by_rarity": "Items gained, by rarity",
        "no_rarity": "no rarity",
        "drops_chart": "Stacked bars: items gained by route, coloured by rarity",
        "oaths": "Oaths",
        "best_drops": "Best drops",
        "best_shown": "first {shown} of {total}: Primeval, Mythic and Epic (of oaths Primeval only)",
        "and_more": "and {count} more",
        "oath": "oath",
        "channels": "Channels with most primeval drops",
        "channel": "Channel",
        "luck": "Luck",
        "luckiest": "Luckiest",
        "unluckiest": "Unluckiest",
        "luck_note": "Counts only runs that left a drop or a card. Luckiest: most primeval drops, then"
        " most per run. Unluckiest: most runs without a primeval drop.",
        "activity": "Activity by hour",
        "activity_chart": "Events by hour: bars for this day, line for the day before",
        "activity_chart_alone": "Events by hour",
        "trend": "Last 14 days",
        "trend_chart": "Events and primeval drops by day",
        "board": "Raids and legions of the week",
        "raid_chart": "Characters that cleared each raid",
        "legion_chart": "Characters that cleared each legion",
        "week_note": "What was collected from Thursday {week} to {last}.",
        "nothing_cleared": "nothing yet",
        "owed_days": "There may be more: these days are not collected in full yet: {days}",
        "created": "created",
        "joined": "first collected",
        "runs": "Runs",
        "raid": "Raid",
        "legion": "Legion",
        "hard": "hard",
        "normal_only": "normal only",
        "fiend_war": "Fiend War",
        "vanguard": "vanguard",
        "not_in_total": "(not in the total)",
        "safe_note": "Account safe: items taken out less those put in",
        "characters": "characters",
        "enhance": "Reinforcement and amplification",
        "enhance_chart": "Success rate by target level",
        "enhance_note": "Tickets and safe attempts are not part of the rates.",
        "code_401": "Reinforce",
        "code_402": "Amplify",
        "level": "Level",
        "tried": "Attempts",
        "succeeded": "Successes",
        "rate": "Rate",
        "safe": "Safe",
        "tickets": "Tickets",
        "people": "Renames and newcomers",
        "renames": "Renames",
        "newcomers": "Newcomers",
        "code_102": "Character",
        "code_105": "Adventure",
        "state": "State of the data",
        "collected": "Collected",
        "missing": "Missing characters",
        "owed": "Owed",
        "reason": "Reason",
        "count": "Count",
        "first_shown": "first {shown} of {total}",
        "days_from": "{days} days, the first on {day}",
        "rejects": "Roster lines that could not be used",
        "line": "Line",
        "verified": "Verified: ledger, raw answers, Parquet and PostgreSQL agree",
        "not_verified": "Not verified yet",
        "spending": (
            "Daily run, API requests: {requests} of {allowed} allowed, {wasted} wasted, {seconds} s (at best {least} s)"
        ),
        "no_spending": "The daily run made no API requests for this day",
        "character": "Character",
        "adventure": "Adventure",
        "route": "Route",
        "channel_unit": " ch",
        "who_cleared": "Who has cleared what",
        "total": "Total",
        "hour": "Hour",
        "nothing": "none",
        "page": "Full report",
        "more": "More",
        "numbers": "As a table",
        "weekly": "Weekly report",
        "week_before": "Previous weekly report",
        "best_drops_own": "Best drops",
        "line_text": "Text",
        "week_days": "Day by day",
        "back": "Back to the daily report",
        "last_days": "Last 14 days · {first} to {last}",
        "played_days": "Days played",
        "fame": "Fame",
        "this_week": "Cleared this week",
        "members": "Characters of the adventure",
        "quota": "API quota",
        "per_second": "requests a second",
        "lent": "Lent out now",
        "paused": "paused for {seconds} s",
        "not_paused": "not paused",
        "requests_24h": "Requests in 24 h",
        "wasted_24h": "Wasted in 24 h",
        "coverage": "Coverage",
        "latest_report": "Latest report",
        "report_of_day": "Report for this day",
        "earlier": "Earlier",
        "later": "Later",
        "nothing_owed": "Nothing is owed",
        "day_verified": "verified",
        "day_collected": "collected",
        "day_owed": "partly owed",
        "day_running": "under way",
        "day_absent": "not collected",
        "nothing_planned": "This day has not been collected yet",
        "game_day": "Game day: {first} to {last} (Korean time)",
    },
}

WEEKLY_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "ko": {
        "title": "던파 타임라인 주간 리포트",
        "subject": "{day} ~ {last} 주간 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "subject_owed": "[수집 대기 {owed}건] {day} ~ {last} 주간 던파 타임라인",
        "subject_complete": "[수집 완료] {day} ~ {last} 주간 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "lead_primeval": "태초 {primeval}개를 획득한 한 주입니다.",
        "lead_epic": "태초는 없었지만 에픽을 {epic}개 획득한 한 주입니다.",
        "lead_quiet": "조용한 한 주였습니다.",
        "no_comparison": "온전히 수집한 이전 주가 없어 비교하지 않음",
        "not_whole": "이 주를 온전히 수집하지 못해 비교하지 않음",
        "collected": "수집(캐릭터·일)",
        "missing": "없는 캐릭터(캐릭터·일)",
        "star": "이 주의 주인공",
        "best_drops": "이 주의 득템",
        "today": "이 주",
        "yesterday": "전주",
        "last_week": "전주",
        "activity_chart": "시간대별 기록 수: 막대는 이 주, 선은 전주",
        "no_spending": "이 주의 일일 수집에서는 API를 호출하지 않았습니다",
        "owed_banner": "아직 받지 못한 기록이 {owed}건(캐릭터·일 기준) 있습니다. 다음 실행 때 먼저 받습니다.",
        "game_day": "게임 주간: {first} ~ {last} (한국 시각)",
    },
    "en": {
        "title": "DNF timeline weekly report",
        "subject": "Week {day} to {last}, DNF timeline: {primeval} primeval, {epic} epic",
        "subject_owed": "[{owed} owed] Week {day} to {last}, DNF timeline",
        "subject_complete": "[now complete] Week {day} to {last}, DNF timeline: {primeval} primeval, {epic} epic",
        "lead_primeval": "Primeval drops this week: {primeval}.",
        "lead_epic": "No primeval drops this week; epic drops: {epic}.",
        "lead_quiet": "A quiet week.",
        "no_comparison": "No complete earlier week to compare with",
        "not_whole": "Not compared: this week is not collected completely",
        "collected": "Collected character-days",
        "missing": "Missing character-days",
        "star": "Star of the week",
        "best_drops": "Best drops of the week",
        "today": "this week",
        "yesterday": "week before",
        "last_week": "week before",
        "activity_chart": "Events by hour: bars for this week, line for the week before",
        "no_spending": "The daily runs made no API requests for this week",
        "game_day": "Game week: {first} to {last} (Korean time)",
    },
}
"""What the weekly edition calls otherwise."""

ROUTES: Final[Mapping[Language, Mapping[int, str]]] = {
    "ko": {
        505: "던전 드랍", 513: "던전 카드", 504: "항아리·상자", 507: "레이드 카드", 521: "레이드 경매",
        514: "제작서", 520: "장비 제작", 516: "초월의 돌",
        550: "던전 드랍", 557: "던전 카드", 552: "항아리·상자", 551: "레이드 카드", 554: "제작서", 555: "무기고",
        556: "초월의 돌",
    },
    "en": {
        505: "Dungeon", 513: "Dungeon card", 504: "Pots and boxes", 507: "Raid card", 521: "Raid auction",
        514: "Recipe", 520: "Crafted", 516: "Account safe",
        550: "Dungeon", 557: "Dungeon card", 552: "Pots and boxes", 551: "Raid card", 554: "Recipe", 555: "Armoury",
        556: "Account safe",
    },
}  # fmt: skip

ENGLISH_RARITIES: Final = {
    "태초": "Primeval", "신화": "Mythic", "에픽": "Epic", "레전더리": "Legendary", "크로니클": "Chronicle",
    "유니크": "Unique", "레어": "Rare", "언커먼": "Uncommon", "커먼": "Common",
}  # fmt: skip

_WEEKDAYS: Final = {"ko": "월화수목금토일", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}

# Controls, line separators, and the invisible characters that turn the direction of the text after them.
_UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def make_speaker(language: Language, *, is_week: bool) -> Callable[..., str]:
    """Make the function that says a phrase by its key, with its blanks filled; a week has words of its own for some."""
    words = {**WORDS[language], **(WEEKLY_WORDS[language] if is_week else {})}
    return lambda key, **values: words[key].format(**values)


def show_text(text: str, longest: int = 255) -> str:
    """Write a stranger's text on one line, with nothing in it that acts on what stands around it."""
    shown = _TURNING.sub("", _UNSHOWABLE.sub(" ", text)).strip()
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def show_day(day: date, language: Language) -> str:
    """Write a day with its weekday."""
    weekday = _WEEKDAYS[language][day.weekday()]
    return f"{day} ({weekday})" if language == "ko" else f"{weekday} {day}"


def show_weekday(number: int, language: Language) -> str:
    """Write a weekday; 0 is Monday."""
    return _WEEKDAYS[language][number]


def show_server(server_id: str, language: Language) -> str:
    """Write a server as players know it."""
    return SERVERS.get(server_id, server_id) if language == "ko" else server_id.capitalize()


def show_rarity(rarity: str, language: Language) -> str:
    """Write a rarity; one that is not known stays as it is, and an item may have none."""
    if not rarity:
        return WORDS[language]["no_rarity"]
    return ENGLISH_RARITIES.get(rarity, rarity) if language == "en" else rarity


def show_content(kind: str, name: str, language: Language) -> str:
    """Write a raid or legion; fiend war, which has no name in the API, as players call it."""
    words = WORDS[language]
    if kind == "fiend war":
        return words["fiend_war"]
    return f"{name} {words['vanguard']}" if kind == "raid vanguard" else name


def show_change(value: int, before: int) -> str:
    """Write the change from an earlier figure with its sign, so that it reads without colour."""
    change = value - before
    return "±0" if change == 0 else f"{'▲' if change > 0 else '▼'} {abs(change):,}"
