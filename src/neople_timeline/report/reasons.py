"""Why something is not there, in Korean: the ledger and the roster say it in English."""

import re
from typing import Final

from neople_timeline.settings import Language

KOREAN_REASONS: Final = (
    ("the API knew it the last time", "지난번에는 있던 캐릭터라"),
    ("the API knows it on other days", "API가 다른 날에는 찾은 캐릭터라"),
    ("the API has found nobody", "API가 아무도 찾지 못해"),
    ("not collected yet", "아직 수집하지 않음"),
    (r"the API answers HTTP (\d+(?: \w+)?)", r"API 오류(HTTP \1)"),
    (r"the connection to the API failed \((\w+)\):.*", r"API에 연결하지 못함(\1)"),
    (r"the answer is not (?:the JSON of a timeline|a list of characters): (.*)", r"API 응답을 읽을 수 없음: \1"),
    (r"the answer has text that cannot be stored: (.*)", r"저장할 수 없는 문자가 있음: \1"),
    (r"the answer has the key (.*) twice in one object", r"응답에 같은 키가 두 번 있음: \1"),
    ("the answer is about another character", "다른 캐릭터에 대한 응답"),
    ("the answer covers less than was asked for", "응답이 요청한 기간보다 짧음"),
    ("the API loses the character in the middle of its pages:.*", "API가 페이지 중간에 캐릭터를 찾지 못함"),
    (r"a row has the date (.*), not .*", r"기록의 날짜를 읽을 수 없음: \1"),
    (r"the answer has a number that cannot be stored: (.*)", r"저장할 수 없는 숫자가 있음: \1"),
    (r"a row of (.*) is outside the window asked for", r"요청한 기간 밖의 기록이 있음: \1"),
    ("the API's pages overlap:.*", "API의 페이지가 서로 겹침"),
    ("the API repeats a cursor:.*|the API's pages have no end.*", "API의 페이지가 끝나지 않음"),
    ("the API sends an empty page.*", "API가 중간에 빈 페이지를 보냄"),
    ("DNF000: the API knows no such server.*", "API에 없는 서버(DNF000): 명단을 고쳐 주세요"),
    ("DNF001: the API knows no such character", "API에 없는 캐릭터(DNF001)"),
    ("malformed id: correct the roster", "ID 형식이 잘못됨: 명단을 고쳐 주세요"),
    ("a server is .*", "서버는 영문 이름이나 한글 이름으로 적어 주세요"),
    ("a character id has 32 digits 0-9 a-f", "캐릭터 ID는 0-9, a-f로 된 32자리여야 합니다"),
    ("there is neither an id, .*", "ID도 이름도 없음: 둘 중 하나를 적어 주세요"),
    ("the name has characters that no name has", "이름에 쓸 수 없는 문자가 있음"),
    (r"there is no character of that name on (.*)", r"그런 이름의 캐릭터가 없음(\1)"),
    (r"there is more than one of that name: .* \((.*)\)", r"이름이 같은 캐릭터가 여럿: 서버나 ID를 적어 주세요(\1)"),
    ("the API did not say who that is: .*", "API가 누구인지 답하지 않음: 파일을 다시 가져와 주세요"),
    ("the answer has values nested more than .*", "응답이 너무 깊게 중첩됨"),
)
"""How the ledger and the roster say why something is not there, as patterns, and the same in Korean."""

AGAIN: Final = ", and is asked again: "
"""What stands between the doubt about an answer and the answer."""


def show_reason(reason: str, language: Language) -> str:
    """Write why something is not there; in Korean too, where the reason is a known one."""
    if language != "ko":
        return reason
    doubt, again, answer = reason.partition(AGAIN)
    if again:
        return f"{show_reason(doubt, language)} 다시 확인함: {show_reason(answer, language)}"
    for pattern, korean in KOREAN_REASONS:
        if found := re.fullmatch(pattern, reason, re.DOTALL):
            return found.expand(korean)
    return reason
