"""Ctrl-C while a program still loads its libraries ends it without a word."""

import signal
import subprocess
import sys

import pytest

INTERRUPT_IMPORT = """
import runpy, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "rich":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
PROGRAMS = {
    "the command line": "from neople_timeline import cli; cli.start()",
    "the local stack": "sys.argv = ['local', 'status']; runpy.run_module('neople_timeline.local', run_name='__main__')",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_an_interruption_while_it_loads_ends_it_without_a_word(program: str) -> None:
    code = INTERRUPT_IMPORT + program
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
