"""Politeness: pauses, rates, and when a source is left alone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer, Query
from saco_data.transports.base import Policy, Request
from saco_data.transports.http import Http
from saco_data.transports.http.circuit_breaker import MAX_DENIALS

FILES = {f"/{number}": b"x" * 100 for number in range(20)}


def requests(server: FileServer, folder: Path) -> list[Request]:
    return [Request(name, server.url + name, folder / name[1:]) for name in FILES]


def test_a_throttling_host_gets_the_rest_it_asks_for(tmp_path: Path) -> None:
    with FileServer() as server, Http(Policy()) as http:
        throttled = True

        def answer(query: Query) -> Answer:
            nonlocal throttled
            if throttled:
                throttled = False
                return Answer(b"", 429, {"Retry-After": "1"})
            return Answer(b"x")

        server.route("/", answer)
        begun = time.monotonic()
        replies = list(http.fetch(requests(server, tmp_path)))
    assert {reply.reason for reply in replies} == {Reason.OK}
    assert {reply.attempts for reply in replies} == {1}  # nobody pays
    assert time.monotonic() - begun >= 1


def test_too_long_a_rest_opens_the_circuit(tmp_path: Path) -> None:
    faults = Faults((Fault.THROTTLED,), 1.0, retry_after=3600)
    with FileServer(FILES, faults=faults) as server, Http(Policy()) as http:
        with pytest.raises(Blocked) as closed:  # and not an hour later
            list(http.fetch(requests(server, tmp_path)))
        assert closed.value.reason is Reason.THROTTLED
        with pytest.raises(Blocked):  # and it stays closed
            list(http.fetch(requests(server, tmp_path)))
        # The eight that were under way at once, which may arrive late, and each only once.
        assert server.requests.total() <= 8
        assert set(server.requests.values()) == {1}
    assert list(tmp_path.iterdir()) == []


def test_endless_throttling_opens_the_circuit(tmp_path: Path) -> None:
    policy = Policy(patience_seconds=0.5, backoff_seconds=0.05)
    with FileServer() as server, Http(policy) as http:
        server.route("/", lambda query: Answer(b"", 429))
        with pytest.raises(Blocked) as closed:
            list(http.fetch(requests(server, tmp_path)))
    assert closed.value.reason is Reason.THROTTLED


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"who are you", 401), Reason.UNAUTHORIZED),
        (Answer(b"", 302, {"Location": "/login?next=a"}), Reason.UNAUTHORIZED),
        (
            Answer(b"<Error><Message>Request has expired</Message></Error>", 403),
            Reason.LINK_EXPIRED,
        ),
    ],
    ids=["401", "login page", "expired"],
)
def test_denials_in_a_row_open_the_circuit(tmp_path: Path, answer: Answer, reason: Reason) -> None:
    page = Answer(b"<html><title>Sign in</title>", headers={"Content-Type": "text/html"})
    with FileServer() as server, Http(Policy(concurrency=2)) as http:
        server.route("/", lambda query: answer)
        server.route("/login", lambda query: page)
        replies = []
        with pytest.raises(Blocked) as closed:
            for reply in http.fetch(requests(server, tmp_path)):
                replies.append(reply)  # noqa: PERF402 - what came before the error counts
        assert len(replies) < 8
    assert closed.value.reason is reason
    assert {reply.reason for reply in replies} <= {reason}


def test_a_single_denial_concerns_its_file_only(tmp_path: Path) -> None:
    with FileServer(FILES) as server, Http(Policy(concurrency=1)) as http:
        for name in list(FILES)[::2]:
            server.route(name + "x", lambda query: Answer(b"no", 403))
        wanted = [
            Request(name, server.url + name + "x" * (number % 2 == 0), tmp_path / name[1:])
            for number, name in enumerate(FILES)
        ]
        replies = list(http.fetch(wanted))
    reasons = [reply.reason for reply in replies]
    assert reasons.count(Reason.UNAUTHORIZED) == 10
    assert reasons.count(Reason.OK) == 10


def denying(url: str, server: FileServer, folder: Path, concurrency: int) -> dict[str, Reason]:
    """What becomes of 40 files, of which the first 20 are refused, then 20 served."""
    server.route("/no", lambda query: Answer(b"no", 403))
    server.route("/yes", lambda query: Answer(b"yes"))
    wanted = [
        Request(f"{word}{number}", f"{host}/{word}{number}", folder / f"{word}{number}")
        for word, host in (("no", url), ("yes", server.url))
        for number in range(20)
    ]
    with Http(Policy(concurrency=concurrency)) as http:
        return {reply.key: reply.reason for reply in http.fetch(wanted)}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_files_further_on_are_tried_before_the_circuit_opens(
    tmp_path: Path, concurrency: int
) -> None:
    with FileServer() as server:
        found = denying(server.url, server, tmp_path, concurrency)
        assert sum(server.requests.values()) <= 45  # and a few questions whether it still serves
    assert {key for key, reason in found.items() if reason is Reason.OK} == {
        f"yes{number}" for number in range(20)
    }
    assert list(found.values()).count(Reason.UNAUTHORIZED) == 20


def test_a_host_that_denies_everything_does_not_close_others(tmp_path: Path) -> None:
    with FileServer() as refusing, FileServer() as server:
        refusing.route("/", lambda query: Answer(b"no", 403))
        found = denying(refusing.url, server, tmp_path, 2)
        assert sum(refusing.requests.values()) < 10  # then it is left alone
    assert list(found.values()).count(Reason.OK) == 20
    assert list(found.values()).count(Reason.UNAUTHORIZED) == 20


def test_a_failed_probe_opens_the_circuit(tmp_path: Path) -> None:
    with FileServer() as server, Http(Policy(concurrency=1)) as http:

        def answer(query: Query) -> Answer:
            return Answer(b"x") if server.requests.total() <= 5 else Answer(b"no", 403)

        server.route("/", answer)
        replies = []
        with pytest.raises(Blocked):
            for reply in http.fetch(requests(server, tmp_path)):
                replies.append(reply.reason)  # noqa: PERF401 - what came before the error counts
        assert server.requests.total() == 5 + MAX_DENIALS + 1
    assert replies.count(Reason.OK) == 5


@pytest.mark.parametrize("after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_throttling_without_retry_after_also_means_a_rest(tmp_path: Path, after: str) -> None:
    with FileServer() as server, Http(Policy(concurrency=1, patience_seconds=0.5)) as http:
        server.route("/", lambda query: Answer(b"", 429, {"Retry-After": after}))
        with pytest.raises(Blocked):
            list(http.fetch(requests(server, tmp_path)))
        assert server.requests.total() <= 3


def test_a_rest_grows_when_throttling_goes_on(tmp_path: Path) -> None:
    policy = Policy(concurrency=1, patience_seconds=0.8, backoff_seconds=0.2)
    with FileServer() as server, Http(policy) as http:
        server.route("/", lambda query: Answer(b"", 429, {"Retry-After": "0.001"}))
        with pytest.raises(Blocked):
            list(http.fetch(requests(server, tmp_path)))
        assert server.requests.total() <= 5


def test_requests_at_once_are_limited(tmp_path: Path) -> None:
    stop = threading.Event()
    with (
        FileServer({"/a": bytes(64 << 20)}, bandwidth=8 << 20) as server,
        Http(Policy(concurrency=1)) as http,
    ):
        threading.Timer(0.9, stop.set).start()
        list(http.fetch([Request("a", f"{server.url}/a", tmp_path / "a")], stop))
        assert server.busiest == 1


def test_completed_files_come_before_the_error(tmp_path: Path) -> None:
    with FileServer() as server, Http(Policy(concurrency=1)) as http:
        wait = {"Retry-After": "3600"}
        server.route(
            "/", lambda query: Answer(b"x") if query.path < "/5" else Answer(b"", 429, wait)
        )
        done: list[Reason] = []
        with pytest.raises(Blocked):
            done.extend(
                reply.reason
                for reply in http.fetch(sorted(requests(server, tmp_path), key=lambda r: r.key))
            )
    assert done
    assert set(done) == {Reason.OK}


def test_a_pause_between_two_requests_is_kept(tmp_path: Path) -> None:
    policy = Policy(sleep_seconds=(0.05, 0.06))
    with FileServer(FILES) as server, Http(policy) as http:
        list(http.fetch(requests(server, tmp_path)))
        assert server.peak_rate(0.5) <= 24
        assert sum(server.requests.values()) == 20


def test_requests_a_second_are_bounded(tmp_path: Path) -> None:
    policy = Policy(requests_per_second=20)
    with FileServer(FILES) as server, Http(policy) as http:
        list(http.fetch(requests(server, tmp_path)))
        assert server.peak_rate(0.5) <= 24
        assert sum(server.requests.values()) == 20
