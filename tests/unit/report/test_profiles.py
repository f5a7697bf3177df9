import re
from dataclasses import replace
from datetime import date

import pytest
from report_values import DAY, HOSTILE, make_adventure, make_figures, make_profile
from test_page import LANGUAGES, Reader, list_links

from neople_timeline.report.places import adventure_key, character_key, day_key
from neople_timeline.report.profiles import Adventure, list_adventures, render_adventure, render_character
from neople_timeline.settings import Language


def test_a_character_s_page_tells_its_last_days_drops_and_clears() -> None:
    page = Reader(render_character(make_profile(), "ko", ()))
    for text in ("빛의수호자", "카인", "眞 웨펀마스터", "Lv.115", "명성 61,203", "2026-11-12 ~ 2026-11-15", "아스라한",
                 "첫 새벽이 빚은 대검", "바하이트 4채널", "11-14 19:07"):  # fmt: skip
        assert text in page.text
    assert "160" in page.text  # events of its days together: 120 + 40 + 0
    assert list_links(page) == set()


def test_a_day_that_is_not_there_leaves_a_gap_in_the_chart() -> None:
    profile = replace(make_profile(), days=tuple(make_figures(date(2026, 11, day), 50, 0) for day in (10, 11, 14)))
    tags = Reader(render_character(profile, "ko", ())).tags
    assert [rect["x"] for tag, rect in tags if tag == "rect"] == ["3", "23", "83"]
    assert next(svg["viewbox"] for tag, svg in tags if svg.get("class") == "days") == "0 0 100 60"


def test_days_that_are_still_owed_are_told_on_the_pages_whose_sums_lack_them() -> None:
    owing = replace(make_profile(), owed=(date(2026, 11, 10), date(2026, 11, 12)))
    adventure = Adventure("cain", "네동네모험단", (make_profile("달그림자", 2), owing))
    for page in (render_character(owing, "en", ()), render_adventure(adventure, "en", ())):
        assert "not collected in full yet: 2026-11-10, 2026-11-12<" in page.decode()
    assert "not collected in full" not in render_character(make_profile(), "en", ()).decode()


def test_an_adventure_s_page_lists_its_characters_and_their_best_drops_the_rarest_first() -> None:
    adventure = make_adventure()
    page = Reader(render_adventure(adventure, "en", ()))
    for text in ("네동네모험단", "Cain", "빛의수호자", "달그림자", "Characters of the adventure", "Primeval"):
        assert text in page.text
    assert [drop.rarity for drop in adventure.best_drops] == ["태초", "태초", "에픽", "에픽"]
    assert (adventure.total.events, adventure.total.active) == (320, 2)


def test_characters_are_put_together_by_server_and_adventure() -> None:
    first, second, alone = make_profile("가", 1), make_profile("나", 2), make_profile("다", 3, adventure="")
    (adventure,) = list_adventures([first, alone, second])
    assert adventure.members == (first, second)
    elsewhere = replace(second, person=replace(second.person, server_id="anton"))
    assert len(list_adventures([first, elsewhere])) == 2


def test_pages_point_to_each_other_by_ids_alone() -> None:
    profile, name = make_profile("../../etc/passwd", 5, "../..\n<x>"), "../..\n<x>"
    keys = {character_key(profile.person), adventure_key("cain", name), day_key(DAY)}
    links = list_links(Reader(render_character(profile, "ko", keys)))
    digest = adventure_key("cain", name).rpartition("/")[2]
    assert links == {f"../../adventures/cain/{digest}", "../../day=2026-11-15/index.html"}
    assert re.fullmatch(r"[0-9a-f]{24}\.html", digest)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_are_text_on_these_pages_too(name: str, language: Language) -> None:
    for hostile, calm in (
        (render_character(make_profile(name, 1, name), language, ()), render_character(make_profile(), language, ())),
        (render_adventure(make_adventure(name, name), language, ()), render_adventure(make_adventure(), language, ())),
    ):
        page = Reader(hostile)
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in Reader(calm).tags]
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x09\x0b-\x1f\x85\u2028]", page.text)


def test_the_same_profile_gives_the_same_bytes() -> None:
    assert render_character(make_profile(), "ko", ()) == render_character(make_profile(), "ko", ())
    assert render_adventure(make_adventure(), "ko", ()) == render_adventure(make_adventure(), "ko", ())
