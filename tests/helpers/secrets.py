"""Planted secrets: a mark in each, and where it is looked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pyarrow import parquet

MARK = "MARKER"


class ProcessList:
    """Looks at the arguments of all processes while it lasts; `found` are those with a mark."""

    def __enter__(self) -> Self:
        self.found: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    content = path.read_bytes()
                    if MARK.encode() in content:
                        self.found.add(content)


def write_cookies(path: Path) -> str:
    """The cookies of a logged-in session; returns the path."""
    names = ("LOGIN_INFO", "SAPISID", "__Secure-3PAPISID", "SID")
    rows = [f".youtube.com\tTRUE\t/\tTRUE\t4000000000\t{name}\t{MARK}{name}" for name in names]
    path.write_text("\n".join(["# Netscape HTTP Cookie File", *rows, f"odd {MARK}line", ""]))
    path.chmod(0o600)
    return str(path)


def content_of(path: Path) -> str:
    """The content of a file; of a table, without its compression."""
    if path.suffix == ".parquet":
        return str(parquet.read_table(path).to_pydict())
    return path.read_bytes().decode("latin-1")


def find_marked(folder: Path) -> Iterator[Path]:
    """The files below a folder that hold a mark; those that vanish meanwhile are passed over."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and MARK in content_of(path):
                yield path
