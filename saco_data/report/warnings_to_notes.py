"""What the modules below the pipeline log as a warning becomes a note to the user."""

from __future__ import annotations

import logging
import threading

from saco_data.engine.events import Reporter

LOGGER = logging.getLogger("saco_data")


class Warnings(logging.Handler):
    """Hands warnings of this package to a reporter, from `listen` until `close`.

    A lane's thread bears the name of its subset, and so does the note.
    """

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._reporter = reporter

    def listen(self) -> None:
        """From now on."""
        LOGGER.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        thread = threading.current_thread()
        subset = "" if thread is threading.main_thread() else thread.name
        self._reporter.note(subset, f"warning: {record.getMessage()}")

    def close(self) -> None:
        """No longer."""
        LOGGER.removeHandler(self)
        super().close()
