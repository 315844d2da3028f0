"""Production addresses through the environment's proxy and its authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import FileServer
from saco_data.transports.base import Policy, Reply, Request
from saco_data.transports.http import Http

proxy = pytest.importorskip("saco_data.sandbox.proxy")
URL = "https://api.nga.gov/iiif/some-uuid/full/full/0/default.jpg"
BODY = bytes(range(256)) * 4000


def fetch(to: Path) -> Reply:
    with Http(Policy(attempts=1)) as http:
        (reply,) = http.fetch([Request("a", URL, to)])
    return reply


def test_https_goes_through_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileServer({"/iiif/some-uuid/full/full/0/default.jpg": BODY}) as server:
        handlers = {"api.nga.gov": proxy.forward(server.url)}
        with proxy.ConnectProxy(handlers) as connect:
            for name, value in connect.environment.items():
                monkeypatch.setenv(name, value)
            reply = fetch(tmp_path / "a.jpg")
        assert sum(server.requests.values()) == 1
    assert (reply.reason, reply.detail) == (Reason.OK, "")
    assert (tmp_path / "a.jpg").read_bytes() == BODY


def test_an_unknown_authority_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer() as server:
        handlers = {"api.nga.gov": proxy.forward(server.url)}
        with proxy.ConnectProxy(handlers) as connect:
            for name, value in connect.environment.items():
                if "PROXY" in name.upper():
                    monkeypatch.setenv(name, value)
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                monkeypatch.delenv(name, raising=False)
            reply = fetch(tmp_path / "a.jpg")
        assert not server.requests
    assert reply.reason is Reason.NETWORK
    assert "certificate" in reply.detail
    assert not (tmp_path / "a.jpg").exists()
