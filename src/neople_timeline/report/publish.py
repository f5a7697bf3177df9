"""Publishes a day: the page into the lake, and one mail."""

import logging
from datetime import UTC, date, datetime
from email.message import EmailMessage

import psycopg

from neople_timeline.lake import Lake
from neople_timeline.report.mail import (
    MailRefusedError,
    address_mail,
    build_mail,
    make_message_id,
    read_server,
    send_mail,
)
from neople_timeline.report.page import render_page
from neople_timeline.settings import Settings
from neople_timeline.summary import Published, Summary
from neople_timeline.warehouse.mail import choose_edition, claim_mail, record_sent, release_mail
from neople_timeline.warehouse.summary import read_summary

logger = logging.getLogger(__name__)

PAGE_TYPE = "text/html; charset=utf-8"


def publish_report(
    settings: Settings, lake: Lake, connection: psycopg.Connection, day: date, failure: str | None = None
) -> Published:
    """Write the day's page, and mail it once; a mail that fails raises after the page is in the lake."""
    summary = read_summary(connection, day, settings.calendar, failure)
    key = page_key(day)
    lake.put(key, render_page(summary, settings.report_language), content_type=PAGE_TYPE)
    url = lake.describe(key)
    mailed = bool(settings.smtp_url and settings.report_to) and mail_report(settings, connection, summary, url)
    return Published(url, mailed, summary.state.owed)


def page_key(day: date) -> str:
    """Name the object of a day's page."""
    return f"reports/day={day}/index.html"


def mail_report(settings: Settings, connection: psycopg.Connection, summary: Summary, url: str) -> bool:
    """Send the mail that a day asks for now; False when it was sent before."""
    edition = choose_edition(connection, summary.day, is_complete=summary.is_complete)
    message_id = make_message_id(edition, summary.day, settings.report_from, settings.lake_url)
    message = build_mail(summary, edition, settings.report_language, url)
    address_mail(message, settings.report_from, settings.report_to, message_id, datetime.now(UTC))
    return send_once(settings, connection, edition, summary.day, message)


def send_once(
    settings: Settings, connection: psycopg.Connection, edition: str, day: date, message: EmailMessage
) -> bool:
    """Send a mail unless its edition left already; what certainly did not leave may be sent by the next run."""
    server = read_server(settings.smtp_url)
    if not claim_mail(connection, edition, day, str(message["Message-ID"])):
        logger.info("The mail %s of %s was sent before, or is being sent", edition, day)
        return False
    try:
        send_mail(server, message)
    except MailRefusedError as refused:
        release_mail(connection, edition, day)
        raise refused.cause from None
    record_sent(connection, edition, day)
    logger.info("Mailed %s of %s", edition, day)
    return True
