"""What `make run` shows: parts as they come up, the run as it goes on, and where everything is at the end."""

from collections.abc import Iterable
from datetime import date
from email import message_from_bytes, policy
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from neople_timeline import pipeline
from neople_timeline.local.airflow import USER
from neople_timeline.local.day_run import Progress
from neople_timeline.local.home import Local
from neople_timeline.models import number_of
from neople_timeline.warehouse.measures import Measures

console = Console(highlight=False, emoji=False)
COLOURS = {"success": "green", "running": "cyan", "failed": "red", "upstream_failed": "red", "up_for_retry": "yellow"}


def say(text: str) -> None:
    """Print a line; its markup is ours."""
    console.print(text, soft_wrap=True)


def say_opened(folders: Iterable[Path]) -> None:
    """Tell which folders were opened for PostgreSQL."""
    for folder in folders:
        say(f"  Other users can pass through {escape(str(folder))} now: PostgreSQL has to, and does not run as root.")


def complain(error: Exception) -> None:
    """Print what went wrong."""
    console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)


def show_progress(steps: Iterable[Progress]) -> str:
    """Show a run until it ends and return its last state: a table that renews itself, or lines where nobody watches."""
    state = shown = ""
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        for progress in steps:
            state = progress.state
            if console.is_terminal:
                live.update(_draw(progress))
            elif (line := _write(progress)) != shown:
                shown = line
                console.print(line, soft_wrap=True)
    return state


def show_summary(local: Local, day: date, figures: Measures) -> None:
    """Say what there is of a day and where."""
    settings = local.settings
    report = local.home / f"report-{day}.html"
    page = f"day={day}/index.html"
    if found := pipeline.read_report(settings, page):
        report.write_bytes(found)
    mail = _save_mail(local, day)
    lines = {
        "Day": f"{day}, from {settings.day_starts_at:%H:%M} in Korea",
        "API": settings.neople_api_url + ("" if local.own_key else ", an imitation: no character is real"),
        "Events": f"{figures.events:,}",
        "Characters": f"{figures.characters:,}, and {figures.missing:,} that the API does not know",
        "Debts": number_of(figures.owed, "character-day") if figures.owed else "none",
        "Rows": f"schema timeline of the database warehouse on 127.0.0.1:{local.ports['postgres']}",
        "Objects": f"{settings.lake_url} at {settings.aws_endpoint_url}",
        "Report": f"{report}; while Airflow is up, with links that lead on, {settings.report_url}/{page}"
        if found
        else "none",
        "Mail": str(mail or "none yet"),
        "Airflow": f"http://127.0.0.1:{local.airflow.port} with user {USER} and password {local.airflow.password}",
        "Settings": f'`. {local.home}/env` lets .venv/bin/neople-timeline and psql "$WAREHOUSE_URL" use this stack',
    }
    console.print()
    for name, value in lines.items():
        console.print(f"[bold]{name:11}[/] {escape(value)}", soft_wrap=True)


def _save_mail(local: Local, day: date) -> Path | None:
    """Copy the newest mail about a day to where, and under a name by which, mail programs open it."""
    for path in sorted((local.maildir / "new").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True):
        data = path.read_bytes()
        if f".{day}." in str(message_from_bytes(data, policy=policy.default)["Message-ID"]):
            mail = local.home / f"mail-{day}.eml"
            mail.write_bytes(data)
            return mail
    return None


def _draw(progress: Progress) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for step, states in progress.tasks.items():
        table.add_row(step, ", ".join(_describe(state, count) for state, count in sorted(states.items())))
    table.add_row("[bold]ledger[/]", _count(progress))
    return table


def _describe(state: str, count: int) -> str:
    name = "waiting" if state == "None" else state
    return f"[{COLOURS.get(state, 'dim')}]{name}{f' ({count})' if count > 1 else ''}[/]"


def _write(progress: Progress) -> str:
    done = [step for step, states in progress.tasks.items() if states and set(states) == {"success"}]
    return f"  {progress.state}: {' → '.join(done) or 'nothing done yet'}; {_count(progress)}"


def _count(progress: Progress) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(progress.ledger.items()))
    return f"{states or 'empty'}; {number_of(progress.events, 'event')}"
