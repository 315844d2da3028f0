"""A note on the shared disk that says which node does what, for `saco status`.

The coordinator writes it anew every few seconds, and removes it when the run ends.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.storage import files, untrusted_json

WRITE_SECONDS = 5.0
# A note that was not written for so long is of a run that was killed, or of a disk that stands.
STALE_SECONDS = 60.0
# What each node does, by its name: how many tasks of each kind.
Work = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class NodeNote:
    """What each node does; `age`: seconds since it was written."""

    nodes: Work
    age: float

    @property
    def is_stale(self) -> bool:
        """Whether the run that wrote it seems to have ended."""
        return self.age > STALE_SECONDS

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {"nodes": self.nodes, "age_seconds": round(self.age), "stale": self.is_stale}

    def describe(self) -> list[str]:
        """A line for each node."""
        if self.is_stale:
            return [
                f"the run on {len(self.nodes)} nodes has not written for {self.age / 60:.0f} min: "
                "it has ended, or its disk does not answer"
            ]
        return [f"node {name}: {_describe(work)}" for name, work in sorted(self.nodes.items())]


def _describe(work: Mapping[str, int]) -> str:
    each = (f"{name} ({count})" if count > 1 else name for name, count in sorted(work.items()))
    return ", ".join(each) or "nothing at the moment"


def path_in(folder: Path) -> Path:
    """The note of the cluster whose folder this is."""
    return folder / "nodes.json"


def read(folder: Path) -> NodeNote | None:
    """The note of a run that uses, or used, a cluster; None where there is none."""
    try:
        content = untrusted_json.parse(path_in(folder).read_bytes())
        nodes = {
            str(name): {str(kind): int(count) for kind, count in work.items()}
            for name, work in content["nodes"].items()
        }
        return NodeNote(nodes, max(0.0, time.time() - float(content["written"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class NoteWriter:
    """Writes the note of a folder from time to time, with what `find_work` returns."""

    def __init__(self, folder: Path, find_work: Callable[[], Work]) -> None:
        self._path = path_in(folder)
        self._find_work = find_work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="nodes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the writing and removes the note."""
        self._ended.set()
        self._thread.join(WRITE_SECONDS)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _keep_writing(self) -> None:
        while True:
            # A cluster or a disk that does not answer now may answer later: it is only a note.
            with contextlib.suppress(Exception):
                content = {"written": time.time(), "nodes": self._find_work()}
                files.write_atomic(self._path, json.dumps(content).encode())
            if self._ended.wait(WRITE_SECONDS):
                return
