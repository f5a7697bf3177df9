import re
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from html.parser import HTMLParser

import pytest
from report_values import DAY, HOSTILE, make_figures, make_person, make_state, make_summary

from neople_timeline.report.page import render_page, write_lead
from neople_timeline.report.places import adventure_key, character_key, day_key, week_key
from neople_timeline.report.words import show_text
from neople_timeline.settings import Language
from neople_timeline.summary import Content, DropCount, Novelty, Summary

LANGUAGES: tuple[Language, ...] = ("ko", "en")


class Reader(HTMLParser):
    """Collects what a browser would see: tags with their attributes, and text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@lru_cache
def read_named(name: str, language: Language) -> Reader:
    """Read a page on which everything that strangers can name has this name."""
    return Reader(render_page(make_summary(name=name, failure=name, state=make_state(3, text=name)), language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_summary_gives_the_same_bytes(summary: Summary, language: Language) -> None:
    assert render_page(summary, language) == render_page(make_summary(), language)


def test_the_page_tells_the_day_in_korean_or_english(summary: Summary) -> None:
    korean, english = (Reader(render_page(summary, language)) for language in LANGUAGES)
    assert korean.tags[0][0] == "html"
    assert dict(korean.tags)["html"] == {"lang": "ko"}
    assert dict(english.tags)["html"] == {"lang": "en"}
    for text in (
        "2026-11-15 (일)",
        "태초 3개를 획득한 날입니다.",
        "첫 새벽이 빚은 대검",
        "바하이트 4채널",
        "카인",
        "11,204",
        "▲ 873",
    ):
        assert text in korean.text
    for text in (
        "Sun 2026-11-15",
        "Primeval drops on this day: 3.",
        "첫 새벽이 빚은 대검",
        "바하이트 4 ch",
        "Cain",
        "Primeval",
        "11,204",
    ):
        assert text in english.text


def test_the_page_asks_for_nothing_outside_itself(summary: Summary) -> None:
    page = Reader(render_page(summary, "ko"))
    addresses = [
        value for _, attributes in page.tags for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"} and value
    ]  # fmt: skip
    assert addresses
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(rb"url\((?!#)|@import|xmlns", render_page(summary, "ko"))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_are_text_everywhere(name: str, language: Language) -> None:
    page, expected = read_named(name, language), read_named("이름", language)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in expected.tags]
    assert {name for _, attributes in page.tags for name in attributes} == {
        name for _, attributes in expected.tags for name in attributes
    }
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x09\x0b-\x1f\x85\u2028]", page.text)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_api_changed_is_told_whatever_it_is_called(summary: Summary, name: str, language: Language) -> None:
    changed = replace(summary, novelties=(Novelty(9901, name, 1234),), emptied=("item_name", "channel_no"))
    page, usual = (Reader(render_page(one, language)) for one in (changed, summary))
    assert [tag for tag, _ in page.tags].count("p") == [tag for tag, _ in usual.tags].count("p") + 2
    assert [tag for tag, _ in page.tags if tag != "p"] == [tag for tag, _ in usual.tags if tag != "p"]
    assert f"9901 {show_text(name)} (1,234)" in page.text
    assert "item_name, channel_no" in page.text


def test_a_name_in_a_chart_label_stays_text_even_if_it_looks_like_the_charts_own_marks() -> None:
    name = '$x$ id="#010100</text><b>'
    assert name[:14] in Reader(render_page(make_summary(goal=name), "ko")).text


def test_every_chart_has_a_description_and_ids_are_unique(summary: Summary) -> None:
    page = Reader(render_page(summary, "ko"))
    charts = [attributes for tag, attributes in page.tags if attributes.get("class") == "chart"]
    assert len(charts) == 6
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_charts_take_their_colours_from_the_page(summary: Summary) -> None:
    charts = b"".join(re.findall(rb"<svg.*?</svg>", render_page(summary, "ko"), re.DOTALL))
    assert b"var(--rarity-0)" in charts
    assert b"var(--main)" in charts
    assert not re.search(rb"(?:fill|stroke): #0[12]0[12]", charts)


def test_days_left_out_and_days_still_waiting_are_named_on_the_page() -> None:
    days = (date(2026, 11, 9), date(2026, 11, 11))
    state = replace(make_state(), is_verified=False, absent=days[1:], waiting=days)
    summary = make_summary(state=state, is_week=True)
    assert not summary.is_complete
    page = render_page(summary, "en").decode()
    assert "Not collected at all: 2026-11-11" in page
    assert "still to be collected when this was written: 2, 2026-11-09 to 2026-11-11." in page


def test_a_day_that_is_not_proven_is_not_complete() -> None:
    assert make_summary().is_complete
    assert not make_summary(state=replace(make_state(), is_verified=False)).is_complete


def test_what_is_owed_is_named_with_its_reason() -> None:
    page = Reader(render_page(make_summary(owed=70), "ko"))
    assert "캐릭터 70명의 기록을 아직 받지 못했습니다" in page.text
    assert "빚쟁이49" in page.text
    assert "전체 70건 중 50건 표시" in page.text
    assert "연결이 끊겼습니다" in page.text
    assert "아직 검증되지 않았습니다" in page.text


def test_a_list_of_the_best_drops_says_how_many_there_were() -> None:
    summary = make_summary()
    assert summary.best_drop_count == 2 + 90 + 1 + 32  # neither common ones, nor the account safe
    note = f"전체 125건 중 {len(summary.best_drops)}건 표시"
    assert note in Reader(render_page(summary, "ko")).text
    assert note not in Reader(render_page(replace(summary, drops=summary.drops[:1]), "ko")).text
    oaths = tuple(DropCount(rarity, code, 7) for rarity in ("태초", "에픽") for code in (550, 556))
    assert replace(summary, drops=oaths).best_drop_count == 7


def test_raids_are_told_once_with_their_hard_mode_and_what_is_not_drawn_is_counted(summary: Summary) -> None:
    rows = re.findall(
        r"<tr><th scope=\"row\"><bdi>(.+?)</bdi></th><td>(.+?)</td><td>(.+?)</td>", render_page(summary, "ko").decode()
    )
    assert rows == [("아스라한", "41", "·"), ("기계 혁명", "36", "30"), ("핀드워", "8", "·"), ("이스핀즈", "96", "·")]
    many = tuple(Content("raid", f"레이드{n}", 40 - n, 0) for n in range(13))
    page = Reader(render_page(replace(summary, board=replace(summary.board, contents=many)), "ko"))
    assert "전체 13건 중 12건 표시" in page.text
    assert "전체 13건 중 12건 표시" not in Reader(render_page(summary, "ko")).text


def test_channels_are_named_and_those_left_out_are_counted(summary: Summary) -> None:
    page = Reader(render_page(replace(summary, channel_count=9), "ko"))
    assert "바하이트 4채널" in page.text
    assert "전체 9건 중 2건 표시" in page.text
    assert "2건 표시" not in Reader(render_page(summary, "ko")).text


def test_an_oath_among_the_best_drops_says_that_it_is_one(summary: Summary) -> None:
    oath = replace(summary.best_drops[0], code=550)
    assert "서약 · 던전 드랍" in Reader(render_page(replace(summary, best_drops=(oath,)), "ko")).text
    assert "서약 · " not in Reader(render_page(summary, "ko")).text


def test_the_star_says_how_many_it_got(summary: Summary) -> None:
    assert "이날의 주인공 · 태초 2개" in Reader(render_page(summary, "ko")).text
    assert "Star of the day · Primeval: 2" in Reader(render_page(summary, "en")).text


def test_a_complete_day_says_so_and_names_missing_characters_and_rejected_lines(summary: Summary) -> None:
    page = Reader(render_page(summary, "ko"))
    assert "검증 통과" in page.text
    assert "DNF001 NOT_FOUND_CHARACTER" in page.text
    assert "=cmd|' /C calc'!A0,xyz" in page.text
    assert "일일 수집: API 요청 1,240건(허용 3,900건), 낭비 14건, 3.9초 (이론상 최소 1.2초)" in page.text
    assert "아직 받지 못한" not in page.text


def test_a_day_whose_figures_are_not_computed_shows_its_state_only() -> None:
    page = Reader(render_page(make_summary(is_computed=False, failure="DuckDB stopped"), "ko"))
    assert "수치는 아직 계산되지 않았습니다." in page.text
    assert "DuckDB stopped" in page.text
    assert "496 / 500" in page.text
    assert "이날의 득템" not in page.text
    assert "레이드 클리어" not in page.text


def test_a_day_on_which_nothing_happened_has_no_charts() -> None:
    page = Reader(render_page(make_summary(is_empty=True, is_first=True), "ko"))
    assert "조용한 하루였습니다." in page.text
    assert not [tag for tag, _ in page.tags if tag == "svg"]


def test_the_first_day_has_nothing_to_compare_with() -> None:
    page = Reader(render_page(make_summary(is_first=True), "ko"))
    assert "온전히 수집한 이전 날이 없어 비교하지 않음" in page.text
    assert "최근 14일" not in page.text


def test_a_day_that_is_not_whole_says_so_in_place_of_a_comparison_and_is_hollow_in_the_trend(summary: Summary) -> None:
    partial = replace(summary, whole=summary.whole - {DAY}, yesterday=None, last_week=None)
    page, usual = (Reader(render_page(one, "ko")) for one in (partial, summary))
    assert "이날을 온전히 수집하지 못해 비교하지 않음" in page.text
    assert "□○ 일부만 수집한 날" in page.text
    assert "2026-11-15 (일부)" in page.text
    assert "일부만 수집한 날" not in usual.text
    assert [tag for tag, _ in page.tags].count("path") > [tag for tag, _ in usual.tags].count("path")


def test_where_there_is_no_day_before_the_hours_have_no_column_of_it(summary: Summary) -> None:
    alone, usual = (
        Reader(render_page(replace(summary, hours_before=before), "ko")) for before in (None, summary.hours_before)
    )
    heads = [[tag for tag, _ in page.tags].count("th") for page in (alone, usual)]
    assert heads[0] == heads[1] - 1
    labels = [[one.get("aria-label") for _, one in page.tags] for page in (alone, usual)]
    assert ["시간대별 기록 수" in one for one in labels] == [True, False]


def make_trend(primevals: dict[int, int]) -> Summary:
    """Build a day with three primeval drops; before it only these days, `{days back: primeval drops}`."""
    days = tuple(make_figures(DAY - timedelta(days=back), primeval=count) for back, count in primevals.items())
    return replace(make_summary(), trend=(*days, make_figures(DAY, primeval=3)))


def test_a_record_names_the_days_that_it_is_compared_with() -> None:
    whole = make_trend(dict.fromkeys(range(13, 0, -1), 2))
    assert write_lead(whole, "ko").endswith(" 최근 14일 중 태초가 가장 많은 날입니다.")
    assert write_lead(whole, "en").endswith(" That is the most in the last 14 days.")
    partly = replace(whole, whole=whole.whole - {DAY - timedelta(days=5)})
    assert write_lead(partly, "ko").endswith(" 수집한 13일 가운데 태초가 가장 많은 날입니다.")
    some = make_trend({13: 2, 12: 0, 11: 1})
    assert write_lead(some, "ko").endswith(" 최근 14일 중 수집한 4일 가운데 태초가 가장 많은 날입니다.")
    assert write_lead(some, "en").endswith(" That is the most on any of the 4 days collected in the last 14.")


@pytest.mark.parametrize("primevals", [{}, {2: 0, 1: 0}, {13: 3, 2: 0, 1: 0}, {3: 0, 2: 4, 1: 0}])
def test_a_day_that_others_equal_or_that_few_are_compared_with_is_no_record(primevals: dict[int, int]) -> None:
    assert write_lead(make_trend(primevals), "en") == "Primeval drops on this day: 3."


def test_a_week_is_never_compared_with_days() -> None:
    week = replace(make_trend({3: 0, 2: 0, 1: 0}), first=DAY - timedelta(days=6))
    assert write_lead(week, "en") == "Primeval drops this week: 3."


def test_what_went_through_the_safe_is_a_line_of_its_own_and_in_no_sum(summary: Summary) -> None:
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(?:합계|초월의 돌).*?</tr>", render_page(summary, "ko").decode())
    total, moved, _ = (re.sub(r"<[^>]+>", " ", row).split() for row in rows)
    assert total == ["합계", "347", "3", "122", "210", "12"]
    assert moved == ["초월의", "돌", "(합계", "제외)", "-3", "·", "-3", "·", "·"]
    assert Reader(render_page(summary, "ko")).text.count("초월의 돌: 금고에서 꺼낸 수에서 넣은 수를 뺀 값") == 1


def test_items_without_a_rarity_have_a_heading_of_their_own(summary: Summary) -> None:
    nameless = replace(summary, drops=(DropCount("", 505, 2),))
    headings: dict[Language, str] = {"ko": "등급 없음", "en": "no rarity"}
    for language, words in headings.items():
        assert f'<th scope="col" class="n">{words}</th>' in render_page(nameless, language).decode()


def test_the_day_is_named_by_its_own_date(summary: Summary) -> None:
    assert f"<title>{DAY} " in render_page(summary, "ko").decode()


def list_links(page: Reader) -> set[str]:
    return {attributes["href"] or "" for tag, attributes in page.tags if tag == "a"}


def test_the_page_points_to_pages_that_are_there_and_to_no_others(summary: Summary) -> None:
    person = make_person()
    yesterday, week = day_key(DAY - timedelta(days=1)), week_key(date(2026, 11, 5))
    known = {character_key(person), adventure_key("cain", "네동네모험단"), yesterday, week}
    assert list_links(Reader(render_page(summary, "ko"))) == set()
    assert list_links(Reader(render_page(summary, "ko", known))) == {
        f"../characters/cain/{1:032x}.html",
        "../adventures/cain/" + adventure_key("cain", "네동네모험단").rpartition("/")[2],
        "../day=2026-11-14/index.html",
        "../week=2026-11-05/index.html",
    }


def test_what_is_told_of_the_week_names_its_days_whenever_it_is_read() -> None:
    for summary in (make_summary(), make_summary(is_week=True)):
        page = Reader(render_page(summary, "ko"))
        assert page.text.count("2026-11-12(목) ~ 2026-11-15까지 수집한 기록") == 2
        assert "이번 주" not in page.text


def test_a_week_tells_itself_as_a_week_in_both_languages() -> None:
    week = make_summary(is_week=True)
    korean, english = (Reader(render_page(week, language)) for language in LANGUAGES)
    for text in (
        "던파 타임라인 주간 리포트",
        "2026-11-09 (월) – 2026-11-15 (일)",
        "한 주입니다",
        "전주 ▲ 1",
        "이 주의 득템",
    ):
        assert text in korean.text
    for text in (
        "DNF timeline weekly",
        "Mon 2026-11-09 – Sun 2026-11-15",
        "Primeval drops this week: 3.",
        "Star of the week",
    ):
        assert text in english.text
    assert "전날" not in korean.text
    assert "오늘" not in korean.text
    assert "yesterday" not in english.text
    assert render_page(week, "ko") == render_page(make_summary(is_week=True), "ko")
