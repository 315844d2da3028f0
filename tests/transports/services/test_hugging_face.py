"""The Hugging Face Hub through its own library: right bytes, plain words, no secrets."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer
from saco_data.sandbox.hub import HuggingFace
from saco_data.transports.services.hugging_face import Found, Hub, matches
from tests.helpers.web import production

NAME = "silver_nga_art_merged_test.json"
DATASET = "facebook/SACo-Silver"
CONTENT = b'{"images": []}' * 5000
SECRET = "hf_very_secret_token"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token and no cache of the one who runs the tests."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("HF_TOKEN_PATH", "HF_HUB_CACHE"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(tmp_path / "none"))


def test_a_file_arrives_whole_with_its_revision(tmp_path: Path, server: FileServer) -> None:
    dataset = HuggingFace(DATASET, {NAME: CONTENT}, token=SECRET)
    hub = Hub(DATASET, dataset.mount(server), SECRET)
    found = hub.look(NAME)
    assert found == Found(dataset.revision, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert hub.fetch(NAME, found, tmp_path / "to").read_bytes() == CONTENT


@pytest.mark.parametrize("token", [None, "hf_a_wrong_token"])
def test_a_gated_dataset_says_what_to_do(server: FileServer, token: str | None) -> None:
    endpoint = HuggingFace(DATASET, {NAME: CONTENT}, token=SECRET).mount(server)
    with pytest.raises(Blocked) as caught:
        Hub(DATASET, endpoint, token).look(NAME)
    assert caught.value.reason is Reason.UNAUTHORIZED
    text = str(caught.value)
    assert f"https://huggingface.co/datasets/{DATASET}, then set HF_TOKEN" in text
    assert "hf_" not in text


def test_a_missing_file_is_not_retried(server: FileServer) -> None:
    endpoint = HuggingFace(DATASET, {}).mount(server)
    with pytest.raises(Blocked, match="no such file"):
        Hub(DATASET, endpoint, None).look(NAME)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.UNAVAILABLE,
        Fault.RESET,
        Fault.SHORT_BODY,
        Fault.WRONG_LENGTH,
        Fault.WRONG_BYTES,
        Fault.HTML,
    ],
)
def test_faults_are_retried_or_reported_and_leave_no_wrong_file(
    tmp_path: Path, server: FileServer, fault: Fault
) -> None:
    endpoint = HuggingFace(DATASET, {NAME: CONTENT}).mount(server)
    hub = Hub(DATASET, endpoint, None)
    found = hub.look(NAME)
    # The first requests for the revision itself: its HEAD and its GET.
    server.faults = Faults((fault,), probability=1, first=2)
    for _ in range(3):
        try:
            assert hub.fetch(NAME, found, tmp_path / "to").read_bytes() == CONTENT
            return
        except Incomplete:
            assert not (tmp_path / "to" / NAME).exists()
    pytest.fail("three runs were not enough")


def test_without_a_network_only_the_first_file_is_asked_for() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub = Hub(DATASET, f"http://127.0.0.1:{unused.getsockname()[1]}", None)
        for name in ("a.json", "b.json", "c.json"):
            with pytest.raises(Incomplete, match="cannot be reached") as caught:
                hub.look(name)
            assert name in str(caught.value)
            unused.listen()  # from now on a request would be seen
        unused.setblocking(False)
        with pytest.raises(BlockingIOError):
            unused.accept()


def test_a_server_that_is_not_a_hub_is_reported(server: FileServer) -> None:
    server.route("/", lambda query: Answer(b"hello"))
    with pytest.raises(Incomplete, match="not a Hugging Face Hub"):
        Hub(DATASET, server.url, None).look(NAME)


def test_git_digests_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"hello\n")
    assert matches(path, Found("", "ce013625030ba8dba906f756967f9e9ca394464a", None))
    assert not matches(path, Found("", "ce013625030ba8dba906f756967f9e9ca394464b", 6))


@pytest.mark.parametrize(("size", "same"), [(6, True), (7, False), (None, True)])
def test_with_a_digest_of_another_kind_the_size_decides(
    tmp_path: Path, size: int | None, same: bool
) -> None:
    (tmp_path / "f").write_bytes(b"hello\n")
    assert matches(tmp_path / "f", Found("", "0123456789abcdef0123456789abcdef", size)) is same


def test_a_network_that_fails_in_between_is_not_a_missing_file(tmp_path: Path) -> None:
    with FileServer() as server:
        hub = Hub(DATASET, HuggingFace(DATASET, {NAME: CONTENT}).mount(server), None)
        found = hub.look(NAME)
    with pytest.raises(Incomplete, match="cannot be reached"):
        hub.fetch(NAME, found, tmp_path / "to")


def test_the_production_address_of_the_hub(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = HuggingFace(DATASET, {NAME: CONTENT}, token=SECRET)
    dataset.mount(server)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with production(server, "huggingface.co") as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        _new_client()
        hub = Hub(DATASET, None, None)
        path = hub.fetch(NAME, hub.look(NAME), tmp_path / "to")
    _new_client()
    assert path.read_bytes() == CONTENT
    assert server.requests[f"/datasets/{DATASET}/resolve/main/{NAME}"] >= 1


def _new_client() -> None:
    """The library reads the proxy's environment when it makes its client."""
    huggingface_hub.close_session()


def test_signed_addresses_are_logged_without_their_query(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    caplog.set_level(logging.WARNING, "huggingface_hub")
    logger = logging.getLogger("huggingface_hub.file_download")
    logger.warning("Error while downloading from %s: %s", "https://a/b?Signature=s3cret", "reset")
    assert "https://a/b reset" in caplog.text
    assert "s3cret" not in caplog.text
