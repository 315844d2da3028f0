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
# The note that this process writes instead, where several machines fill one folder: two that append
# to one file of a network disk could overwrite each other's lines.
_own_notes: dict[Path, Path] = {}
_OWN = ".shards"  # suffix of the folder, beside the note, of such notes


def keep_note(folder: Path, note: Path) -> None:
    """Files that are fetched into a folder, or below it, are recorded in this note from now on."""
    _notes[folder] = note


def keep_own_note(folder: Path, name: str) -> None:
    """From now on, this process records what it fetches into a folder in a note of this name."""
    note = _notes[folder]
    _own_notes[folder] = note.with_name(note.name + _OWN) / name


def record(part: Path, path: Path) -> None:
    """Records that the complete file `part` was fetched and gets the name `path`."""
    folder = _raw_folder_of(path)
    if folder is None:
        return
    note = _own_notes.get(folder, _notes[folder])
    note.parent.mkdir(parents=True, exist_ok=True)
    # Buffered: a write that the system shortens goes on, or fails.
    with note.open("ab") as file:
        file.write(_line(path.relative_to(folder), part))


def is_fetched(path: Path) -> bool:
    """Whether saco-data fetched the file at `path`, and nobody changed it since."""
    folder = _raw_folder_of(path)
    if folder is None:
        return False
    note = _notes[folder]
    try:
        line = _line(path.relative_to(folder), path)
        own = note.with_name(note.name + _OWN)
        return any(line in each.read_bytes() for each in (note, *own.glob("*")) if each.exists())
    except OSError:
        return False


def _raw_folder_of(path: Path) -> Path | None:
    return next((folder for folder in path.parents if folder in _notes), None)


def _line(name: Path, path: Path) -> bytes:
    # The line begins with a line feed too: a line that a full disk cut ends there.
    status = path.stat()
    return f"\n{json.dumps(str(name))} {status.st_size} {status.st_mtime_ns}\n".encode()
