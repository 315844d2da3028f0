"""What the proxy and its handlers pass to each other: requests, responses, and a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message


class Reset(Exception):
    """Raised by a handler, or by the body that it returned, to cut the connection at once."""


@dataclass(frozen=True)
class Request:
    """One request as a handler sees it. `path` holds the query; `time` is `time.monotonic()`.

    `body` yields the request's content in pieces, once.
    """

    host: str
    method: str
    path: str
    headers: Message
    time: float
    body: Iterator[bytes] = field(repr=False)


@dataclass(frozen=True)
class Response:
    """What a handler answers. A body of unknown length (no Content-Length) is sent in chunks."""

    status: int
    headers: Iterable[tuple[str, str]] = ()
    body: bytes | Iterable[bytes] = b""


Handler = Callable[[Request], Response]
