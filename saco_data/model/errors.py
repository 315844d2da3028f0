"""The error tree. One class, one exit code; `cli.main` is the one place that prints them.

    SacoError                 1  a bug when raised bare
    ├── UsageError            2  the command line is wrong
    │   ├── ConfigError       2  CONFIG_FRAMES.yaml is wrong: file, line, key, remedy
    │   ├── ManifestError     2  a manifest is wrong
    │   └── OutputError       2  a folder we must write to cannot be written
    │       └── DiskTrouble   3  the disk does not answer as it should: no fault of the config
    ├── Incomplete            3  something transient failed: run again
    ├── Blocked               4  needs the user: credentials, expired link, throttled source
    │   └── AnnotationError   4  an annotation file is missing or damaged
    ├── DiskFull              5  not enough disk
    ├── LockHeld              6  another run is at work on the same folder
    └── Interrupted         130  Ctrl-C
        └── Terminated      143  SIGTERM: a scheduler, a shutdown, `kill`

Every message has three parts: what happened, to which item, what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, ClassVar

from saco_data.model.outside import printable, without_secrets
from saco_data.model.reasons import Reason

# The exit code of a run is the most severe of its subsets: 1 > 2 > 6 > 5 > 4 > 3.
SEVERITY = (130, 143, 1, 2, 6, 5, 4, 3, 0)


class SacoError(Exception):
    """Base of all errors we raise on purpose.

    Parameters: `what` happened, to which `item` (may be empty), and the `remedy`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, item: str = "", remedy: str = "") -> None:
        super().__init__(what, item, remedy)
        self.what = what
        self.item = item
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.item}: {self.what}" if self.item else self.what
        text = f"{head}. {self.remedy}" if self.remedy else head
        # The border to the user and to the ledger: names and words of others may be in it.
        return printable(without_secrets(text))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders: rebuild from the parts, not from the formatted text.
        return _rebuild, (type(self), self.what, self.item, self.remedy, self.__dict__)


def _rebuild(
    kind: type[SacoError], what: str, item: str, remedy: str, state: dict[str, object]
) -> SacoError:
    error = kind.__new__(kind)
    Exception.__init__(error, what, item, remedy)
    error.__dict__.update(state)
    return error


class UsageError(SacoError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(UsageError):
    """The config is wrong; `item` is `file:line: key`."""


class ManifestError(UsageError):
    """A manifest does not fit its schema."""


class OutputError(UsageError):
    """A folder or file that must be written cannot be."""


class DiskTrouble(OutputError):
    """A disk that fails, or a network disk that was mounted anew."""

    exit_code = 3
    # The device or the server of the folder has trouble; neither config nor permissions are wrong.
    ERRNOS: ClassVar[tuple[int, ...]] = (
        errno.EIO,
        errno.ESTALE,
        getattr(errno, "EREMOTEIO", errno.EIO),
    )
    REMEDY: ClassVar[str] = "Run again; if it comes back, check the disk or mount it again"


class Incomplete(SacoError):
    """A transient failure that outlived its retries."""

    exit_code = 3


class Blocked(SacoError):
    """A whole source waits for the user or for time to pass; no attempt is counted."""

    exit_code = 4

    def __init__(
        self,
        what: str,
        *,
        item: str = "",
        remedy: str = "",
        reason: Reason = Reason.UNAUTHORIZED,
    ) -> None:
        super().__init__(what, item=item, remedy=remedy)
        self.reason = reason


class AnnotationError(Blocked):
    """An annotation file is missing, cut, or lacks something that is needed."""

    def __init__(self, what: str, *, item: str = "", remedy: str = "") -> None:
        super().__init__(what, item=item, remedy=remedy, reason=Reason.ANNOTATIONS)


class DiskFull(SacoError):
    """The file system has no room left."""

    exit_code = 5


class LockHeld(SacoError):
    """Another live run works on the same `silver_path`."""

    exit_code = 6


class Interrupted(SacoError):
    """The user pressed Ctrl-C; what was done is kept.

    `results`: how each subset ended that the run had begun, by name (`engine.events.Result`).
    """

    exit_code = 130

    def __init__(self, what: str, *, item: str = "", remedy: str = "") -> None:
        super().__init__(what, item=item, remedy=remedy)
        self.results: Mapping[str, Any] = {}


class Terminated(Interrupted):
    """A signal SIGTERM asked the run to end; what was done is kept."""

    exit_code = 143


def most_severe(codes: list[int]) -> int:
    """The exit code of a run from those of its parts; 0 without any."""
    return min(codes, key=SEVERITY.index, default=0)
