"""A PostgreSQL of its own that can be killed and comes back."""

import signal
from pathlib import Path

import psutil
from place import World, make_template

from neople_timeline.local import processes, services


class FrailServer:
    """A PostgreSQL that keeps its word (it syncs its log), and can be killed."""

    def __init__(self, home: Path, world: World) -> None:
        self.home = home
        self.server = services.Postgres(processes.choose_port(), "frail")
        services.prepare_postgres(home, self.server.password)
        self.start()
        self.template = make_template(self.server, world)

    def start(self) -> None:
        processes.start(services.postgres(self.home, self.server), self.home)

    def end(self, number: signal.Signals) -> None:
        """SIGINT ends all sessions at once and writes everything; SIGQUIT is a crash."""
        found = processes.find("postgres", self.home)
        assert found
        found.send_signal(number)
        psutil.wait_procs([found], timeout=20)
