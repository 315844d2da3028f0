"""The program `saco`: runs the command, and ends without taking apart what it has loaded.

To free a thousand modules one by one takes Python as long as a short command.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys


def run() -> None:
    """The entry point. Threads and all other exit handlers end as usual, with the exit code."""
    code = 1

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    # The first handler is the last to be called: nothing is imported yet that has one.
    atexit.register(leave)
    from saco_data.cli.main import main

    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        raise
    except KeyboardInterrupt:
        code = 130
        raise
