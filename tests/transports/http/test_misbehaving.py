"""Servers that break the rules: every download ends, and never in a mixture of two files."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Answer, FileServer
from saco_data.transports.base import Expect, Failure, FileChanged, Policy, Reply, Request
from saco_data.transports.http import Http
from tests.transports.http.misbehaving_server import (
    Handler,
    MisbehavingServer,
    asked_range,
    head,
    part_of,
)

OLD = random.Random(6).randbytes(3 << 20)
NEW = random.Random(7).randbytes(3 << 20)
CUT = 2 << 20
QUICK = Policy(attempts=3, backoff_seconds=0.01, stall_timeout=0.3, connect_timeout=2)
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
LATER = "Wed, 21 Oct 2020 07:28:00 GMT"


def fetch(url: str, folder: Path, expect: Expect = Expect()) -> Reply:  # noqa: B008
    with Http(QUICK) as http:
        (reply,) = http.fetch([Request("a", url, folder / "a", expect)])
    return reply


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        (Expect(sha256="0" * 64), Reason.WRONG_DIGEST),
        (Expect(kind="video"), Reason.NOT_MEDIA),
        (Expect(bytes=len(OLD) + 1), Reason.SHORT_BODY),
    ],
    ids=["digest", "kind", "length"],
)
def test_a_large_file_that_is_always_wrong_is_given_up(
    tmp_path: Path, expect: Expect, reason: Reason
) -> None:
    with FileServer({"/a": OLD}) as server:
        reply = fetch(f"{server.url}/a", tmp_path, expect)
        assert server.requests["/a"] == reply.attempts == QUICK.attempts
    assert reply.reason is reason
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_always_breaks_and_cannot_be_resumed_is_given_up(tmp_path: Path) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(200, content_length=len(OLD)) + OLD[:CUT])

    with MisbehavingServer(answer) as server:
        reply = fetch(f"{server.url}/a", tmp_path)
        assert server.count == QUICK.attempts
    assert (reply.reason, reply.path) == (Reason.NETWORK, None)


def test_a_file_with_another_etag_each_time_is_given_up(tmp_path: Path) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(200, etag=f'"{number}"', content_length=len(OLD)) + OLD[:CUT])

    with MisbehavingServer(answer) as server:
        reply = fetch(f"{server.url}/a", tmp_path)
        assert server.count <= 2 * QUICK.attempts
    assert (reply.reason, reply.path) == (Reason.SERVER_ERROR, None)


@pytest.mark.parametrize("later", [b"zz\r\nxxxx", b"f" * 20 + b"\r\n"], ids=["none", "huge"])
def test_a_broken_chunk_is_a_failure(tmp_path: Path, later: bytes) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(200, etag='"x"', transfer_encoding="chunked"))
        time.sleep(0.05)
        connection.sendall(b"5\r\nhello\r\n")
        time.sleep(0.05)
        connection.sendall(later)
        time.sleep(0.05)

    with MisbehavingServer(answer) as server:
        reply = fetch(f"{server.url}/a", tmp_path)
    assert (reply.reason, reply.attempts) == (Reason.TIMEOUT, QUICK.attempts)


def test_a_slow_error_page_is_not_waited_for(tmp_path: Path) -> None:
    left = threading.Event()

    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(404, content_length=1 << 30))
        with suppress(OSError):
            while not left.is_set():  # as long as anyone waits for it
                connection.sendall(b"x")
                time.sleep(0.1)
        left.set()

    with MisbehavingServer(answer) as server:
        assert fetch(f"{server.url}/a", tmp_path).reason is Reason.HTTP_404
        assert left.wait()


def changing(old: Mapping[str, Any], new: Mapping[str, Any], resumed: Mapping[str, Any]) -> Handler:
    """Sends two thirds of OLD, then NEW, whole or (`resumed`) from where it broke.

    Honours If-Range for a Last-Modified that is no longer `new`'s, and for nothing else.
    """

    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        span = asked_range(headers, len(NEW))
        if number == 1:
            connection.sendall(head(200, content_length=len(OLD), **old) + OLD[:CUT])
        elif span is None or headers.get("if-range") == DATE != new.get("last_modified", DATE):
            connection.sendall(head(200, content_length=len(NEW), **new) + NEW)
        else:
            connection.sendall(part_of(NEW, span, **resumed))

    return answer


@pytest.mark.parametrize(
    ("old", "new", "resumed"),
    [
        ({"etag": 'W/"v"', "last_modified": DATE}, {"etag": 'W/"v"', "last_modified": LATER}, {}),
        ({"etag": '"v"'}, {"etag": '"w"'}, {}),
        ({"last_modified": DATE}, {"last_modified": DATE}, {}),
    ],
    ids=["equal weak etags", "no etag on ranges", "no date on ranges"],
)
def test_two_versions_are_never_joined(
    tmp_path: Path, old: Mapping[str, Any], new: Mapping[str, Any], resumed: Mapping[str, Any]
) -> None:
    with MisbehavingServer(changing(old, new, resumed)) as server:
        assert fetch(f"{server.url}/a", tmp_path).reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == NEW


def test_another_size_is_another_version_whatever_the_etag_says(tmp_path: Path) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        body = OLD if number == 1 else NEW + b"more"
        if number > 1 and (span := asked_range(headers, len(body))):
            connection.sendall(part_of(body, span, etag='"v"'))
        else:
            connection.sendall(head(200, content_length=len(body), etag='"v"'))
            connection.sendall(body[:CUT] if number == 1 else body)

    with MisbehavingServer(answer) as server:
        assert fetch(f"{server.url}/a", tmp_path).reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == NEW + b"more"


def test_ranges_without_a_validator_are_joined_if_a_digest_is_known(tmp_path: Path) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        if span := asked_range(headers, len(OLD)):
            connection.sendall(part_of(OLD, span))
        else:
            connection.sendall(head(200, content_length=len(OLD), etag='"v"') + OLD[:CUT])

    with MisbehavingServer(answer) as server:
        expect = Expect(sha256=sha256(OLD).hexdigest())
        assert fetch(f"{server.url}/a", tmp_path, expect).reason is Reason.OK
        assert server.count == 2


@pytest.mark.parametrize("etag", [{}, {"etag": '"v"'}], ids=["nameless", "nameless later"])
def test_a_remote_file_is_never_joined_from_two_versions(etag: Mapping[str, str]) -> None:
    """The first answers are the old file's, cut; what follows names no version."""

    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        body = OLD if number <= 2 else NEW
        span = asked_range(headers, len(body)) or (0, len(body))
        whole = part_of(body, span, **(etag if number <= 2 else {}))
        connection.sendall(whole[:CUT] if number == 2 else whole)

    with MisbehavingServer(answer) as server, Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        assert file.seekable is bool(etag)
        with pytest.raises(FileChanged):
            list(file.stream())


def test_a_remote_file_of_unknown_size_is_read_in_one_go() -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        if span := asked_range(headers, len(OLD)):
            place = f"bytes {span[0]}-{span[1] - 1}/*"
            length = span[1] - span[0]
            beginning = head(206, etag='"v"', content_range=place, content_length=length)
            connection.sendall(beginning + OLD[slice(*span)])
        else:
            connection.sendall(head(200, etag='"v"', content_length=len(OLD)) + OLD)

    with MisbehavingServer(answer) as server, Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        assert (file.size, file.seekable) == (None, False)
        assert b"".join(file.stream()) == OLD


@pytest.mark.parametrize("place", ["http://xn--a.b/x", "http://xn--a.b"])
def test_a_malformed_host_name_is_an_invalid_address(tmp_path: Path, place: str) -> None:
    assert fetch(place, tmp_path).reason is Reason.HTTP_ERROR
    with Http(QUICK) as http, pytest.raises(Failure, match="not a valid"):
        http.open(place)

    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(302, location=place, content_length=0))

    with MisbehavingServer(answer) as server:
        reply = fetch(f"{server.url}/a", tmp_path)
    assert (reply.reason, reply.detail) == (Reason.HTTP_ERROR, "redirected to an invalid address")


def test_416_means_an_empty_file_only_for_a_range(tmp_path: Path) -> None:
    def answer(connection: socket.socket, headers: Mapping[str, str], number: int) -> None:
        connection.sendall(head(416, content_length=0))

    with MisbehavingServer(answer) as server:
        assert fetch(f"{server.url}/a", tmp_path).reason is Reason.HTTP_ERROR
    assert list(tmp_path.iterdir()) == []


def test_a_placeholder_is_recognised_by_its_name(tmp_path: Path) -> None:
    with FileServer({"/cdn/missing-tooth.jpg": b"tooth"}) as server:
        to = Answer(status=302, headers={"Location": "/cdn/missing-tooth.jpg"})
        server.route("/missing-tooth.jpg", lambda query: to)
        server.route("/tooth.jpg", lambda query: to)
        assert fetch(f"{server.url}/missing-tooth.jpg", tmp_path).reason is Reason.OK
        assert fetch(f"{server.url}/tooth.jpg", tmp_path).reason is Reason.NOT_MEDIA
