"""The report of a day that the sandbox API told, through PostgreSQL, the lake and a mail server."""

from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from conftest import Smtp

from neople_timeline import pipeline
from neople_timeline.lake import open_lake
from neople_timeline.settings import Settings
from neople_timeline.warehouse.connection import connect
from neople_timeline.warehouse.summary import read_summary

DAY = date(2026, 10, 17)
