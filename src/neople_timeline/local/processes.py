"""Processes of the local stack: each in a session of its own, recorded on disk, found again and stopped by its record.

A record holds the process id and the moment at which that process was created, so that an id which the system gave to
somebody else meanwhile is never signalled.
"""

import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
LISTENING_PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections: what is free stays free until the service listens."""
POLL_SECONDS = 0.05
START_MARK = "=== started"
"""How the line begins that a log has before each start of its service."""
_children: list[subprocess.Popen[bytes]] = []
"""Kept, so that Python does not complain about children that outlive the function that started them."""
_chosen: set[int] = set()
"""Ports of services that may not listen yet; no other program of this user chooses them while this one runs."""
_launching = threading.Lock()
_closed = threading.Event()


class LocalError(Exception):
    """A part of the local stack does not run; the message says which, why, and where its log is."""


class NotReadyError(Exception):
    """A part does not answer yet; the message says why."""


@dataclass(frozen=True)
class Service:
    """A program to run: `ready` tells when it answers, `user` is whom it runs as when root starts it.

    What answers on its `port` is believed to be it only if one of its processes listens there.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    patience_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM


def start(service: Service, home: Path) -> bool:
    """Start a service unless the one recorded under `home` still runs; return whether it was started.

    Wait until it answers; LocalError if it ends before, or does not answer in time.
    """
    running = find(service.name, home)
    if running is None:
        with _launching:
            running = _launch(service, home)
        started = True
    else:
        started = False
    _wait_until_ready(service, running, home)
    return started


def refuse_starts() -> None:
    """Start nothing more in this process, and wait for nothing: whoever stops everything calls this first."""
    with _launching:
        _closed.set()


def find(name: str, home: Path) -> psutil.Process | None:
    """Find the process that was recorded under a name, if it still runs."""
    try:
        record = json.loads(_record(name, home).read_text())
        process = psutil.Process(record["pid"])
        if process.create_time() == record["created"] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except (FileNotFoundError, psutil.NoSuchProcess):
        pass
    return None


def remember(name: str, home: Path) -> None:
    """Record this process under a name."""
    _write_record(name, home, os.getpid())


def forget(name: str, home: Path) -> None:
    """Drop a record."""
    _record(name, home).unlink(missing_ok=True)


def list_recorded(home: Path) -> list[str]:
    """Name everything that was started under `home` and not stopped since, dead or alive."""
    return sorted(path.stem for path in (home / "run").glob("*.json"))


def read_since_start(name: str, home: Path) -> str:
    """Read what a service has said since it was last started."""
    return _log(name, home).read_text(errors="replace").rpartition(START_MARK)[2]


def quote_log(name: str, home: Path) -> str:
    """Say where the log of a service is and how it ends."""
    lines = _log(name, home).read_text(errors="replace").splitlines()[-15:]
    return "\n".join([f"Its log, {_log(name, home)}, ends with:", *(f"    {line}" for line in lines)])


def stop(names: Iterable[str], home: Path, *, patience_seconds: float = 10) -> list[str]:
    """Stop recorded processes and all their descendants side by side; return the names of those that were running."""
    families = {name: _list_family(name, home) for name in names}
    for name, family in families.items():
        if family:
            send_signal(family[0], _read_stop_signal(name, home))
    everyone = [process for family in families.values() for process in family]
    _, alive = psutil.wait_procs(everyone, timeout=patience_seconds)
    # Some may have been born, or have lost their parents, since they were listed.
    left = {*alive, *(process for name in families for process in _list_family(name, home))}
    for process in left:
        send_signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)
    for child in _children:
        child.poll()
    for name in families:
        forget(name, home)
    return [name for name, family in families.items() if family]


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def answers_http(port: int, path: str) -> bool:
    """Tell whether a loopback port answers a GET with anything but a server error."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def choose_port(*preferred: int) -> int:
    """Choose a loopback port that is free now: the first such of those preferred (0 is none), or any other."""
    others = [port for port in random.SystemRandom().sample(LISTENING_PORTS, 100) if port not in _chosen]
    for port in (*preferred, *others):
        if port and _reserve(port):
            _chosen.add(port)
            return port
    raise LocalError("no free port on 127.0.0.1")


def _reserve(port: int) -> bool:
    """Take a free port as long as this process lives: one byte of a file is locked for each."""
    reservations = _open_reservations()
    try:
        fcntl.lockf(reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # which of them, is the system's choice
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@cache
def _open_reservations() -> int:
    """Open the file once and for all: closing it would give everything back."""
    path = Path(tempfile.gettempdir()) / f"neople-timeline-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _launch(service: Service, home: Path) -> psutil.Process:
    if _closed.is_set():
        raise LocalError(f"{service.name} is not started any more: everything is being stopped")
    log = _log(service.name, home)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"{START_MARK} {datetime.now(UTC):%F %T} UTC\n".encode())
        output.flush()
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            service.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **service.environment},
            cwd=home,
            start_new_session=True,
            user=service.user,
        )
    _children.append(process)
    _write_record(service.name, home, process.pid, service.stop_signal)
    return psutil.Process(process.pid)


def _wait_until_ready(service: Service, process: psutil.Process, home: Path) -> None:
    deadline, said = time.monotonic() + service.patience_seconds, ""
    while True:
        try:
            if service.ready() and _listens(service, process):
                return
        except NotReadyError as error:
            said = f": {error}"
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            taken = _say_taken(service, process)
            raise LocalError(f"{service.name} ended at once{taken}. {quote_log(service.name, home)}")
        if _closed.is_set():
            raise LocalError(f"{service.name} is not waited for any more: everything is being stopped")
        if time.monotonic() > deadline:
            waited = f"{service.patience_seconds:.0f} s{_say_taken(service, process) or said}"
            raise LocalError(f"{service.name} does not answer after {waited}. {quote_log(service.name, home)}")
        time.sleep(POLL_SECONDS)


def _listens(service: Service, leader: psutil.Process) -> bool:
    """Tell whether a service has its port, if it has one: another stack's might answer there like this one's."""
    if service.port is None:
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (leader, *leader.children(recursive=True)):
            try:
                found = process.net_connections("tcp")
            except psutil.AccessDenied:  # in some containers root may not look at other users' processes
                return service.user is not None
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == service.port for one in found):
                return True
    return False


def _say_taken(service: Service, process: psutil.Process) -> str:
    """Say that somebody else has the port of a service, if so."""
    if service.port is None or not is_listening(service.port) or _listens(service, process):
        return ""
    return f": port {service.port} was taken by another program meanwhile; start again, and another one is chosen"


def _list_family(name: str, home: Path) -> list[psutil.Process]:
    """List a recorded process and its descendants, and those of its session that lost their parents."""
    leader = find(name, home)
    if leader is not None:
        family = [leader, *leader.children(recursive=True)]
        return [*family, *(one for one in _list_session(leader.pid) if one not in family)]
    try:
        session = json.loads(_record(name, home).read_text())["pid"]
    except FileNotFoundError:
        return []
    if _read_session(session) == session and not _is_zombie(session):
        return []  # the id belongs to somebody else now: as long as our session lived, nobody could get it
    return _list_session(session)


def _list_session(leader: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _read_session(process.pid) == leader]


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _read_session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def send_signal(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process, if it still is there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, at no moment."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.rename(path)


def _record(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.json"


def _log(name: str, home: Path) -> Path:
    return home / "logs" / f"{name}.log"


def _write_record(name: str, home: Path, pid: int, stop_signal: signal.Signals = signal.SIGTERM) -> None:
    record = {"pid": pid, "created": psutil.Process(pid).create_time(), "stop_signal": int(stop_signal)}
    _record(name, home).parent.mkdir(parents=True, exist_ok=True)
    write_private(_record(name, home), json.dumps(record))  # whole: others may be reading it


def _read_stop_signal(name: str, home: Path) -> signal.Signals:
    return signal.Signals(json.loads(_record(name, home).read_text())["stop_signal"])
