"""Checks a complete file: length, digests, and the marks at both ends of pictures and videos."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping
from typing import Protocol

from yarl import URL

from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason
from saco_data.transports.base import Expect
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.outcome import is_html

EDGE = 1 << 16  # bytes of the beginning and of the end that are checked
_STEP = 1 << 20
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def _crc32c() -> _Hash:
    try:
        from google_crc32c import Checksum
    except ImportError:
        raise SacoError(
            "this source gives CRC32C only", remedy="Install the package google-crc32c"
        ) from None
    checksum: _Hash = Checksum()  # type: ignore[no-untyped-call]
    return checksum


class Digests:
    """Digests of a file, computed while it arrives: sha256 always, others if they are compared.

    `announced`: what the server said of the whole file (see `announced_digests`). `position`: bytes
    taken in so far.
    """

    def __init__(self, expect: Expect, announced: Mapping[str, bytes]) -> None:
        wanted: dict[str, list[bytes]] = {}
        for name, digest in announced.items():
            wanted.setdefault(name, []).append(digest)
        if expect.sha256:
            wanted.setdefault("sha256", []).append(bytes.fromhex(expect.sha256))
        if expect.md5:
            wanted.setdefault("md5", []).append(bytes.fromhex(expect.md5))
        if expect.crc32c:
            wanted.setdefault("crc32c", []).append(base64.b64decode(expect.crc32c))
        self.position = 0
        self._wanted = wanted
        self._hashes: dict[str, _Hash] = {
            name: _crc32c() if name == "crc32c" else hashlib.new(name)
            for name in {"sha256", *wanted}
        }

    def update(self, data: bytes) -> None:
        """Takes in the next bytes of the file."""
        for each in self._hashes.values():
            each.update(data)
        self.position += len(data)

    def follow(self, file: int, stop: int) -> None:
        """Takes in the bytes of the open file up to byte `stop`."""
        while self.position < stop:
            data = os.pread(file, min(_STEP, stop - self.position), self.position)
            if not data:
                raise OSError(f"file ends at {self.position}, before {stop}")
            self.update(data)

    def sha256(self) -> str:
        """The sha256 so far, in hex digits."""
        return self._hashes["sha256"].digest().hex()

    def compare(self) -> bool:
        """Whether any digest was known and equal. Raises RequestFailure where one differs."""
        for name, digests in self._wanted.items():
            if any(digest != self._hashes[name].digest() for digest in digests):
                raise RequestFailure(
                    f"{name} differs", reason=Reason.WRONG_DIGEST, transient=True, restart=True
                )
        return bool(self._wanted)


def announced_digests(headers: Mapping[str, str], *, whole: bool) -> dict[str, bytes]:
    """The digests of the whole file that an answer's headers give, by name.

    `whole`: the body is the whole file, so digests of the body count too.
    """
    found: dict[str, bytes] = {}
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        text = headers.get("x-goog-hash", "")
        # Composite objects have no md5. crc32c needs another library, so it is the second choice.
        for name in ("md5", "crc32c"):
            if (match := re.search(rf"\b{name}=([A-Za-z0-9+/]+=*)", text)) and not found:
                _keep(found, name, match[1])
    text = f"{headers.get('Repr-Digest', '')},{headers.get('Digest', '')}"
    if match := re.search(r"\bsha-256=:?([A-Za-z0-9+/]+=*)", text, re.I):
        _keep(found, "sha256", match[1])
    if whole and (text := headers.get("Content-MD5", "")):
        _keep(found, "md5", text)
    return found


def _keep(found: dict[str, bytes], name: str, text: str) -> None:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        return
    if len(digest) == {"md5": 16, "crc32c": 4, "sha256": 32}[name]:
        found[name] = digest


def check(expect: Expect, url: URL, size: int, digests: Digests, head: bytes, tail: bytes) -> None:
    """Raises RequestFailure unless a complete file is what `expect` promises.

    `head` and `tail` are its first and last `EDGE` bytes. A file whose digest is right needs only
    the right beginning: some published pictures lack their end mark.
    """
    if size < expect.least_bytes:
        what = f"{size} bytes, at least {expect.least_bytes} are expected"
        raise RequestFailure(what, reason=Reason.NOT_MEDIA)
    if expect.bytes is not None and size != expect.bytes:
        reason = Reason.SHORT_BODY if size < expect.bytes else Reason.WRONG_DIGEST
        raise RequestFailure(
            f"{size} bytes instead of {expect.bytes}", reason=reason, transient=True, restart=True
        )
    vouched = digests.compare()
    problem = None
    if expect.kind == "image":
        problem = _image_problem(head, tail, size, vouched)
    elif expect.kind == "video":
        problem = None if _is_video(head) else "not a video"
    elif not vouched and is_html("", head) and not url.path.endswith((".html", ".htm", "/")):
        problem = "a web page instead of the file"
    if problem is not None:
        raise RequestFailure(problem, reason=Reason.NOT_MEDIA, transient=True, restart=True)


def _image_problem(head: bytes, tail: bytes, size: int, vouched: bool) -> str | None:
    """What is wrong with an image, by its marks alone; it is decoded at a later stage."""
    ended = True
    if head.startswith(b"\xff\xd8\xff"):
        ended = b"\xff\xd9" in tail
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        if head[16:24] == b"\0\0\0\1\0\0\0\1":
            return "a single pixel instead of the image"
        ended = b"IEND" in tail
    elif head.startswith((b"GIF87a", b"GIF89a")):
        if head[6:10] == b"\1\0\1\0":
            return "a single pixel instead of the image"
        ended = tail.rstrip(b"\0").endswith(b";")
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        ended = int.from_bytes(head[4:8], "little") + 8 <= size
    elif head.startswith(b"BM"):
        ended = int.from_bytes(head[2:6], "little") <= size
    elif not (
        head.startswith((b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"))
        or head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1", b"ftypheix")
    ):
        return "not an image"
    return None if ended or vouched else "an image that is cut short"


def _is_video(head: bytes) -> bool:
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
        or head.startswith(
            (b"\x1a\x45\xdf\xa3", b"FLV\1", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3", _ASF)
        )
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or (head[:1] == b"G" and head[188:189] == b"G")
        or (head[4:5] == b"G" and head[196:197] == b"G")
    )
