"""`python -m tests.helpers.slow_saco ARGUMENTS`: the saco command, whose products take two seconds.

Each product leaves an empty file `begun-<number>` in the working folder when its work begins.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from saco_data.cli.main import main
from saco_data.media import process
from saco_data.model.records import Outcome

_run = process.run
SECONDS = 2.0


def run_slowly(job: process.Job) -> list[Outcome]:
    """As `process.run`."""
    Path(f"begun-{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(SECONDS)
    return _run(job)


if __name__ == "__main__":
    # By its name in the package: workers import it from there.
    from tests.helpers import slow_saco

    process.run = slow_saco.run_slowly
    main()
