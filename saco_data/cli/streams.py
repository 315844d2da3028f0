"""Standard streams that may be closed, or whose reader may go away (`saco status | head`)."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


def make_patient() -> None:
    """Lets a command run to its end, and give its exit code, whoever reads what it prints.

    A closed descriptor is opened on /dev/null: the next file, perhaps the ledger, would otherwise
    get its number and whatever is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    # A caller may have put other streams in their place.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _patient(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _patient(sys.stderr, 2)


def _patient(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None:
        stream.flush()
    encoding = getattr(stream, "encoding", None) or "utf-8"
    is_terminal = os.isatty(number)
    return io.TextIOWrapper(
        io.BufferedWriter(_PatientFile(number, "wb", closefd=False)),
        encoding=encoding,
        errors=getattr(stream, "errors", None) or "backslashreplace",
        line_buffering=is_terminal or number == 2,
        write_through=False,
    )


class _PatientFile(io.FileIO):
    """A file that swallows what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes
