"""Every page in Debian's Chromium, on a phone and on a desk, in light and in dark; screenshots stay in build/."""

import base64
from collections.abc import Iterator
from datetime import date, timedelta
from email.message import EmailMessage
from functools import cache
from itertools import cycle
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from report_values import DAY, HOSTILE, make_adventure, make_profile, make_state, make_summary

from neople_timeline.report.coverage import render_coverage
from neople_timeline.report.mail import build_mail
from neople_timeline.report.page import render_page
from neople_timeline.report.profiles import render_adventure, render_character
from neople_timeline.warehouse.coverage import Coverage, CoveredDay, Quota
from optional_browser import CHROMIUM

pytestmark = pytest.mark.browser

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
SITE = "http://report.test/"
LONG = "긴이름" * 85
UNBROKEN = "W" * 255
MARKUP = tuple(name for name in HOSTILE if {"<", '"', "{"} & set(name))


def make_coverage() -> Coverage:
    kinds = cycle([(True, 0, 0), (False, 0, 0), (False, 7, 0), (True, 0, 3)])
    days = (DAY - timedelta(days=n) for n in range(60))
    covered = tuple(
        CoveredDay(day, ok, 500, planned, owed) for day, (ok, planned, owed) in zip(days, kinds, strict=False)
    )
    return Coverage(date(2026, 6, 1), DAY, covered, DAY, make_state(5, UNBROKEN), DAY, Quota(1000, 250, 3.0, 1240, 14))


def show_mail(mail: EmailMessage) -> bytes:
    """Show the mail's HTML with its images, as a mail program does."""
    body = mail.get_body(("html",))
    assert body is not None
    html: str = body.get_content()
    for part in mail.walk():
        if part.get_content_type() == "image/png":
            data = base64.b64encode(part.get_content()).decode()
            html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", f"data:image/png;base64,{data}")
    return html.encode()


@cache
def make_pages() -> dict[str, bytes]:
    summary = make_summary()
    return {
        "day": render_page(summary, "ko"),
        "day-english": render_page(summary, "en"),
        "day-owed": render_page(make_summary(name=LONG, owed=70, failure=UNBROKEN), "ko"),
        "day-hostile": render_page(make_summary(name=UNBROKEN, goal=UNBROKEN, state=make_state(3, UNBROKEN)), "ko"),
        "day-empty": render_page(make_summary(is_empty=True, is_first=True), "ko"),
        "week": render_page(make_summary(is_week=True), "ko"),
        "character": render_character(make_profile(UNBROKEN), "ko", ()),
        "adventure": render_adventure(make_adventure(LONG, UNBROKEN), "ko", ()),
        "coverage": render_coverage(make_coverage(), "ko", DAY, has_report=True),
        "mail": show_mail(build_mail(summary, "daily", "ko", SITE)),
        "mail-owed": show_mail(
            build_mail(make_summary(name=UNBROKEN, owed=7, failure=UNBROKEN), "daily", "ko", "s3://x")
        ),
        **{f"hostile-{n}": render_page(make_summary(name=name), "ko") for n, name in enumerate(MARKUP)},
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of, and what it asked for beside the page."""
    return []


def open_page(browser: Browser, name: str, complaints: list[str], width: int = 1280, scheme: str = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))

    def answer(route: Route) -> None:
        url = route.request.url
        if url == SITE + name:
            route.fulfill(body=make_pages()[name], content_type="text/html; charset=utf-8")
        else:
            complaints.append(f"request: {url}")
            route.abort()

    page.route(lambda url: not url.startswith("data:"), answer)
    page.goto(SITE + name)
    return page


PAGES = ("day", "day-english", "day-owed", "day-hostile", "day-empty", "week", "character", "adventure", "coverage")
LOOKS = [
    *((name, width, scheme) for name in PAGES for width in (360, 1280) for scheme in ("light", "dark")),
    *((name, width, "light") for name in ("mail", "mail-owed") for width in (360, 1280)),  # one dress for all programs
]

# Text that can be read: WCAG's 4.5, or 3 for large letters, against the first ground below that is not transparent.
FAINT_TEXT = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z; };
  const ground = element => { for (let at = element; at; at = at.parentElement) {
    const c = parse(getComputedStyle(at).backgroundColor); if (c[3] > .99) return c; } return [255, 255, 255, 1]; };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const letters = [...element.childNodes].some(n => n.nodeType === 3 && /[\\p{L}\\p{N}]/u.test(n.data));
    if (!letters || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const ink = parse(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
    const needed = size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5;
    if ((a + .05) / (b + .05) < needed)
      found.push(`${element.textContent.trim().slice(0, 30)}: ${(a + .05) / (b + .05)}`);
  }
  return found;
}"""

NAMELESS = """() => [
  ...[...document.images].filter(image => !image.alt).map(image => 'image without alt'),
  ...[...document.querySelectorAll('svg')].filter(svg => !svg.closest('[role=img][aria-label]')).map(() => 'mute'),
  ...[...document.querySelectorAll('a, summary, [role=region]')]
    .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label'))).map(e => 'nameless ' + e.tagName),
  ...(document.documentElement.lang ? [] : ['no language']),
  ...(document.title.trim() ? [] : ['no title']),
]"""


@pytest.mark.parametrize(("name", "width", "scheme"), LOOKS)
def test_a_page_fits_can_be_read_and_asks_for_nothing(
    browser: Browser, complaints: list[str], name: str, width: int, scheme: str
) -> None:
    page = open_page(browser, name, complaints, width, scheme)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    faint, nameless = page.evaluate(FAINT_TEXT), page.evaluate(NAMELESS)
    headings = page.locator("h1").count()
    page.close()
    assert complaints == []
    assert overflow <= 0
    assert faint == []
    assert nameless == []
    assert headings == (0 if name.startswith("mail") else 1)


@pytest.mark.parametrize("number", range(len(MARKUP)))
def test_a_hostile_name_runs_nothing_and_adds_nothing(browser: Browser, complaints: list[str], number: int) -> None:
    page = open_page(browser, f"hostile-{number}", complaints)
    assert page.evaluate("document.querySelectorAll('script, img, [onerror], [onmouseover]').length") == 0
    assert "이날의 득템" in page.inner_text("main")
    page.close()
    assert complaints == []


def test_faint_text_would_be_found(browser: Browser, complaints: list[str]) -> None:
    page = open_page(browser, "day", complaints)
    page.add_style_tag(content="h2 { color: #b8b8b8 !important }")
    found = page.evaluate(FAINT_TEXT)
    page.close()
    assert any(text.startswith("이날의 득템") for text in found)


def test_what_is_folded_opens_by_keyboard(browser: Browser, complaints: list[str]) -> None:
    page = open_page(browser, "day", complaints)
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    page.close()
    assert complaints == []
