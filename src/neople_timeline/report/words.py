"""The report's words in Korean and English, and how numbers, days and strangers' names are written."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from neople_timeline.models import SERVERS
from neople_timeline.settings import Language

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "ko": {
        "title": "던파 타임라인 일보",
        "weekly_title": "던파 타임라인 주보",
        "subject": "{day} 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "weekly_subject": "{day} 주간 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "subject_owed": "[미수집 {owed}건] {day} 던파 타임라인",
        "subject_failed": "[실패] {day} 던파 타임라인",
        "subject_complete": "[수집 완료] {day} 던파 타임라인: 태초 {primeval}개, 에픽 {epic}개",
        "failed": "이 날의 수집이 끝나지 못했습니다",
        "owed_banner": "아직 받지 못한 캐릭터가 {owed}건 있습니다. 다음 실행에서 먼저 받습니다.",
        "lead_primeval": "태초 {primeval}개가 나온 날입니다.",
        "lead_epic": "태초는 없었지만 에픽이 {epic}개 나왔습니다.",
        "lead_unknown": "수치는 아직 계산되지 않았습니다.",
        "lead_quiet": "조용한 하루였습니다.",
        "lead_record": "최근 {days}일 중 태초가 가장 많은 날입니다.",
        "star": "오늘의 주인공",
        "events": "이벤트",
        "active": "활동 캐릭터",
        "primeval": "태초",
        "epic": "에픽",
        "legendary": "레전더리",
        "raids": "레이드 클리어",
        "legions": "레기온 클리어",
        "today": "오늘",
        "day": "날짜",
        "yesterday": "어제",
        "last_week": "지난주",
        "no_comparison": "비교할 날 없음",
        "drops": "등급과 경로별 획득",
        "drops_chart": "경로별 획득 수를 등급 색으로 쌓은 막대 그래프",
        "oaths": "서약 획득",
        "best_drops": "오늘의 득템",
        "luck": "행운과 불운",
        "luckiest": "행운",
        "unluckiest": "불운",
        "luck_note": "이번 주 던전에서 나온 것만 셉니다(드랍, 카드). 불운은 태초 없이 가장 많이 돈 순서입니다.",
        "activity": "시간대별 활동",
        "activity_chart": "시간대별 이벤트 수: 막대는 오늘, 선은 어제",
        "trend": "최근 14일",
        "trend_chart": "날짜별 이벤트 수와 태초 수",
        "board": "이번 주 레이드·레기온",
        "board_chart": "레이드와 레기온별 클리어한 캐릭터 수",
        "board_note": "{week} 목요일부터의 한 주, 지금까지 수집한 만큼.",
        "nothing_cleared": "아직 없음",
        "created": "생성",
        "joined": "처음 수집",
        "runs": "던전",
        "raid": "레이드",
        "legion": "레기온",
        "hard": "하드",
        "clears": "클리어",
        "characters": "캐릭터",
        "enhance": "강화와 증폭",
        "enhance_chart": "목표 단계별 성공률",
        "enhance_note": "이용권과 안전 시도는 성공률에서 뺍니다.",
        "code_401": "강화",
        "code_402": "증폭",
        "level": "단계",
        "tried": "시도",
        "succeeded": "성공",
        "rate": "성공률",
        "safe": "안전",
        "tickets": "이용권",
        "people": "이름 변경과 새 캐릭터",
        "renames": "이름 변경",
        "newcomers": "새 캐릭터",
        "code_102": "캐릭터",
        "code_105": "모험단",
        "before": "이전",
        "after": "이후",
        "state": "데이터 상태",
        "collected": "수집",
        "missing": "없는 캐릭터",
        "owed": "미수집",
        "reason": "이유",
        "count": "건수",
        "first_shown": "처음 {shown}건 / 전체 {total}건",
        "rejects": "쓸 수 없는 명단 줄",
        "line": "줄",
        "verified": "검증 통과: 원장, 원본, Parquet, PostgreSQL이 모두 같습니다",
        "not_verified": "아직 검증되지 않았습니다",
        "spending": "API 요청 {requests}건, 낭비 {wasted}건, {seconds}초 (이론상 최소 {least}초)",
        "no_spending": "이 날은 API에 묻지 않았습니다",
        "time": "시각",
        "character": "캐릭터",
        "adventure": "모험단",
        "item": "아이템",
        "rarity": "등급",
        "route": "경로",
        "dungeon": "던전",
        "channel": "채널",
        "channel_unit": "채널",
        "who_cleared": "누가 무엇을 깼나",
        "server": "서버",
        "total": "합계",
        "hour": "시각",
        "nothing": "없음",
        "page": "전체 보고서",
        "more": "더 보기",
        "numbers": "숫자로 보기",
        "weekly": "주보",
        "csv": "득템 CSV",
        "week_days": "일별",
        "game_day": "게임의 하루: {first} ~ {last} (한국 시각)",
        "not_collected": "수집 안 됨",
    },
    "en": {
        "title": "DNF timeline daily",
        "weekly_title": "DNF timeline weekly",
        "subject": "{day} DNF timeline: {primeval} primeval, {epic} epic",
        "weekly_subject": "Week of {day}, DNF timeline: {primeval} primeval, {epic} epic",
        "subject_owed": "[{owed} owed] {day} DNF timeline",
        "subject_failed": "[failed] {day} DNF timeline",
        "subject_complete": "[now complete] {day} DNF timeline: {primeval} primeval, {epic} epic",
        "failed": "This day's run did not reach its end",
        "owed_banner": "{owed} character-days are still owed. The next run collects them first.",
        "lead_primeval": "A day with {primeval} primeval drops.",
        "lead_epic": "No primeval drop, but {epic} epics.",
        "lead_unknown": "Its figures are not computed yet.",
        "lead_quiet": "A quiet day.",
        "lead_record": "The most primeval drops of the last {days} days.",
        "star": "Star of the day",
        "events": "Events",
        "active": "Active characters",
        "primeval": "Primeval",
        "epic": "Epic",
        "legendary": "Legendary",
        "raids": "Raid clears",
        "legions": "Legion clears",
        "today": "today",
        "day": "Day",
        "yesterday": "yesterday",
        "last_week": "last week",
        "no_comparison": "nothing to compare with",
        "drops": "Gains by rarity and route",
        "drops_chart": "Stacked bars: gains by route in the colours of the rarities",
        "oaths": "Oaths",
        "best_drops": "Best drops",
        "luck": "Luck",
        "luckiest": "Luckiest",
        "unluckiest": "Unluckiest",
        "luck_note": "This week's dungeon drops and cards. Unlucky: the most runs with no primeval.",
        "activity": "Activity by hour",
        "activity_chart": "Events by hour: bars today, line yesterday",
        "trend": "Last 14 days",
        "trend_chart": "Events and primeval drops by day",
        "board": "Raids and legions this week",
        "board_chart": "Characters that cleared each raid and legion",
        "board_note": "The week from Thursday {week}, as far as it is collected.",
        "nothing_cleared": "nothing yet",
        "created": "created",
        "joined": "first collected",
        "runs": "Runs",
        "raid": "Raid",
        "legion": "Legion",
        "hard": "hard",
        "clears": "clears",
        "characters": "characters",
        "enhance": "Reinforcement and amplification",
        "enhance_chart": "Success rate by target level",
        "enhance_note": "Tickets and safe attempts are kept out of the rates.",
        "code_401": "Reinforce",
        "code_402": "Amplify",
        "level": "Level",
        "tried": "Tried",
        "succeeded": "Succeeded",
        "rate": "Rate",
        "safe": "Safe",
        "tickets": "Tickets",
        "people": "Renames and newcomers",
        "renames": "Renames",
        "newcomers": "Newcomers",
        "code_102": "Character",
        "code_105": "Adventure",
        "before": "Before",
        "after": "After",
        "state": "State of the data",
        "collected": "Collected",
        "missing": "Missing characters",
        "owed": "Owed",
        "reason": "Reason",
        "count": "Count",
        "first_shown": "first {shown} of {total}",
        "rejects": "Roster lines that could not be used",
        "line": "Line",
        "verified": "Verified: ledger, raw answers, Parquet and PostgreSQL agree",
        "not_verified": "Not verified yet",
        "spending": "{requests} API requests, {wasted} wasted, {seconds} s ({least} s at least in theory)",
        "no_spending": "The API was not asked for this day",
        "time": "Time",
        "character": "Character",
        "adventure": "Adventure",
        "item": "Item",
        "rarity": "Rarity",
        "route": "Route",
        "dungeon": "Dungeon",
        "channel": "Channel",
        "channel_unit": " ch",
        "who_cleared": "Who has cleared what",
        "server": "Server",
        "total": "Total",
        "hour": "Hour",
        "nothing": "none",
        "page": "Full report",
        "more": "More",
        "numbers": "As numbers",
        "weekly": "Weekly",
        "csv": "Best drops as CSV",
        "week_days": "By day",
        "game_day": "Game day: {first} to {last} (Korean time)",
        "not_collected": "not collected",
    },
}

ROUTES: Final[Mapping[Language, Mapping[int, str]]] = {
    "ko": {
        505: "던전 드랍", 513: "던전 카드", 504: "항아리·상자", 507: "레이드 카드", 521: "레이드 경매",
        514: "제작서", 520: "장비 제작", 516: "초월의 돌",
        550: "던전 드랍", 557: "던전 카드", 552: "항아리·상자", 551: "레이드 카드", 554: "제작서", 555: "무기고",
        556: "초월의 돌",
    },
    "en": {
        505: "Dungeon", 513: "Dungeon card", 504: "Pots, boxes", 507: "Raid card", 521: "Raid auction",
        514: "Recipe", 520: "Crafted", 516: "Account safe",
        550: "Dungeon", 557: "Dungeon card", 552: "Pots, boxes", 551: "Raid card", 554: "Recipe", 555: "Armoury",
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


def show_text(text: str, longest: int = 255) -> str:
    """Write a stranger's text on one line, with nothing in it that acts on what stands around it."""
    shown = _TURNING.sub("", _UNSHOWABLE.sub(" ", text)).strip()
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def show_day(day: date, language: Language) -> str:
    """Write a day with its weekday."""
    weekday = _WEEKDAYS[language][day.weekday()]
    return f"{day} ({weekday})" if language == "ko" else f"{weekday} {day}"


def show_server(server_id: str, language: Language) -> str:
    """Write a server as players know it."""
    return SERVERS.get(server_id, server_id) if language == "ko" else server_id.capitalize()


def show_rarity(rarity: str, language: Language) -> str:
    """Write a rarity; one that is not known stays as it is."""
    return ENGLISH_RARITIES.get(rarity, rarity) if language == "en" else rarity


def show_change(value: int, before: int) -> str:
    """Write the change from an earlier figure with its sign, so that it reads without colour."""
    change = value - before
    return "±0" if change == 0 else f"{'▲' if change > 0 else '▼'} {abs(change):,}"
