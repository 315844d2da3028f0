"""A raw medium that is there and is not what it should be: what it is, and the step to take.

Running again does not help, so all of these are `Blocked`; no file counts as gone because of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.catalog.manifest import DEFAULT_COLLECTION
from saco_data.model.errors import Blocked
from saco_data.model.outside import one_line
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.transports.base import RangeReader

if TYPE_CHECKING:
    from saco_data.sources.raw_medium import RawMediumSource

# What is remembered of an archive at the published address whose md5 differed.
REFUSED = ".archive-refused.json"
_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2", ".7z", ".rar")
_SHOWN = 5  # names that a message repeats


def key_of(source: RawMediumSource) -> str:
    """The key of the config that names the raw medium of a source."""
    manifest = source.manifest
    if manifest.collection != DEFAULT_COLLECTION:
        return f"collections.{manifest.collection}.raw.{manifest.name}"
    return manifest.raw.config_key or f"endpoints.{manifest.name}_archive"


@contextlib.contextmanager
def explain_damage(source: RawMediumSource, raw: str | Path) -> Iterator[None]:
    """Within the context, damage of the whole archive becomes Blocked where it will not heal.

    That is: in a file on this machine, in an archive of a kind that is not read, and in one at the
    published address that is not the published one.
    """
    from saco_data.transports.archive import ArchiveDamaged

    try:
        yield
    except ArchiveDamaged as error:
        if error.alone or not (isinstance(raw, Path) or error.foreign):
            raise
        remedy = error.remedy
        if isinstance(raw, Path) and remedy.startswith("Run again"):
            remedy = "Download the archive again"
            if error.cut:
                remedy = (
                    "If it is still being copied, wait for the end of that; else download it again"
                )
        if isinstance(raw, str) and _is_other(error.what):
            _remember(source, error.what)
            remedy = "Files that it holds are kept, none counts as gone. Get the published archive"
        raise Blocked(
            error.what,
            item=error.item,
            remedy=f"{remedy} (`{key_of(source)}` in the config names it; it is described at "
            f"{source.manifest.access.page})",
            reason=Reason.RAW_UNUSABLE,
        ) from error


def check_not_refused(source: RawMediumSource, remote: RangeReader) -> None:
    """Raises Blocked where this version of the archive was read before and is another one.

    Otherwise each run would read all of it again for the files that it misses.
    """
    path = source.config.folder / REFUSED
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known = json.loads(path.read_bytes())
        if remote.identity and known.get("version") == f"{remote.size} {remote.identity}":
            raise Blocked(
                str(known.get("what", "not the published archive")),
                item=remote.origin,
                remedy="It is read again when it changes. To go on, get the published archive and "
                f"name it in `{key_of(source)}` (it is described at {source.manifest.access.page})",
                reason=Reason.RAW_UNUSABLE,
            )


class Seen:
    """The names in a medium, as far as a message needs them. `wanted`: number of wanted files."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.count = 0
        self.first: list[str] = []
        self.archives: list[str] = []

    def note(self, name: str) -> bool:
        """Notes a name; always False, so that it can stand before another condition."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(name)
        if name.lower().endswith(_ENDINGS) and len(self.archives) < _SHOWN:
            self.archives.append(name)
        return False

    def check(self, source: RawMediumSource, origin: str, *, is_folder: bool) -> None:
        """Raises Blocked where nothing wanted was found, and the names show why."""
        key, layout = key_of(source), source.manifest.raw.layout
        if self.archives:
            inner = one_line(self.archives[0])
            what = f"holds an archive ({inner}), and none of the {self.wanted} files themselves"
            step = (
                f"Name {inner} itself in `{key}`" if is_folder else f"Extract {inner} and name it"
            )
            remedy = step if is_folder else f"{step} in `{key}`"
        elif is_folder:
            found = ", ".join(map(one_line, self.first)) or "no file"
            more = f" and {self.count - len(self.first)} more" if self.count > _SHOWN else ""
            what = (
                f"holds none of the {self.wanted} files. Looked for: {layout}; found: {found}{more}"
            )
            remedy = f"Correct `{key}` in the config, or complete the extraction"
        else:
            return
        raise Blocked(
            what,
            item=origin,
            remedy=remedy,
            reason=Reason.NOT_IN_FOLDER if is_folder else Reason.RAW_UNUSABLE,
        )


def _is_other(what: str) -> bool:
    return "md5" in what


def _remember(source: RawMediumSource, what: str) -> None:
    """Writes which version of the published archive was refused; see `check_not_refused`."""
    raw = source.raw()
    if not isinstance(raw, str):
        return
    with source.open_http(attempts=1) as http:
        remote = http.open(raw)
        content = {"version": f"{remote.size} {remote.identity}", "what": what}
    files.write_if_changed(source.config.folder / REFUSED, json.dumps(content).encode())
