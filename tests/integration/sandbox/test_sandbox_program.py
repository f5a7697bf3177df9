"""The sandbox as a program of its own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from sandbox_client import Client


def start_program(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "neople_timeline.sandbox.api", *arguments]
    return subprocess.Popen(command, env=os.environ | variables, stdout=-1, stderr=-1, text=True)


def test_the_program_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    arguments = ["--characters", "7", "--port-file", str(port_file), "--latency", "0"]
    with start_program(*arguments, SANDBOX_API_KEY="hidden-key") as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        port = port_file.read_text()
        assert line == f"sandbox API at http://127.0.0.1:{port} with 7 characters\n"
        assert "hidden-key" not in program.stdout.readline()
        client = Client(f"127.0.0.1:{port}")
        assert client.ask("/df/servers", key="hidden-key")[0] == 200
        client.connection.close()
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start_program("--port", str(port)) as program:
            assert program.wait(10) == 2
            assert program.stderr is not None
            assert f"cannot listen on 127.0.0.1 port {port}" in program.stderr.read()
