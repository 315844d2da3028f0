"""Which raw files were fetched by saco-data; every other one is the user's.

A note has a line for each file that was fetched: its name below the raw folder, its size in bytes
and its mtime in ns. The line is written just before the file gets its name, so that it is there
after a kill too. A file of another size or mtime was put there, or written to, by somebody else.
"""

from __future__ import annotations

import json
from pathlib import Path

# The note of each raw folder that a source of this process uses.
_notes: dict[Path, Path] = {}


def keep_note(folder: Path, note: Path) -> None:
    """Files that are fetched into a folder, or below it, are recorded in this note from now on."""
    _notes[folder] = note


def record(part: Path, path: Path) -> None:
    """Records that the complete file `part` was fetched and gets the name `path`."""
    folder = _raw_folder_of(path)
    if folder is None:
        return
    note = _notes[folder]
    note.parent.mkdir(parents=True, exist_ok=True)
    # Buffered: a write that the system shortens goes on, or fails.
    with note.open("ab") as file:
        file.write(_line(path.relative_to(folder), part))


def is_fetched(path: Path) -> bool:
    """Whether saco-data fetched the file at `path`, and nobody changed it since."""
    folder = _raw_folder_of(path)
    if folder is None:
        return False
    try:
        return _line(path.relative_to(folder), path) in _notes[folder].read_bytes()
    except OSError:
        return False


def _raw_folder_of(path: Path) -> Path | None:
    return next((folder for folder in path.parents if folder in _notes), None)


def _line(name: Path, path: Path) -> bytes:
    # The line begins with a line feed too: a line that a full disk cut ends there.
    status = path.stat()
    return f"\n{json.dumps(str(name))} {status.st_size} {status.st_mtime_ns}\n".encode()
