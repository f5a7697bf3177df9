"""The mail: the essence of the page, built as one value."""

from collections.abc import Mapping
from email.message import EmailMessage

from neople_timeline.report import charts
from neople_timeline.report.environment import make_environment
from neople_timeline.report.outbox import MAIL_POLICY
from neople_timeline.report.page import list_headlines, list_notices, pivot_drops, write_lead
from neople_timeline.report.words import make_speaker
from neople_timeline.settings import Language
from neople_timeline.summary import EQUIPMENT_ROUTES, Summary


def write_subject(summary: Summary, edition: str, language: Language) -> str:
    """Write the subject: the day and its figures, or at once what is wrong."""
    say = make_speaker(language, is_week=summary.is_week)
    values = {
        "day": summary.first,
        "last": f"{summary.day:%m-%d}",
        "owed": f"{summary.state.owed:,}",
        "primeval": f"{summary.figures.primeval:,}" if summary.figures else "?",
        "epic": f"{summary.figures.epic:,}" if summary.figures else "?",
    }
    if summary.failure is not None:
        return say("subject_failed", **values)
    if summary.state.owed:
        return say("subject_owed", **values)
    return say("subject_complete" if edition.endswith("-complete") else "subject", **values)


def build_mail(summary: Summary, edition: str, language: Language, location: str) -> EmailMessage:
    """Build the mail without its envelope; the same values give the same bytes."""
    images = _draw_images(summary)
    values = {
        "summary": summary,
        "headlines": list_headlines(summary),
        "lead": write_lead(summary, language),
        "notices": list_notices(summary, language),
        "drops": pivot_drops(summary.drops, EQUIPMENT_ROUTES),
        "images": images,
        "location": location,
        "colours": charts.MAIL,
    }
    environment = make_environment(language, is_week=summary.is_week)
    message = EmailMessage(policy=MAIL_POLICY)
    message["Subject"] = write_subject(summary, edition, language)
    message.set_content(environment.get_template("mail.txt.j2").render(values))
    message.add_alternative(environment.get_template("mail.html.j2").render(values), subtype="html")
    page = message.get_payload()[1]  # type: ignore[index]  # the alternative just added
    assert isinstance(page, EmailMessage)  # noqa: S101 - tells mypy what add_alternative made
    for name, png in images.items():
        page.add_related(png, "image", "png", cid=f"<{name}@chart>", filename=f"{name}.png", disposition="inline")
    _fix_boundaries(message)
    return message


def _draw_images(summary: Summary) -> Mapping[str, bytes]:
    images = {}
    if any(summary.hours):
        hours = charts.draw_hours(summary.hours, summary.hours_before, summary.first_hour, charts.MAIL)
        images["hours"] = charts.to_png(hours)
    if len(summary.trend) > 1:
        images["trend"] = charts.to_png(charts.draw_trend(summary.trend, summary.whole, summary.day, charts.MAIL))
    return images


def _fix_boundaries(message: EmailMessage) -> None:
    # Drawn at random otherwise, and the same mail would be other bytes each time.
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_neople-timeline-part-{number}")
