import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

from neople_timeline import name_search, roster
from neople_timeline.neople import client, protocol, storable
from neople_timeline.neople.protocol import MISSING
from neople_timeline.report.phrases import PHRASES, WEEKLY_PHRASES
from neople_timeline.report.reasons import KOREAN_REASONS, show_reason

SEEN_BEFORE = "the API knew it the last time, and is asked again: "


@pytest.mark.parametrize(
    ("reason", "korean"),
    [
        ("the API answers HTTP 500 DNF999", "API 오류(HTTP 500 DNF999)"),
        ("the API answers HTTP 502", "API 오류(HTTP 502)"),
        (
            "the connection to the API failed (ConnectError): check NEOPLE_API_URL and the network",
            "API에 연결하지 못함(ConnectError)",
        ),
        ("the answer is not the JSON of a timeline: truncated", "API 응답을 읽을 수 없음: truncated"),
        ("not collected yet", "아직 수집하지 않음"),
        (
            f"{SEEN_BEFORE}DNF001: the API knows no such character",
            "지난번에는 있던 캐릭터라 다시 확인함: API에 없는 캐릭터(DNF001)",
        ),
        ("the API has found nobody, and is asked again: not JSON", "API가 아무도 찾지 못해 다시 확인함: not JSON"),
        ("there is no character of that name on 카인", "그런 이름의 캐릭터가 없음(카인)"),
        ("something nobody has translated", "something nobody has translated"),
    ],
)
def test_reasons_are_told_in_korean_where_they_are_known(reason: str, korean: str) -> None:
    assert show_reason(reason, "ko") == korean
    assert show_reason(reason, "en") == reason


@pytest.mark.parametrize("code", MISSING)
def test_why_a_character_is_missing_is_always_known_in_korean(code: str) -> None:
    assert show_reason(f"{code}: {MISSING[code]}", "ko").startswith("API에 없는 ")


def list_texts(module: ModuleType, kind: type[ast.Raise | ast.Return]) -> Iterator[str]:
    """Give the texts that a module raises, or returns; 0 stands for the values in them."""
    for statement in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(statement, kind):
            match statement:
                case ast.Raise(exc=ast.Call(func=ast.Name(id="Unreadable" | "Unstorable"), args=[text, *_])):
                    pass
                case ast.Return(value=text):
                    pass
                case _:
                    continue
            if isinstance(text, (ast.Constant, ast.JoinedStr)):
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in parts)


REASONS = (
    *(
        reason
        for module in (client, protocol)
        for reason in list_texts(module, ast.Raise)
        if reason != "the answer has 0"
    ),
    *(f"the answer has {reason}" for reason in list_texts(storable, ast.Raise)),
    *(reason for module in (roster, name_search) for reason in list_texts(module, ast.Return) if reason),
)


@pytest.mark.parametrize("reason", REASONS)
def test_whatever_keeps_an_answer_or_a_line_out_is_known_in_korean(reason: str) -> None:
    assert show_reason(reason, "ko") != reason


def test_no_reason_hides_another() -> None:
    assert len({korean for _, korean in KOREAN_REASONS}) == len(KOREAN_REASONS)


def test_both_languages_have_the_same_words() -> None:
    assert PHRASES["ko"].keys() == PHRASES["en"].keys()
    assert all(words.keys() <= PHRASES["ko"].keys() for words in WEEKLY_PHRASES.values())
