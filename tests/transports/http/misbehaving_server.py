"""A server of raw bytes: for answers that no HTTP library would give."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

Handler = Callable[[socket.socket, Mapping[str, str], int], None]


class MisbehavingServer:
    """Lets `answer(connection, headers, number)` write what it likes; then the connection ends.

    Header names are in lower case; requests are numbered from 1.
    """

    def __init__(self, answer: Handler) -> None:
        self.answer = answer
        self.count = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.count += 1
                threading.Thread(
                    target=self._serve, args=(connection, self.count), daemon=True
                ).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                if not (piece := connection.recv(1 << 16)):
                    return
                asked += piece
            lines = asked.decode("latin-1").split("\r\n")[1:]
            pairs = (line.split(":", 1) for line in lines if ":" in line)
            headers = {name.lower(): value.strip() for name, value in pairs}
            self.answer(connection, headers, number)
            connection.shutdown(socket.SHUT_WR)


def head(status: int, **headers: object) -> bytes:
    """The beginning of an answer; `content_length=5` becomes `content-length: 5`."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status} x\r\nconnection: close\r\n{''.join(lines)}\r\n".encode("latin-1")


def asked_range(headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """The (start, stop) that a request asks for, if it asks for a range."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if match is None:
        return None
    return int(match[1]), int(match[2]) + 1 if match[2] else size


def part_of(body: bytes, span: tuple[int, int], **headers: object) -> bytes:
    """A 206 with these bytes of `body`."""
    start, stop = span
    place = f"bytes {start}-{stop - 1}/{len(body)}"
    length = stop - start
    return head(206, content_range=place, content_length=length, **headers) + body[start:stop]
