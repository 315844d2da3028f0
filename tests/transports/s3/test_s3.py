"""The S3 transport against moto: real boto3, real sockets, every way of going wrong."""

from __future__ import annotations

import contextlib
import email.utils
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.http_server import Answer, FileServer, Query
from saco_data.sandbox.proxy import ConnectProxy, forward
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from saco_data.transports.base import Failure, Policy, Reply, Request
from saco_data.transports.s3 import S3, split
from saco_data.transports.s3.outcome import refusal
from tests.helpers.stopping import stop_when

PROBE = "s3://sharing/manifest.csv"
VIDEO = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    clean(monkeypatch, tmp_path)
    with S3Server({"sharing": {"manifest.csv": b"uid\n"}, "uni": {"a.mp4": VIDEO}}) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        yield s3


def clean(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


_OPEN = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    _OPEN.close()


def client(
    access_key: SecretStr | None = None, secret_key: SecretStr | None = None, **policy: object
) -> S3:
    """A client that waits for nothing, open until the test ends."""
    waits = {"concurrency": 4, "backoff_seconds": 0.001}
    rates = Policy(**{**waits, **policy})  # type: ignore[arg-type]
    return _OPEN.enter_context(S3(rates, access_key=access_key, secret_key=secret_key))


def fetch(folder: Path, *names: str, s3: S3 | None = None) -> dict[str, Reply]:
    requests = [Request(name, f"s3://uni/{name}", folder / name) for name in names]
    replies = (s3 or client()).fetch(requests, PROBE, threading.Event())
    return {reply.key: reply for reply in replies}


def broken_off(server: S3Server, folder: Path, at: int = 1_000_000) -> None:
    """Leaves the first bytes of a.mp4 behind, as a killed run does."""
    server.gate.cut["uni/a.mp4"] = [at]
    reply = fetch(folder, "a.mp4", s3=client(attempts=1))["a.mp4"]
    assert reply.reason.state is State.FAILED
    assert 0 < (folder / ".a.mp4.part").stat().st_size <= at
    server.sent.clear()
    server.conditions.clear()


def test_objects_arrive_whole_with_their_version(server: S3Server, tmp_path: Path) -> None:
    server.put_in_parts("uni", "b.mp4", [bytes(5 << 20), b"tail"])
    replies = fetch(tmp_path / "v", "a.mp4", "b.mp4")
    assert (tmp_path / "v/a.mp4").read_bytes() == VIDEO
    assert (tmp_path / "v/b.mp4").read_bytes() == bytes(5 << 20) + b"tail"
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["a.mp4", "b.mp4"]
    for reply in replies.values():
        assert reply.reason is Reason.OK
        assert reply.bytes == reply.path.stat().st_size  # type: ignore[union-attr]
        assert {"etag", "version_id", "last_modified"} <= reply.facts.keys()


def test_a_broken_connection_is_resumed(server: S3Server, tmp_path: Path) -> None:
    server.gate.cut["uni/a.mp4"] = [1_100_000, 1_100_000]
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO
    assert server.sent["uni/a.mp4"] < len(VIDEO) + 600_000
    ranges = [(span, match) for _, span, match in server.conditions]
    assert ranges[0] == ("", "")
    assert all(span.startswith("bytes=") and match for span, match in ranges[1:])


def test_a_later_run_resumes_too(server: S3Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO
    assert server.sent["uni/a.mp4"] < len(VIDEO) - 500_000


def test_a_changed_object_starts_again(server: S3Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    other = VIDEO[::-1]
    server.put("uni", "a.mp4", other)
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == other


def test_a_complete_part_costs_one_byte(server: S3Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    (tmp_path / ".a.mp4.part").write_bytes(VIDEO)
    note = json.loads((tmp_path / ".a.mp4.part.json").read_bytes())
    (tmp_path / ".a.mp4.part.json").write_text(json.dumps({**note, "spans": [[0, len(VIDEO)]]}))
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert server.sent["uni/a.mp4"] == 1
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


def test_a_range_past_the_end_starts_again(server: S3Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    state = json.loads((tmp_path / ".a.mp4.part.json").read_bytes())
    (tmp_path / ".a.mp4.part.json").write_text(json.dumps({**state, "size": 9_000_000}))
    (tmp_path / ".a.mp4.part").write_bytes(VIDEO * 2)
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


@pytest.mark.parametrize("state", [b"", b"[]", b"{", b'{"url": 1}', b"\xff"])
def test_a_damaged_state_starts_again(server: S3Server, tmp_path: Path, state: bytes) -> None:
    broken_off(server, tmp_path)
    (tmp_path / ".a.mp4.part.json").write_bytes(state)
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


@pytest.mark.parametrize("multipart", [False, True])
def test_bytes_lost_in_a_power_cut_are_noticed(
    server: S3Server, tmp_path: Path, multipart: bool
) -> None:
    content = VIDEO * 2
    if multipart:
        server.put_in_parts("uni", "a.mp4", [content[: 5 << 20], content[5 << 20 :]])
    else:
        server.put("uni", "a.mp4", content)
    broken_off(server, tmp_path)
    part = tmp_path / ".a.mp4.part"
    part.write_bytes(bytes(part.stat().st_size))
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == content


def test_missing_objects_are_told_from_other_failures(server: S3Server, tmp_path: Path) -> None:
    server.put("uni", "empty.mp4", b"")
    server.gate.keys["uni/sick.mp4"] = "InternalError"
    replies = fetch(tmp_path, "none.mp4", "sick.mp4", "empty.mp4", "a.mp4")
    assert {key: reply.reason for key, reply in replies.items()} == {
        "none.mp4": Reason.OBJECT_MISSING,
        "sick.mp4": Reason.SERVER_ERROR,
        "empty.mp4": Reason.NOT_MEDIA,
        "a.mp4": Reason.OK,
    }
    lost = Request("x", "s3://no-such-bucket/x.mp4", tmp_path / "x")
    (reply,) = client().fetch([lost], PROBE, threading.Event())
    assert reply.reason.state is State.FAILED  # a lost bucket does not prune its objects


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ExpiredToken", Reason.CREDENTIALS_EXPIRED),
        ("InvalidAccessKeyId", Reason.CREDENTIALS_EXPIRED),
        ("SignatureDoesNotMatch", Reason.CREDENTIALS_EXPIRED),
        ("AccessDenied", Reason.CREDENTIALS_EXPIRED),
        ("SlowDown", Reason.THROTTLED),
    ],
)
def test_a_refusal_of_everything_blocks_the_source(
    server: S3Server, tmp_path: Path, code: str, reason: Reason
) -> None:
    server.gate.all = code
    for call in (
        lambda: fetch(tmp_path, "a.mp4"),
        lambda: client().head("s3://uni/a.mp4", probe=PROBE),
        lambda: client().document(PROBE),
    ):
        with pytest.raises(Blocked) as caught:
            call()
        assert caught.value.reason is reason
        assert caught.value.remedy
    assert not (tmp_path / "a.mp4").exists()


def test_the_error_codes_of_moto_are_understood(server: S3Server) -> None:
    def after(actions: bytes) -> None:
        request = urllib.request.Request(
            f"{server.url}/moto-api/reset-auth", actions, {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request).close()

    after(b"0")
    try:
        with pytest.raises(Blocked) as caught:
            client().head(PROBE)
    finally:
        after(b"inf")
    assert caught.value.reason is Reason.CREDENTIALS_EXPIRED


def test_one_refused_object_does_not_close_the_source(server: S3Server, tmp_path: Path) -> None:
    server.put("uni", "b.mp4", VIDEO)
    server.gate.keys["uni/a.mp4"] = "AccessDenied"
    replies = fetch(tmp_path, "a.mp4", "b.mp4")
    assert replies["a.mp4"].reason is Reason.UNAUTHORIZED
    assert replies["b.mp4"].reason is Reason.OK
    assert server.requests["GET sharing/manifest.csv"] == 1
    with pytest.raises(Failure) as caught:
        client().head("s3://uni/a.mp4", probe=PROBE)
    assert caught.value.reason is Reason.UNAUTHORIZED


@pytest.mark.parametrize("vouched", [True, False])
def test_refusals_in_a_row_block_the_source_unless_the_keys_prove_valid(
    server: S3Server, tmp_path: Path, vouched: bool
) -> None:
    names = [f"{number}.mp4" for number in range(30)]
    server.gate.keys = {f"uni/{name}": "AccessDenied" for name in names}
    if vouched:
        server.put("uni", "z.mp4", VIDEO)
        found = {key: reply.reason for key, reply in fetch(tmp_path, *names, "z.mp4").items()}
        assert found == {**dict.fromkeys(names, Reason.UNAUTHORIZED), "z.mp4": Reason.OK}
        return
    server.gate.keys["sharing/manifest.csv"] = "InternalError"
    with pytest.raises(Blocked) as caught:
        fetch(tmp_path, *names)
    assert caught.value.reason is Reason.UNAUTHORIZED
    assert len([name for name in server.requests if name.startswith("GET")]) < 15


def test_objects_that_arrived_come_before_the_throttle(server: S3Server, tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(6)]
    for name in names:
        server.put("uni", name, name.encode())
    server.gate.keys["uni/3.mp4"] = "SlowDown"
    came = []
    requests = [Request(name, f"s3://uni/{name}", tmp_path / name) for name in names]
    with pytest.raises(Blocked) as caught:
        for reply in client(concurrency=2).fetch(requests, PROBE, threading.Event()):
            assert reply.reason is Reason.OK
            came.append(reply.key)
    assert caught.value.reason is Reason.THROTTLED
    assert {"0.mp4", "1.mp4"} <= set(came) <= {"0.mp4", "1.mp4", "2.mp4", "4.mp4"}
    assert all((tmp_path / name).read_bytes() == name.encode() for name in came)


def test_missing_keys_are_named(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for s3 in (client(), client(access_key=SecretStr("AKIAONLYHALF"))):
        with pytest.raises(Blocked) as caught:
            s3.document(PROBE)
        assert caught.value.reason is Reason.CREDENTIALS_MISSING
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Blocked) as caught:
        client().document(PROBE)
    assert caught.value.reason is Reason.CREDENTIALS_MISSING


def test_keys_come_from_the_config_or_the_usual_places(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    given = client(access_key=SecretStr(ACCESS_KEY), secret_key=SecretStr(SECRET_KEY))
    assert given.document(PROBE)
    profile = f"[default]\naws_access_key_id={ACCESS_KEY}\naws_secret_access_key={SECRET_KEY}\n"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(profile)
    assert client().document(PROBE)
    (tmp_path / ".aws/credentials").write_text("[default\nnot a profile")
    with pytest.raises(Blocked) as caught:
        client().document(PROBE)
    assert caught.value.reason is Reason.CREDENTIALS_MISSING


def test_a_document_is_sent_once(server: S3Server) -> None:
    document = client().document(PROBE)
    assert document is not None
    assert document.content == b"uid\n"
    assert client().document(PROBE, document.etag) is None
    server.put("sharing", "manifest.csv", b"uid,more\n")
    changed = client().document(PROBE, document.etag)
    assert changed is not None
    assert changed.content == b"uid,more\n"


def test_an_unreachable_server_is_the_networks_fault(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert fetch(tmp_path, "a.mp4", s3=client(attempts=2))["a.mp4"].reason is Reason.NETWORK


def test_no_more_is_fetched_than_the_consumer_has_room_for(
    server: S3Server, tmp_path: Path
) -> None:
    names = [f"{number}.mp4" for number in range(12)]
    for name in names:
        server.put("uni", name, b"x" * 1000)
    requests = [Request(name, f"s3://uni/{name}", tmp_path / name) for name in names]
    replies = client(concurrency=3).fetch(requests, PROBE, threading.Event())
    assert not server.requests
    for taken in range(1, 5):
        next(replies)
        time.sleep(0.1)
        assert sum(server.requests.values()) <= taken + 2
    replies.close()
    assert len(list(tmp_path.glob("*.mp4"))) <= 6


def test_closing_or_stopping_does_not_wait_for_the_end(server: S3Server, tmp_path: Path) -> None:
    server.put("uni", "b.mp4", b"small")
    server.gate.bandwidth = 800  # bytes a second: an hour for a.mp4
    requests = [Request(n, f"s3://uni/{n}", tmp_path / n) for n in ("b.mp4", "a.mp4")]
    replies = client().fetch(requests, PROBE, threading.Event())
    assert next(replies).key == "b.mp4"
    replies.close()
    before = server.sent["uni/a.mp4"]
    stop = stop_when(lambda: server.sent["uni/a.mp4"] > before)
    assert list(client().fetch(requests[1:], PROBE, stop)) == []
    assert server.sent["uni/a.mp4"] < len(VIDEO)
    assert not (tmp_path / "a.mp4").exists()


def test_names_too_long_for_the_disk_are_refused_alone(server: S3Server, tmp_path: Path) -> None:
    long = Request("long", "s3://uni/a.mp4", tmp_path / ("x" * 256))
    (reply,) = client().fetch([long], PROBE, threading.Event())
    assert reply.reason is Reason.UNSAFE_NAME


@pytest.mark.parametrize("url", ["", "s3://", "s3://uni", "s3://uni/", "http://uni/a", "s3://U!/a"])
def test_split_refuses_urls_without_an_object(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        split(url)


def test_no_secret_in_logs_or_messages(
    server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(fetch(tmp_path, "a.mp4", "none.mp4"))]
    for code in ("ExpiredToken", "AccessDenied", "SlowDown"):
        server.gate.all = code
        with pytest.raises(Blocked) as caught:
            client(access_key=SecretStr(ACCESS_KEY), secret_key=SecretStr(SECRET_KEY)).head(PROBE)
        said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    everything = " ".join([*said, *(record.getMessage() for record in caplog.records)])
    for secret in (ACCESS_KEY, SECRET_KEY, "Signature="):
        assert secret not in everything


_KILLED = """
import sys, threading
from pathlib import Path
from saco_data.transports.base import Policy, Request
from saco_data.transports.s3 import S3
request = Request("a", "s3://uni/a.mp4", Path(sys.argv[1]))
with S3(Policy()) as s3:
    for reply in s3.fetch([request], "s3://sharing/manifest.csv", threading.Event()):
        print(reply.reason)
"""


def test_killed_runs_end_with_the_same_bytes(server: S3Server, tmp_path: Path) -> None:
    dice = random.Random(7)
    content = dice.randbytes(8_000_000)
    server.put("uni", "a.mp4", content)
    server.gate.bandwidth = 4_000_000
    part, note = tmp_path / ".a.mp4.part", tmp_path / ".a.mp4.part.json"
    kills = 3
    for kill in range(kills):
        least = len(content) * (kill + dice.random()) / (kills + 1)
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path / "a.mp4")])
        # Without its note a part is not used.
        while process.poll() is None and not (note.exists() and part.stat().st_size > least):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "a.mp4").exists()
    server.gate.bandwidth = 0
    before, gets = len(server.conditions), server.requests["GET uni/a.mp4"]
    assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert (tmp_path / "a.mp4").read_bytes() == content
    ranges = [asked for _, asked, _ in server.conditions[before:] if asked]
    # It goes on from what was kept, not from the start of the file.
    assert len(ranges) == server.requests["GET uni/a.mp4"] - gets > 0
    assert all(int(each.removeprefix("bytes=").split("-")[0]) for each in ranges)


def test_the_production_address_is_what_users_reach(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with ConnectProxy({"*.amazonaws.com": forward(server.url)}) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
        assert proxy.requests[0].host == "uni.s3.amazonaws.com"
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


def test_a_bucket_is_followed_to_its_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean(monkeypatch, tmp_path)
    scopes: list[str] = []

    def answer(query: Query) -> Answer:
        scope = query.headers["Authorization"].partition("Credential=")[2].split("/")[2]
        scopes.append(scope)
        if scope == "eu-west-1":
            return Answer(VIDEO)
        body = b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"
        return Answer(body, 400, {"x-amz-bucket-region": "eu-west-1"})

    with FileServer() as server:
        server.route("/", answer)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        assert fetch(tmp_path, "a.mp4")["a.mp4"].reason is Reason.OK
    assert scopes == ["us-east-1", "eu-west-1"]
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


def test_any_key_is_found(server: S3Server, tmp_path: Path) -> None:
    key = "a b/../+c%2F?d#e \u00e9.mp4"
    server.put("uni", key, VIDEO)
    (reply,) = client().fetch(
        [Request("odd", f"s3://uni/{key}", tmp_path / "odd")], PROBE, threading.Event()
    )
    assert reply.reason is Reason.OK
    assert reply.origin == f"s3://uni/{key}"


def test_a_wrong_clock_is_named() -> None:
    late = {"Date": email.utils.formatdate(time.time() + 3600)}
    failure = refusal(403, late, b"<Error><Code>RequestTimeTooSkewed</Code></Error>")
    assert failure.reason is Reason.UNAUTHORIZED
    assert "60 minutes behind" in failure.what
