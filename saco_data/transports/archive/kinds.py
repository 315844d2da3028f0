"""What a file is that is not an archive we read, and the step that makes one of it."""

from __future__ import annotations

from pathlib import PurePosixPath

# First bytes, the kind, and the program that unpacks it.
_PACKED = (
    (b"\xfd7zXZ\x00", "xz", "unxz --keep"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2 --keep"),
    (b"\x1f\x9d", "compress", "gunzip --keep"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
)
_FOLDERS = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x"),
)
_AGAIN = "Download the archive again, from its official place"


def is_packed(head: bytes) -> bool:
    """Whether a file begins like an archive that this tool does not read in place."""
    return head.startswith(tuple(magic for magic, *_ in (*_PACKED, *_FOLDERS)))


def describe(head: bytes, origin: str) -> tuple[str, str]:
    """What a file is that begins with `head` (512 bytes) and is no zip or tar, and what to do."""
    name = PurePosixPath(origin).name
    if not head:
        return "is empty", _AGAIN
    if head.lstrip().startswith(b"<"):
        return (
            "is a web page, not the archive",
            "Log in with a browser, download the archive again, and look at its size",
        )
    for magic, kind, program in _PACKED:
        if head.startswith(magic):
            return (
                f"is compressed with {kind}, which is not read in place",
                f"Run `{program} {name}` and name the tar that it writes",
            )
    for magic, kind, program in _FOLDERS:
        if head.startswith(magic):
            return (
                f"is {kind}, which is not read in place",
                f"Run `{program} {name}` in a new folder and name that folder",
            )
    return "is neither a zip, a tar nor a tar.gz", _AGAIN
