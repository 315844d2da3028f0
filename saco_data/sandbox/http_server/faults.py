"""The ways in which a request can fail, and which of them happens to which request."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from email.utils import formatdate
from enum import StrEnum

from aiohttp import web

_PAGE = b"<!DOCTYPE html><html><head><title>Something else</title></head><body>Hello</body></html>"
_EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message><RequestId>5C2B7A</RequestId></Error>"
)


class Fault(StrEnum):
    """One way of failing."""

    UNAVAILABLE = "503"
    THROTTLED = "429 with Retry-After in seconds"
    THROTTLED_UNTIL = "429 with Retry-After as a date"
    RESET = "connection reset in mid-body"
    SHORT_BODY = "connection closed before Content-Length"
    WRONG_LENGTH = "a cut body whose Content-Length matches the cut"
    WRONG_BYTES = "other bytes of the right length"
    HTML = "an HTML page with status 200"
    DRIP = "a few bytes at a time"
    STALL = "silence in mid-body"
    EXPIRED = "403 as object stores word it"
    CHANGED = "another ETag from now on"
    NO_RANGES = "a Range header ignored"


@dataclass(frozen=True, slots=True)
class Faults:
    """Which faults happen, and how often.

    Each request for a file fails with `probability`, in a way drawn from `kinds`. The draw depends
    on `seed`, the path and the number of requests the path has seen, so it is the same however
    requests interleave. `first`: only so many requests of each path can fail.
    """

    kinds: tuple[Fault, ...] = tuple(Fault)
    probability: float = 0.2
    seed: int = 0
    first: int | None = None
    retry_after: int = 1  # seconds
    stall: float = 60.0  # seconds of silence
    drip: int = 512  # bytes a second

    def draw(self, path: str, number: int) -> Fault | None:
        """The fault of request `number` (from 1) for `path`; None: the request succeeds."""
        if not self.kinds or (self.first is not None and number > self.first):
            return None
        dice = random.Random(f"{self.seed} {path} {number}")  # noqa: S311 - reproducible on purpose
        return dice.choice(self.kinds) if dice.random() < self.probability else None


def refuse(fault: Fault | None, retry_after: int) -> web.Response | None:
    """The response of a fault that sends nothing of the file; None: the file is sent."""
    match fault:
        case Fault.UNAVAILABLE:
            return web.Response(status=503, text="try later")
        case Fault.THROTTLED:
            return web.Response(status=429, headers={"Retry-After": str(retry_after)})
        case Fault.THROTTLED_UNTIL:
            date = formatdate(time.time() + retry_after, usegmt=True)
            return web.Response(status=429, headers={"Retry-After": date})
        case Fault.HTML:
            return web.Response(body=_PAGE, content_type="text/html")
        case Fault.EXPIRED:
            return web.Response(status=403, body=_EXPIRED, content_type="application/xml")
        case _:
            return None
