"""`make run`: every part on this machine, started side by side, and the last complete day collected through Airflow."""

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from urllib.request import urlopen

import psutil
from rich.markup import escape

from neople_timeline import pipeline
from neople_timeline.cli.screen import COMPLETE, FAILED, INDEBTED, WRONG, make_plain
from neople_timeline.errors import ConfigError, TimelineError
from neople_timeline.local import airflow, day_run, screen, services
from neople_timeline.local.home import MAIL_USER, PORTS, Local, hide_settings_from_children, open_local, read_record
from neople_timeline.local.processes import (
    LocalError,
    Service,
    find,
    forget,
    list_recorded,
    quote_log,
    refuse_starts,
    remember,
    send_signal,
    start,
    stop,
)
from neople_timeline.roster import HEADERS
from neople_timeline.roster import read_roster as parse_roster

SUPERVISOR = "supervisor"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOWN = 5
"""Lines of a roster without characters that are named."""
WORLD = ("--characters", "500", "--seed", "1", "--rate", "1000", "--latency", "30ms")


def up(root: Path, dags: Path, roster: Path | None, *, once: bool) -> int:
    """Start what does not run, have the last complete day collected, and stay until Ctrl-C unless `once`.

    Return 0 for a complete day, 1 for one with debts; raise for a wrong setting or a failure. What another `up` that
    still runs has started is used and left to it.
    """
    own_key = hide_settings_from_children()
    members = read_roster(roster, own_key)
    began = time.monotonic()
    is_ours = False
    try:
        with lock(root):
            local = open_local(root, dags, own_key)
            is_ours = find(SUPERVISOR, local.home) is None
            if is_ours:
                remember(SUPERVISOR, local.home)
            _start_parts(local, members)
        api = airflow.RestApi(local.airflow.port, local.airflow.password)
        ensure_connections(local, api)
        day_run.wait_for_dag(api)
        day_run.ensure_pools(api)
        screen.say(f"All parts are up after {time.monotonic() - began:.0f} s.")
        code = run_last_day(local, api, watch(local.home))
        if is_ours and not once:
            _stay(local)
    finally:
        refuse_starts()
        if is_ours:
            ignore_signals()
            with lock(root):
                stop_home(local.home)
    if not is_ours:
        screen.say("The stack was up before and stays up; `make stop` ends it.")
    return code


def down(root: Path) -> int:
    """Stop everything that was started under `root`, by whomever."""
    if not _is_any_recorded(root):
        screen.say("Nothing runs.")
    ignore_signals()
    for path in _list_homes(root):
        supervisor = find(SUPERVISOR, path.parent)
        if supervisor is not None:
            send_signal(supervisor, signal.SIGTERM)
            psutil.wait_procs([supervisor], timeout=30)
        with lock(root):
            stop_home(path.parent)
    return COMPLETE


def status(root: Path) -> int:
    """Say what runs, and where."""
    if not _is_any_recorded(root):
        screen.say("Nothing runs: `make run` starts everything.")
    for path in _list_homes(root):
        ports = read_record(path.parent)["ports"]
        for name in list_recorded(path.parent):
            process = find(name, path.parent)
            where = f"127.0.0.1:{ports[name]}" if name in ports else ""
            state = f"pid {process.pid}" if process else "not running"
            screen.say(f"{path.parent.relative_to(root)!s:16} {name:18} {state:12} {where}")
    return COMPLETE


def read_roster(file: Path | None, own_key: str) -> bytes | None:
    """Read a roster file, if one is given; ConfigError if it names nobody, or if there is no key to ask with."""
    if file is None:
        return None
    if not own_key:
        raise ConfigError(
            "a roster of your own needs a key of your own: `NEOPLE_API_KEY=… make run ROSTER=file.csv`. Without a key"
            " everything is imitated, and no character of it is real"
        )
    try:
        data = file.read_bytes()
        found = parse_roster(data)
    except OSError as error:
        raise ConfigError(f"the roster {file} cannot be read: {error.strerror}") from None
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not (found.characters or found.named):
        lines = [f"  line {one.line_number}: {make_plain(one.line)}: {one.reason}" for one in found.rejects[:SHOWN]]
        more = [f"  … and {len(found.rejects) - SHOWN:,} more"] if len(found.rejects) > SHOWN else []
        told = f"the roster {file} names no character that can be used: write one a line, its server and its id or name"
        raise ConfigError("\n".join([told, *lines, *more]))
    return data


def _list_homes(root: Path) -> list[Path]:
    """List the records of `make run` and of `make cluster`."""
    return sorted([*root.glob("*/stack.json"), *root.glob("cluster/*/stack.json")])


def _is_any_recorded(root: Path) -> bool:
    return any(list_recorded(path.parent) for path in _list_homes(root))


def _start_parts(local: Local, roster: bytes | None) -> None:
    say_moved(local)
    pool = ThreadPoolExecutor()
    try:
        side = [pool.submit(_start, service, local) for service in _list_side_services(local)]
        _start_postgres(local)
        metastore = pool.submit(_time, "Airflow's metastore", lambda: airflow.prepare(local.airflow))
        _finish(side)
        members = pool.submit(_time, "the roster", lambda: fill_roster(local, roster))
        _finish([metastore])
        parts = [pool.submit(_start, service, local) for service in airflow.list_services(local.airflow, local.home)]
        _finish([members, *parts])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def say_moved(local: Local) -> None:
    """Say which parts, of those that are to be started, listen elsewhere than they usually do."""
    for name, port in local.ports.items():
        starts = find(name, local.home) is None and not (name == "api" and local.own_key)
        if starts and port != PORTS[name]:
            screen.say(f"[yellow]Port {PORTS[name]} is taken by another program: {name} listens on {port}.[/]")


def _list_side_services(local: Local) -> list[Service]:
    found = [
        services.object_store(local.home, local.ports["objects"], local.secrets["s3_id"], local.secrets["s3"]),
        services.mail_catcher(local.maildir, local.ports["mail"], MAIL_USER, local.secrets["mail"]),
    ]
    if not local.own_key:
        found.append(services.sandbox_api(local.ports["api"], local.secrets["api"], *WORLD))
    return found


def _start_postgres(local: Local) -> None:
    screen.say_opened(services.prepare_postgres(local.home, local.secrets["postgres"]))
    _start(services.postgres(local.home, local.postgres), local)
    if not airflow.is_prepared(local.airflow):
        services.drop_database(local.postgres, "airflow")  # what an interrupted first run may have left half made
    services.create_database(local.postgres, "airflow", "airflow", local.secrets["metastore"])
    services.create_database(local.postgres, "warehouse", "timeline", local.secrets["warehouse"])


def fill_roster(local: Local, roster: bytes | None) -> None:
    """Import a roster file, or the sandbox's whole world; ConfigError if there is neither and the roster is empty."""
    if roster is not None:
        data = roster
    elif not local.own_key:
        with urlopen(f"{local.settings.neople_api_url}/sandbox/roster.csv", timeout=30) as answer:  # noqa: S310 - loopback
            data = answer.read()
    elif pipeline.list_members(local.settings):
        return
    else:
        raise ConfigError(f"whose timelines? `make run ROSTER=file.csv`, a CSV with the header {HEADERS}")
    found, added = pipeline.import_roster(local.settings, data)
    for line in found.describe(added):
        screen.say(f"  roster: {escape(make_plain(line))}")
    if not (found.characters or pipeline.list_members(local.settings)):
        raise ConfigError("nobody is on the roster: correct its names, and start again")


def ensure_connections(local: Local, api: airflow.RestApi) -> None:
    """Have Airflow's Connections lead to the parts of this stack, and keep what was changed in Airflow beside that."""
    airflow.ensure_connections(api, local.settings, is_rate_chosen="neople_api_rate" in local.variables)


def run_last_day(local: Local, api: airflow.RestApi, require_parts: Callable[[], None]) -> int:
    """Have the last complete day collected; return the exit code, or raise LocalError with what failed and why."""
    day = local.settings.calendar.last_over(datetime.now(UTC))
    run_id = day_run.ensure_run(api, local.settings, day)
    screen.say(f"The run of {day}:")
    state = screen.show_progress(day_run.follow(api, local.settings, run_id, day, require_parts))
    figures = pipeline.measure_day(local.settings, day)
    if state != "success":
        reasons = day_run.explain_failure(api, run_id)
        screen.show_summary(local, day, figures)
        raise LocalError("\n  ".join([f"The run of {day} failed:", *reasons]))
    screen.show_summary(local, day, figures)
    return INDEBTED if figures.owed else COMPLETE


def watch(home: Path) -> Callable[[], None]:
    """Make a check that raises LocalError if a part that was started has ended, with its name and its last words."""
    # Airflow last: it ends when its database does.
    names = sorted(
        (name for name in list_recorded(home) if name != SUPERVISOR),
        key=lambda name: (name != "postgres", name.startswith("airflow")),
    )

    def require_parts() -> None:
        gone = [name for name in names if find(name, home) is None]
        if gone:
            raise LocalError(f"{' and '.join(gone)} ended while the stack was up. {quote_log(gone[0], home)}")

    return require_parts


def _stay(local: Local) -> None:
    screen.say("\nEverything stays up until Ctrl-C.")
    require_parts = watch(local.home)
    while True:
        require_parts()
        time.sleep(1)


def ignore_signals() -> None:
    """Let nothing interrupt what comes now: who is stopped while he stops things leaves some of them."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def stop_home(home: Path) -> None:
    """Stop everything that was started under `home`, Airflow's processes first."""
    names = [name for name in list_recorded(home) if name != SUPERVISOR]
    is_airflow = [name for name in names if name.startswith("airflow")]
    began = time.monotonic()
    # Airflow first: its processes want to say goodbye to their database.
    stopped = stop(is_airflow, home) + stop(
        [name for name in names if name not in is_airflow], home, patience_seconds=5
    )
    forget(SUPERVISOR, home)
    if stopped:
        screen.say(f"Stopped {len(stopped)} processes in {time.monotonic() - began:.0f} s.")


def _start(service: Service, local: Local) -> None:
    _time(service.name, lambda: start(service, local.home))


def _time(name: str, step: Callable[[], object]) -> None:
    began = time.monotonic()
    step()
    screen.say(f"  {name}: {time.monotonic() - began:.1f} s")


def _finish(futures: list[Future[None]]) -> None:
    wait(futures, return_when=FIRST_EXCEPTION)
    for future in futures:
        if future.done():
            future.result()


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """Let nobody else start or stop anything under `root`, and say so where somebody does."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            screen.say("Another `make run` or `make stop` is at work here: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m neople_timeline.local", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--once", action="store_true", help="end when the day has been run")
    parser.add_argument("--roster", type=Path, help=f"a CSV with the header {HEADERS}")
    parser.add_argument("--root", type=Path, default=Path(".local"), help="where the stack keeps itself")
    given = parser.parse_args()
    steps = {
        "up": lambda: up(given.root, Path("dags"), given.roster, once=given.once),
        "down": lambda: down(given.root),
        "status": lambda: status(given.root),
    }
    exit_with(steps[given.command], once=given.once)


def exit_with(step: Callable[[], int], *, once: bool) -> NoReturn:
    """Run a program to its end and leave with the exit code that says how it was; a signal to end is Ctrl-C.

    So is a terminal that is closed, unless `nohup` says otherwise: what was started does not hear of it by itself.
    """
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        code = step()
    except KeyboardInterrupt:
        code = FAILED if once else COMPLETE
    except ConfigError as error:
        screen.complain(error)
        code = WRONG
    except (LocalError, TimelineError, OSError) as error:
        screen.complain(error)
        code = FAILED
    sys.exit(code)
