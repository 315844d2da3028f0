"""The program ends quickly, and as a program must."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUN = """
import saco_data.cli.main
from saco_data.cli.entry import run

def main():
    import atexit, os, sys, threading, time
    atexit.register(lambda: print("handler"))
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    print("begun")
    {end}

saco_data.cli.main.main = main
run()
"""


def run(end: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN.format(end=end)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(4)", 4),
        ("sys.exit(0)", 0),
        ("raise ValueError('unexpected')", 1),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_threads_and_handlers_end_first_and_the_code_is_kept(end: str, code: int) -> None:
    done = run(end)
    assert (done.returncode, done.stdout.split()) == (code, ["begun", "thread", "handler"])
    assert ("ValueError: unexpected" in done.stderr) is ("ValueError" in end)


def test_nothing_is_taken_apart() -> None:
    last = "type('Last', (), {'__del__': lambda _: os.write(1, b'freed')})()"
    assert "freed" not in run(f"sys.modules['saco_data'].last = {last}; sys.exit(0)").stdout
