"""The real `ego4d` CLI against moto: what counts is what it leaves, not how it exits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from saco_data.model.errors import UsageError
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from saco_data.transports.official import processes
from saco_data.transports.official.ego4d_cli import Ego4dCli, accepts, unknown_in
from tests.helpers.stopping import stop_when

CLIP = os.urandom(300_000)
MANIFEST = "file_uid,canonical_s3_location,type\n" + "".join(
    f"{uid},s3://uni/{uid}.mp4,mp4\n" for uid in ("aa", "bb", "lost", "barred")
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    objects = {"aa.mp4": CLIP, "bb.mp4": CLIP[::-1], "barred.mp4": CLIP}
    with S3Server({"uni": objects}) as s3:
        for name in ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED"):
            monkeypatch.setenv(name, s3.environment[name])
        (tmp_path / "manifest.csv").write_text(MANIFEST)
        yield s3


def cli() -> Ego4dCli:
    return Ego4dCli(access_key=SecretStr(ACCESS_KEY), secret_key=SecretStr(SECRET_KEY))


def test_the_files_count_and_not_the_exit_status(server: S3Server, tmp_path: Path) -> None:
    server.gate.keys["uni/barred.mp4"] = "AccessDenied"
    uids = ["aa", "nowhere", "bb", "lost", "barred"]
    leftover = tmp_path / "out/v1/clips/lost.mp4"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"of a killed run")
    result = cli().fetch(uids, tmp_path / "out", tmp_path / "manifest.csv", threading.Event())
    assert result.unknown == {"nowhere"}
    assert {uid: path.read_bytes() for uid, path in result.arrived.items()} == {
        "aa": CLIP,
        "bb": CLIP[::-1],
    }
    assert result.status == 0  # with two files missing: that is why it is not believed
    assert not (tmp_path / "home/.aws").exists()


def test_the_users_own_profile_is_used(server: S3Server, tmp_path: Path) -> None:
    profile = f"[default]\naws_access_key_id={ACCESS_KEY}\naws_secret_access_key={SECRET_KEY}\n"
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/credentials").write_text(profile)
    result = Ego4dCli().fetch(
        ["aa"], tmp_path / "out", tmp_path / "manifest.csv", threading.Event()
    )
    assert result.arrived["aa"].read_bytes() == CLIP


def test_expired_keys_leave_nothing_and_no_secret_is_shown(
    server: S3Server, tmp_path: Path
) -> None:
    server.gate.all = "ExpiredToken"
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = cli().fetch(["aa"], tmp_path / "out", tmp_path / "manifest.csv", threading.Event())
    done.set()
    watcher.join()
    assert result.status != 0
    assert result.arrived == {}
    assert result.said
    assert any("--video_uid_file" in command for command in seen)
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in " ".join(seen) + repr(result)
        assert not [
            path
            for path in tmp_path.rglob("*")
            if path.is_file() and secret.encode() in path.read_bytes()
        ]


def test_a_stop_ends_the_client(server: S3Server, tmp_path: Path) -> None:
    server.gate.bandwidth = 100  # bytes a second: an hour for the file
    stop = stop_when(lambda: server.sent["uni/aa.mp4"] > 0)
    result = cli().fetch(["aa"], tmp_path / "out", tmp_path / "manifest.csv", stop)
    assert server.sent["uni/aa.mp4"] < len(CLIP)
    assert result.arrived == {}


@pytest.mark.parametrize("uid", ["-y", "A", "", "a b", "a\nb", "../x", "ä"])
def test_uids_that_the_cli_does_not_accept_are_refused(uid: str, tmp_path: Path) -> None:
    assert not accepts(uid)
    with pytest.raises(ValueError, match="accept"):
        Ego4dCli().fetch([uid], tmp_path / "out", tmp_path / "m.csv", threading.Event())


def test_unknown_uids_are_read_from_the_last_line() -> None:
    assert unknown_in("Traceback:\nRuntimeError: not found:\n{'a', 'b'}\n") == {"a", "b"}
    for text in ("", "{}", "{'a': 1}", "{1, 2}", "{__import__('os')}", "{" * 5000, "{'a'"):
        assert unknown_in(text) == frozenset()


@given(st.text())
def test_any_output_is_handled(text: str) -> None:
    assert all(isinstance(uid, str) for uid in unknown_in("{" + text))


def test_a_client_that_is_not_installed_is_reported() -> None:
    with pytest.raises(UsageError, match="\\[official\\]"):
        processes.find("no-such-client")
