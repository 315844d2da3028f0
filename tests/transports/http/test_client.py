"""Files over HTTP: what arrives, what is refused, and what each fault leads to."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image
from yarl import URL

from saco_data.model.errors import DiskFull, OutputError, UsageError
from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer
from saco_data.transports.base import Expect, Failure, Policy, Reply, Request
from saco_data.transports.http import Http, addresses
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.part import Part
from tests.helpers.web import production

QUICK = Policy(backoff_seconds=0, stall_timeout=0.4, patience_seconds=5)
DATA = random.Random(1).randbytes(900_000)  # more than is fetched again when it breaks off
SMALL = DATA[:60_000]
HUGE = DATA * 10  # more than is held in memory


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).save(file, "JPEG")
    return file.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(QUICK) as http:
        yield http


def one(
    http: Http,
    url: str,
    to: Path,
    expect: Expect = Expect(),  # noqa: B008 - it cannot be changed
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Reply:
    (reply,) = http.fetch([Request("key", url, to, expect, headers)])
    return reply


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "body", [b"", b"x", SMALL, DATA, HUGE], ids=["empty", "byte", "small", "large", "huge"]
)
def test_a_file_arrives_whole(http: Http, tmp_path: Path, body: bytes) -> None:
    with FileServer({"/a": body}) as server:
        reply = one(http, f"{server.url}/a?key=secret", tmp_path / "deep" / "a")
    assert (reply.reason, reply.bytes, reply.sha256) == (Reason.OK, len(body), sha256(body))
    assert reply.path == tmp_path / "deep" / "a"
    assert reply.path.read_bytes() == body
    assert reply.origin == f"{server.url}/a"
    assert reply.facts["etag"].startswith('"')
    assert reply.attempts == 1
    assert hidden(tmp_path / "deep") == []


@pytest.mark.parametrize("body", [SMALL, DATA, HUGE], ids=["small", "large", "huge"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.UNAVAILABLE,
        Fault.THROTTLED,
        Fault.THROTTLED_UNTIL,
        Fault.RESET,
        Fault.SHORT_BODY,
        Fault.WRONG_LENGTH,
        Fault.WRONG_BYTES,
        Fault.HTML,
        Fault.DRIP,
        Fault.STALL,
        Fault.CHANGED,
        Fault.NO_RANGES,
    ],
)
def test_a_transient_fault_is_retried(
    http: Http, tmp_path: Path, fault: Fault, body: bytes
) -> None:
    faults = Faults((fault,), 1.0, first=1, retry_after=1, stall=5)
    with FileServer({"/a": body}, faults=faults) as server:
        reply = one(http, f"{server.url}/a", tmp_path / "a", Expect(sha256=sha256(body)))
        assert server.injected[fault] == 1
    assert (reply.reason, reply.detail) == (Reason.OK, "")
    assert (tmp_path / "a").read_bytes() == body
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.UNAVAILABLE, Reason.SERVER_ERROR),
        (Fault.RESET, Reason.NETWORK),
        (Fault.SHORT_BODY, Reason.SHORT_BODY),
        (Fault.WRONG_BYTES, Reason.WRONG_DIGEST),
        (Fault.HTML, Reason.NOT_MEDIA),
        (Fault.STALL, Reason.TIMEOUT),
        (Fault.EXPIRED, Reason.LINK_EXPIRED),
    ],
)
def test_a_permanent_fault_has_its_reason_and_leaves_no_file(
    tmp_path: Path, fault: Fault, reason: Reason
) -> None:
    policy = Policy(attempts=2, backoff_seconds=0, stall_timeout=0.3)
    faults = Faults((fault,), 1.0, stall=2)
    with FileServer({"/a": SMALL}, faults=faults) as server, Http(policy) as http:
        reply = one(http, f"{server.url}/a", tmp_path / "a", Expect(sha256=sha256(SMALL)))
        tries = server.requests["/a"]
    assert reply.reason is reason
    assert reply.path is None
    assert list(tmp_path.iterdir()) == []
    assert reply.attempts == tries == (1 if fault is Fault.EXPIRED else 2)


def test_every_fault_at_once_loses_nothing(tmp_path: Path) -> None:
    images = {f"/{number}.jpg": jpeg() for number in range(60)}
    kinds = tuple(kind for kind in Fault if kind is not Fault.EXPIRED)
    faults = Faults(kinds, 0.4, seed=3, retry_after=0, stall=2)
    with FileServer(images, faults=faults) as server, Http(QUICK) as http:
        replies = list(
            http.fetch(
                Request(name, server.url + name, tmp_path / name[1:], Expect("image"))
                for name in images
            )
        )
        assert server.injected.total() > 15
    assert {reply.reason for reply in replies} == {Reason.OK}
    assert {reply.key for reply in replies} == set(images)
    for name, body in images.items():
        assert (tmp_path / name[1:]).read_bytes() == body
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(("status", "reason"), [(404, Reason.HTTP_404), (410, Reason.HTTP_410)])
def test_gone_is_reported_once_and_only_by_the_source(
    http: Http, tmp_path: Path, status: int, reason: Reason
) -> None:
    with FileServer() as elsewhere, FileServer() as server:
        elsewhere.route("/", lambda query: Answer(b"no", status))
        server.route("/gone", lambda query: Answer(b"no", status))
        server.route("/away", lambda query: Answer(b"", 302, {"Location": elsewhere.url + "/x"}))
        server.route("/bucket", lambda query: Answer(b"<Code>NoSuchBucket</Code>", status))
        assert one(http, f"{server.url}/gone", tmp_path / "a").reason is reason
        assert server.requests["/gone"] == 1
        # The error page of another host, or a bucket that is missing as a whole, prove nothing.
        assert one(http, f"{server.url}/away", tmp_path / "a").reason is Reason.HTTP_ERROR
        assert one(http, f"{server.url}/bucket", tmp_path / "a").reason is Reason.HTTP_ERROR


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (jpeg(), True),
        (jpeg()[:-200], False),
        (b"placeholder", False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0IEND", False),
        (b"<!-- moved --><html><body>image/jpeg", False),
    ],
    ids=["jpeg", "cut", "text", "pixel", "page"],
)
def test_only_images_pass_as_images(tmp_path: Path, body: bytes, good: bool) -> None:
    policy = Policy(attempts=1)
    with FileServer({"/a.jpg": body}) as server, Http(policy) as http:
        reply = one(http, f"{server.url}/a.jpg", tmp_path / "a.jpg", Expect("image"))
    assert reply.reason is (Reason.OK if good else Reason.NOT_MEDIA)
    assert (tmp_path / "a.jpg").exists() is good


@pytest.mark.parametrize(
    "expect",
    [
        Expect(bytes=len(SMALL) + 1),
        Expect(bytes=len(SMALL) - 1),
        Expect(md5="0" * 32),
        Expect(sha256="0" * 64),
    ],
)
def test_expected_size_and_digests_are_compared(tmp_path: Path, expect: Expect) -> None:
    with FileServer({"/a": SMALL}) as server, Http(Policy(attempts=1)) as http:
        reply = one(http, f"{server.url}/a", tmp_path / "a", expect)
    assert reply.reason.state == "failed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x-goog-hash", "Content-MD5", "Repr-Digest"])
@pytest.mark.parametrize("right", [True, False])
def test_announced_digests_are_compared(tmp_path: Path, name: str, right: bool) -> None:
    body = SMALL if right else SMALL[::-1]
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    value = {"x-goog-hash": f"md5={md5}", "Content-MD5": md5, "Repr-Digest": f"sha-256=:{sha}:"}
    with FileServer() as server, Http(Policy(attempts=1)) as http:
        server.route("/a", lambda query: Answer(SMALL, headers={name: value[name]}))
        reply = one(http, f"{server.url}/a", tmp_path / "a")
    assert reply.reason is (Reason.OK if right else Reason.WRONG_DIGEST)


def test_crc32c_is_compared(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c")
    with FileServer({"/a": b"123456789"}) as server, Http(Policy(attempts=1)) as http:
        right = one(http, f"{server.url}/a", tmp_path / "a", Expect(crc32c="4waSgw=="))
        wrong = one(http, f"{server.url}/a", tmp_path / "b", Expect(crc32c="AAAAAA=="))
    assert (right.reason, wrong.reason) == (Reason.OK, Reason.WRONG_DIGEST)


def test_headers_are_not_sent_to_other_hosts(http: Http, tmp_path: Path) -> None:
    secrets = {"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "X-Api-Key": "s3cret"}
    with FileServer({"/b": SMALL}) as other, FileServer() as server:
        server.route(
            "/a", lambda query: Answer(b"", 302, {"Location": other.url + "/b?sig=s3cret"})
        )
        reply = one(http, f"{server.url}/a", tmp_path / "a", headers=secrets)
        assert reply.reason is Reason.OK
        assert "s3cret" in str(server.seen)
        assert "s3cret" not in str([headers for _, _, headers in other.seen])
        agents = {headers["User-Agent"] for _, _, headers in (*server.seen, *other.seen)}
    assert "s3cret" not in repr(reply)
    assert reply.facts["redirected_to"] == other.url + "/b"
    assert len(agents) == 1
    assert "saco-data" in agents.pop()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "/loop"])
def test_bad_redirects_are_not_followed(http: Http, tmp_path: Path, target: str) -> None:
    with FileServer() as server:
        server.route("/loop", lambda query: Answer(b"", 302, {"Location": target}))
        reply = one(http, f"{server.url}/loop", tmp_path / "a")
    assert reply.reason is Reason.HTTP_ERROR
    assert list(tmp_path.iterdir()) == []


INSIDE = [
    "localhost",
    "a.localhost",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1]",
    "[fd00::1]",
]


@pytest.mark.parametrize("host", INSIDE)
def test_a_public_server_cannot_lead_inside(host: str) -> None:
    inside, outside = URL(f"http://{host}/a"), URL("https://cdn.example.org/a")
    assert addresses.leads_inside(inside) and not addresses.leads_inside(outside)
    with pytest.raises(RequestFailure, match="inside this network"):
        addresses.check_target(outside, inside)
    # What the config names, and what is said inside, may be inside.
    addresses.check_target(inside, inside)
    addresses.check_target(inside, outside)
    addresses.check_target(outside, outside)


def test_a_redirect_inside_is_not_followed(tmp_path: Path) -> None:
    with FileServer({"/secret": SMALL}) as server:
        target = f"{server.url}/secret"
        server.route("/a", lambda query: Answer(b"", 302, {"Location": target}))
        with (
            production(server, "cdn.example.org") as proxy,
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in proxy.environment.items():
                patch.setenv(name, value)
            with Http(Policy(attempts=1)) as http:
                reply = one(http, "https://cdn.example.org/a", tmp_path / "a")
        assert (reply.reason, reply.path) == (Reason.HTTP_ERROR, None)
        assert [path for _, path, _ in server.seen] == ["/a"]


@pytest.mark.parametrize("url", ["", "no address", "file:///etc/passwd", "http://[::1", "http://"])
def test_an_invalid_address_is_a_failed_reply(http: Http, tmp_path: Path, url: str) -> None:
    assert one(http, url, tmp_path / "a").reason is Reason.HTTP_ERROR


def test_a_refused_connection_is_a_network_failure(tmp_path: Path) -> None:
    with FileServer() as server:
        url = server.url
    with Http(Policy(attempts=2, backoff_seconds=0)) as http:
        assert one(http, f"{url}/a?key=s3cret", tmp_path / "a").reason is Reason.NETWORK


def test_a_client_that_cannot_start_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    before = threading.active_count()
    with pytest.raises(UsageError), Http(QUICK):
        pass
    assert threading.active_count() == before


def test_a_system_without_fdatasync_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fdatasync")
    part = Part(tmp_path / "a", "http://here/a")
    part.save([])
    part.close()
    assert part.note.is_file()


def test_a_slow_consumer_bounds_what_is_started(tmp_path: Path) -> None:
    files = {f"/{number}": SMALL for number in range(30)}
    with FileServer(files) as server, Http(Policy(concurrency=4)) as http:
        drawn = 0

        def requests() -> Iterator[Request]:
            nonlocal drawn
            for name in files:
                drawn += 1
                yield Request(name, server.url + name, tmp_path / name[1:])

        replies = http.fetch(requests())
        next(replies)
        time.sleep(0.3)
        assert drawn <= 5
        assert len(list(tmp_path.iterdir())) <= 5
        assert len(list(replies)) == 29
        assert server.busiest <= 4


def test_closing_early_leaves_nothing_running(tmp_path: Path) -> None:
    with FileServer({"/a": DATA, "/b": DATA}, bandwidth=200_000) as server, Http(QUICK) as http:
        for _ in range(2):
            replies = http.fetch(
                Request(name, server.url + name, tmp_path / name[1:]) for name in ("/a", "/b", "/c")
            )
            assert next(replies).reason is Reason.HTTP_404
            replies.close()
        before = server.bytes_sent
        time.sleep(1)  # in which 400 kB would come
        assert server.bytes_sent - before < 100_000
        assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_written_stops_the_fetch(http: Http, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with FileServer({"/a": SMALL}) as server, pytest.raises(OutputError):
        one(http, f"{server.url}/a", tmp_path / "file" / "a")


@pytest.mark.parametrize("call", ["pwrite", "pread", "fsync"])
def test_a_disk_error_stops_the_fetch_with_a_clear_message(
    http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "no matter")

    monkeypatch.setattr(os, call, broken)
    with (
        FileServer({"/a": HUGE}) as server,
        pytest.raises(OutputError, match=os.strerror(errno.EIO)),
    ):
        one(http, f"{server.url}/a", tmp_path / "a")


def test_a_file_that_does_not_fit_is_not_started(http: Http, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + (64 << 30))  # all hole
    with FileServer({"/a": huge}) as server, pytest.raises(DiskFull):
        one(http, f"{server.url}/a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_documents(http: Http) -> None:
    faults = Faults((Fault.UNAVAILABLE, Fault.RESET), 1.0, first=1)
    with FileServer({"/a.json": b'{"a": 1}'}, faults=faults) as server:
        assert http.get(f"{server.url}/a.json") == b'{"a": 1}'
        with pytest.raises(Failure) as gone:
            http.get(f"{server.url}/b?key=s3cret")
        assert gone.value.reason is Reason.HTTP_404
        assert "s3cret" not in str(gone.value)
        with pytest.raises(Failure, match="more than 4 bytes"):
            http.get(f"{server.url}/a.json", limit_bytes=4)
