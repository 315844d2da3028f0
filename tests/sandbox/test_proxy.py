"""The CONNECT proxy as real clients meet it: their production URLs, a throw-away authority."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from saco_data.sandbox.proxy import ConnectProxy, Request, Reset, Response, forward

CONTENT = bytes(range(256)) * 4096


class _Upstream(BaseHTTPRequestHandler):
    """A plain-http server that honours ranges, echoes posts and can stop half-way."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.close_connection = True
            return
        start, stop = 0, len(CONTENT)
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else stop
        self.send_response(206 if wanted else 200)
        self.send_header("X-Path", self.path)
        self.send_header("X-Host", self.headers["Host"])
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(CONTENT[start:stop])

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 1000):
            piece = body[start : start + 1000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


def _cut(request: Request) -> Response:
    def body() -> Iterator[bytes]:
        yield b"x" * 100
        raise Reset

    return Response(200, [("Content-Length", "1000")], body())


def _hello(request: Request) -> Response:
    return Response(200, [("X-Agent", request.headers["User-Agent"] or "")], request.host.encode())


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(upstream: str) -> Iterator[ConnectProxy]:
    handlers = {
        "api.example.org": forward(upstream),
        "deep.example.org": forward(f"{upstream}/prefix/"),
        "cut.example.org": _cut,
        "*.example.com": _hello,
        "gone.example.org": forward("http://127.0.0.1:9"),
    }
    with ConnectProxy(handlers) as proxy:
        yield proxy


@pytest.fixture
def session(proxy: ConnectProxy) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": proxy.url, "http": proxy.url}
        session.verify = str(proxy.ca_file)
        yield session


def test_handler_is_chosen_by_host_and_wildcard(
    session: requests.Session, proxy: ConnectProxy
) -> None:
    assert session.get("https://a.example.com/x").text == "a.example.com"
    assert session.get("https://b.c.example.com/x").text == "b.c.example.com"
    assert session.get("http://plain.example.com/y?z=1").text == "plain.example.com"
    assert [(r.host, r.method, r.path) for r in proxy.requests] == [
        ("a.example.com", "GET", "/x"),
        ("b.c.example.com", "GET", "/x"),
        ("plain.example.com", "GET", "/y?z=1"),
    ]
    assert proxy.requests[0].time <= proxy.requests[1].time
    assert proxy.unknown == []


def test_unknown_host_is_refused_and_noted(session: requests.Session, proxy: ConnectProxy) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        session.get("https://example.net/")
    assert session.get("http://example.net/").status_code == 502
    assert proxy.unknown == ["example.net", "example.net"]


def test_a_client_that_does_not_know_the_authority_refuses(proxy: ConnectProxy) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://a.example.com/", proxies={"https": proxy.url}, timeout=10)


def test_forward_streams_whole_and_ranged_bodies(session: requests.Session) -> None:
    whole = session.get("https://api.example.org/file?a=%20b")
    assert whole.content == CONTENT
    assert whole.headers["X-Path"] == "/file?a=%20b"
    assert whole.headers["X-Host"] == "api.example.org"
    assert whole.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    part = session.get("https://api.example.org/file", headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    head = session.head("https://api.example.org/file")
    assert (head.headers["Content-Length"], head.content) == (str(len(CONTENT)), b"")
    assert session.get("https://deep.example.org/file").headers["X-Path"] == "/prefix/file"


@pytest.mark.parametrize("chunked", [False, True])
def test_forward_streams_uploads(session: requests.Session, chunked: bool) -> None:
    pieces = [CONTENT[start : start + 10_000] for start in range(0, 200_000, 10_000)]
    data = iter(pieces) if chunked else b"".join(pieces)
    answer = session.post("https://api.example.org/echo", data=data)
    assert (answer.status_code, answer.content) == (201, CONTENT[:200_000])


def test_body_cut_by_handler_or_upstream_never_looks_complete(session: requests.Session) -> None:
    for url in ("https://cut.example.org/", "https://api.example.org/short"):
        with pytest.raises(requests.exceptions.RequestException) as caught:
            session.get(url)
        assert isinstance(
            caught.value,
            requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError,
        )
    assert session.get("https://api.example.org/after").content == CONTENT


def test_unreachable_upstream_is_502(session: requests.Session) -> None:
    assert session.get("https://gone.example.org/").status_code == 502


def test_connection_is_kept_alive(session: requests.Session, proxy: ConnectProxy) -> None:
    for number in range(20):
        # An upload that the handler leaves unread must not be taken for the next request.
        assert session.post(f"https://a.example.com/{number}", data=b"y" * 70_000).ok
    assert len(proxy.requests) == 20
    # One connection: the client's socket to the proxy, and the tunnel inside it.
    assert len(proxy._server.connections) == 2


def test_aiohttp_takes_it_from_the_environment(
    proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp

    for name, value in proxy.environment.items():
        monkeypatch.setenv(name, value)

    async def fetch() -> list[bytes]:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        async with aiohttp.ClientSession(trust_env=True, connector=connector) as client:

            async def one(number: int) -> bytes:
                headers = {"Range": f"bytes={number}-{number + 9}"}
                async with client.get("https://api.example.org/f", headers=headers) as answer:
                    return await answer.read()

            return await asyncio.gather(*(one(number) for number in range(60)))

    assert asyncio.run(fetch()) == [CONTENT[number : number + 10] for number in range(60)]


def test_a_child_process_needs_only_the_environment(proxy: ConnectProxy) -> None:
    code = "import requests; print(requests.get('https://a.example.com/').text)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **proxy.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "a.example.com\n", done.stderr


def test_boto3_reaches_production_addresses(
    proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    for name, value in proxy.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key"
    )
    proxy.handlers["*.s3.amazonaws.com"] = proxy.handlers["api.example.org"]
    answer = client.get_object(Bucket="some-bucket", Key="a/b.mp4", Range="bytes=5-9")
    assert answer["Body"].read() == CONTENT[5:10]
    assert (proxy.requests[-1].host, proxy.requests[-1].path) == (
        "some-bucket.s3.amazonaws.com",
        "/a/b.mp4",
    )


def test_leaving_closes_open_connections(upstream: str) -> None:
    before = threading.active_count()
    with (
        ConnectProxy({"api.example.org": forward(upstream)}) as proxy,
        requests.Session() as client,
    ):
        client.proxies = {"https": proxy.url}
        assert client.get("https://api.example.org/x", verify=str(proxy.ca_file)).ok
        folder = proxy.ca_file.parent
    assert not folder.exists()
    for thread in threading.enumerate():
        if thread.name.startswith("Thread") and "process_request" in thread.name:
            thread.join(5)
    assert threading.active_count() <= before + 1


def test_forward_refuses_what_is_no_plain_http_server() -> None:
    with pytest.raises(ValueError, match="not a plain-http server"):
        forward("https://example.org")
