"""Shows warnings that this package logs as notes to the user.

Code that knows which subset a warning is about says so:
`log.warning("...", extra={"subset": name})`. A warning without a subset is a note on the whole run.
"""

from __future__ import annotations

import logging

from saco_data.engine.events import Reporter

LOGGER = logging.getLogger("saco_data")


class Warnings(logging.Handler):
    """Passes warnings of this package to a reporter, from `listen` until `close`."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._reporter = reporter

    def listen(self) -> None:
        """Starts to pass warnings on."""
        LOGGER.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        subset = str(getattr(record, "subset", ""))
        self._reporter.note(subset, f"warning: {record.getMessage()}")

    def close(self) -> None:
        """Stops."""
        LOGGER.removeHandler(self)
        super().close()
