"""What has come so far of an S3 object, beside its final name, and what is known of the whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.s3.outcome import Failure

_DIGEST = re.compile(r'"?([0-9a-f]{32})(?:-(\d+))?"?')


@dataclass(frozen=True, slots=True)
class Request:
    """One object, `url` as `s3://bucket/key`, to fetch into `to`."""

    key: str
    url: str
    to: Path


def facts_of(answer: dict[str, Any]) -> dict[str, Any]:
    """What names this very version of an object: `etag`, `version_id`, `last_modified`."""
    facts = {"etag": answer.get("ETag"), "version_id": answer.get("VersionId")}
    if "LastModified" in answer:
        facts["last_modified"] = answer["LastModified"].isoformat()
    return {name: value for name, value in facts.items() if value not in (None, "null")}


class Part:
    """The piece of a file that has come so far, and what the server said of the whole."""

    def __init__(self, request: Request) -> None:
        self.url = request.url
        self.to = request.to
        self.path = request.to.with_name(f".{request.to.name}.part")
        self.state = self.path.with_name(f"{self.path.name}.json")
        self.known: dict[str, Any] = {}
        self.resumed = False
        with explain_errors(self.to):
            self.to.parent.mkdir(parents=True, exist_ok=True)
            try:
                known = json.loads(self.state.read_bytes())
                if known["url"] == self.url and isinstance(known["size"], int) and known["etag"]:
                    self.known, self.resumed = known, self.size() > 0
            except (FileNotFoundError, ValueError, TypeError, KeyError):
                self.discard()

    @property
    def etag(self) -> str:
        """Names the version that is under way."""
        return str(self.known.get("etag", ""))

    def size(self) -> int:
        """Bytes that have come."""
        with contextlib.suppress(FileNotFoundError):
            return self.path.stat().st_size
        return 0

    def offset(self) -> int:
        """Where to go on; at least the last byte is asked for again, and with it the ETag."""
        return min(self.size(), self.known["size"] - 1) if self.etag and self.size() else 0

    def begin(self, answer: dict[str, Any]) -> None:
        """Notes what is to come, before the first byte of it."""
        self.discard()
        self.known = {"url": self.url, "size": int(answer["ContentLength"]), **facts_of(answer)}
        # Keys of customers and of KMS make ETags that are no digest.
        sealed = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        self.known["digest"] = not sealed and "SSECustomerAlgorithm" not in answer
        files.write_if_changed(self.state, json.dumps(self.known).encode())

    @contextlib.contextmanager
    def open(self, offset: int) -> Iterator[Callable[[bytes], None]]:
        """A function that appends at `offset`; all is on disk at the end."""
        with explain_errors(self.to):
            file = self.path.open("r+b" if offset else "wb")
        with file:
            file.truncate(offset)
            file.seek(offset)

            def write(piece: bytes) -> None:
                with explain_errors(self.to):
                    file.write(piece)

            try:
                yield write
            finally:
                with explain_errors(self.to):
                    file.flush()
            with explain_errors(self.to):
                os.fsync(file.fileno())

    def check(self, part_size: Callable[[str], int | None]) -> None:
        """Raises Failure unless the part is the whole object.

        `part_size(url)` asks the server for the bytes of an upload's first part.
        """
        size = self.size()
        if size != self.known["size"]:
            raise Failure(
                Reason.SHORT_BODY, f"{size} of {self.known['size']} bytes came", transient=True
            )
        if size == 0:
            raise Failure(Reason.NOT_MEDIA, "the object is empty")
        match = _DIGEST.fullmatch(self.etag)
        if match is None or not self.known["digest"]:
            return
        parts = int(match[2] or 0)
        piece = part_size(self.url) if parts else size
        if not piece or _etag(self.path, piece, bool(parts)) == self.etag.strip('"'):
            return
        # Parts of unequal size make an ETag that cannot be computed again: a fresh download is
        # then judged by its length, a resumed one is not trusted.
        if parts and not self.resumed:
            return
        raise Failure(Reason.WRONG_DIGEST, "the bytes do not fit the ETag", transient=True)

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Gives the part its final name."""
        files.publish(self.path, self.to)
        self.state.unlink(missing_ok=True)
        known = {k: v for k, v in self.known.items() if k not in ("url", "size", "digest")}
        return self.known["size"], known

    def discard(self) -> None:
        """Forgets what has come."""
        self.known, self.resumed = {}, False
        self.path.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


def _etag(path: Path, piece: int, multipart: bool) -> str:
    """The ETag that S3 gives to a file uploaded at once, or in parts of `piece` bytes."""
    digests = []
    with path.open("rb") as file:
        if not multipart:
            return hashlib.file_digest(file, "md5").hexdigest()
        size = os.fstat(file.fileno()).st_size
        while (left := min(piece, size - file.tell())) > 0:
            digest = hashlib.md5()
            while left and (data := file.read(min(left, files.CHUNK))):
                digest.update(data)
                left -= len(data)
            digests.append(digest.digest())
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"
