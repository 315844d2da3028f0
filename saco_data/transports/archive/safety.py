"""What may be taken out of an archive, and the one record that every kind of archive yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.model.errors import Incomplete
from saco_data.model.reasons import Reason
from saco_data.storage.files import open_atomic
from saco_data.storage.names import UnsafeName, safe_join

READ_LIMIT = 1 << 30  # bytes of a member that may be held in memory
SAVE_LIMIT = 64 << 30  # bytes of a member that may be written to disk
PIECE = 1 << 20


class ArchiveDamaged(Incomplete):
    """An archive, or one member of it, is cut or damaged: nothing can be said of what is missing.

    `cut`: it ends too early, and what came before the end is sound. `alone`: one member is of no
    use, and all others can still be had.
    """

    def __init__(
        self, what: str, *, item: str = "", remedy: str = "", cut: bool = False, alone: bool = False
    ) -> None:
        remedy = remedy or "Run again; if it stays so, download the archive again"
        super().__init__(what, item=item, remedy=remedy)
        self.reason = Reason.ARCHIVE_DAMAGED
        self.cut = cut
        self.alone = alone


@dataclass(slots=True)
class Member:
    """A wanted member. `name` as stored (posix, without a leading `./`), `size` in bytes.

    `refusal` says why the member may not be taken (a link, a device, an unsafe name, encrypted...);
    "" when it may. The content can be had once, and only until the next member is asked for.
    """

    name: str
    size: int
    refusal: str = ""
    _pieces: Callable[[], Iterator[bytes]] | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The whole content, length and checksum verified.

        Raises ArchiveDamaged, also for more than 1 GiB (`save` that).
        """
        if self.size > READ_LIMIT:
            raise ArchiveDamaged(
                f"declares {self.size} bytes, too many to read", item=self.name, alone=True
            )
        return b"".join(self._take())

    def save(self, to: Path) -> int:
        """Streams the content into `to`, atomically and with flat memory; returns bytes written.

        Raises ArchiveDamaged, DiskFull, OutputError; `to` then stays as it was.
        """
        written = 0
        with open_atomic(to) as file:
            for piece in self._take():
                written += file.write(piece)
        return written

    def close(self) -> None:
        """Called when the archive moves on: the content is out of reach from here."""
        self._pieces = None

    def _take(self) -> Iterator[bytes]:
        if self.refusal:
            raise ValueError(f"{self.name} was refused: {self.refusal}")
        if self._pieces is None:
            raise RuntimeError(f"{self.name}: the content was already taken or passed")
        pieces, self._pieces = self._pieces, None
        return pieces()


def plain_name(name: str) -> str:
    """A stored name without the `./` that `tar c .` puts before it."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def refusal_of(name: str, size: int) -> str:
    """Why a regular file of this name and declared size may not be taken; "" if it may."""
    try:
        safe_join(Path(), name).name.encode()
        name.encode()
    except (UnsafeName, UnicodeEncodeError):
        return "unsafe name"
    if size > SAVE_LIMIT:
        return f"declares {size} bytes"
    return ""
