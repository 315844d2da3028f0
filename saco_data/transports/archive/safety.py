"""Which members may be taken out of an archive, and the record of a member."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.model.reasons import Reason
from saco_data.storage.files import Finish, open_atomic
from saco_data.storage.names import UnsafeName, safe_join
from saco_data.transports.base import Failure

READ_LIMIT = 1 << 30  # bytes of a member that may be held in memory
SAVE_LIMIT = 64 << 30  # bytes of a member that may be written to disk
PIECE = 1 << 20


class ArchiveDamaged(Failure):
    """An archive, or one member of it, is cut or damaged: a missing member may still be in it.

    `cut`: it ends too early, and all before that is sound. `alone`: only one member is damaged, and
    all others can still be read. `foreign`: it is whole, but not the archive that was published.
    """

    def __init__(
        self,
        what: str,
        *,
        item: str = "",
        remedy: str = "",
        cut: bool = False,
        alone: bool = False,
        foreign: bool = False,
    ) -> None:
        remedy = remedy or "Run again; if it stays so, download the archive again"
        super().__init__(what, item=item, remedy=remedy, reason=Reason.ARCHIVE_DAMAGED)
        self.cut = cut
        self.alone = alone
        self.foreign = foreign


@dataclass(slots=True)
class Member:
    """A wanted member. `name` as stored (posix, without a leading `./`), `size` in bytes.

    `refusal` says why the member may not be taken (a link, a device, an unsafe name, encrypted...);
    "" when it may. `vouched`: reading it compares a checksum. The content can be read once,
    and only until the next member is asked for.
    """

    name: str
    size: int
    refusal: str = ""
    vouched: bool = False
    _pieces: Callable[[], Iterator[bytes]] | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The whole content, length and checksum verified.

        Raises ArchiveDamaged, also for more than 1 GiB (`save` that).
        """
        if self.size > READ_LIMIT:
            raise ArchiveDamaged(
                f"declares {self.size} bytes, too many to read", item=self.name, alone=True
            )
        return b"".join(self._open())

    def save(self, to: Path, finish: Finish | None = None) -> int:
        """Streams the content into `to`, atomically and with flat memory; returns bytes written.

        `finish`: see `storage.files.open_atomic`. Raises ArchiveDamaged, DiskFull, OutputError;
        `to` then stays as it was.
        """
        written = 0
        with open_atomic(to, is_raw=True, finish=finish) as file:
            for piece in self._open():
                written += file.write(piece)
        return written

    def close(self) -> None:
        """Ends access to the content, when the next member is asked for."""
        self._pieces = None

    def _open(self) -> Iterator[bytes]:
        if self.refusal:
            raise ValueError(f"{self.name} was refused: {self.refusal}")
        if self._pieces is None:
            raise RuntimeError(
                f"{self.name}: its content was already read, or the next member was asked for"
            )
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
