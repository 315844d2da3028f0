"""A CONNECT proxy on loopback that answers for any HTTPS host: real clients run unmodified.

The proxy ends the TLS connection itself, with a certificate of a throw-away authority, and hands
each request to the handler of its host name. A host without a handler is refused with 502 and
noted: nothing leaves the machine.

    with ConnectProxy({"api.nga.gov": forward("http://127.0.0.1:1234")}) as proxy:
        subprocess.run([...], env={**os.environ, **proxy.environment})
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import socketserver
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


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


class ConnectProxy:
    """The proxy; a context manager.

    `handlers` maps a host name, or `*.suffix` for all names below one, to its handler. `requests`
    logs every request in order of arrival, `unknown` every host that was refused.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = dict(handlers)
        self.requests: list[Request] = []
        self.unknown: list[str] = []
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        import trustme

        self._folder = Path(tempfile.mkdtemp(prefix="saco-proxy-"))
        self.ca_file = self._folder / "ca.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self._server = _Server(("127.0.0.1", 0), _Exchange)
        self._server.proxy = self
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self._boto = self._folder / "boto.cfg"
        self._boto.write_text(
            "[Boto]\n"
            f"proxy = 127.0.0.1\nproxy_port = {port}\nca_certificates_file = {self.ca_file}\n"
            f"[GSUtil]\nstate_dir = {self._folder}\n"
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that send requests, aiohttp, boto3, yt-dlp, gsutil... through this proxy."""
        authority = str(self.ca_file)
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE")
        result = dict.fromkeys((*names, "HTTPLIB2_CA_CERTS"), authority)
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            result[name] = result[name.lower()] = self.url
        result["NO_PROXY"] = result["no_proxy"] = "127.0.0.1,localhost"
        result["BOTO_CONFIG"] = str(self._boto)
        return result

    def handler_of(self, host: str) -> Handler | None:
        """The handler of a host name, or None (the host is then noted as unknown)."""
        handler = self.handlers.get(host)
        parent = host
        while handler is None and "." in parent:
            parent = parent.split(".", 1)[1]
            handler = self.handlers.get(f"*.{parent}")
        if handler is None:
            self.unknown.append(host)
        return handler

    def context_of(self, host: str) -> ssl.SSLContext:
        """The server side of TLS for a host, made once."""
        with self._lock:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.set_alpn_protocols(["http/1.1"])
                self._authority.issue_cert(host).configure_cert(context)
                self._contexts[host] = context
            return self._contexts[host]


def forward(target: str) -> Handler:
    """A handler that passes requests on to a plain-http server such as `http://127.0.0.1:1234`.

    A path in `target` goes before the request's. Bodies stream both ways; Host, ranges and all
    other end-to-end headers arrive as they were sent. An unreachable server is answered with 502.
    """
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"not a plain-http server: {target!r}")

    def handle(request: Request) -> Response:
        upstream = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=300)
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        has_body = chunked or "Content-Length" in request.headers
        try:
            upstream.putrequest(
                request.method,
                parts.path.rstrip("/") + request.path,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in request.headers.items():
                if name.lower() not in _HOP_BY_HOP | {"expect"}:
                    upstream.putheader(name, value)
            if chunked:
                upstream.putheader("Transfer-Encoding", "chunked")
            upstream.endheaders(request.body if has_body else None, encode_chunked=chunked)
            answer = upstream.getresponse()
        except (OSError, http.client.HTTPException) as error:
            upstream.close()
            return Response(502, (), f"{type(error).__name__}: {error}".encode())
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP]
        return Response(answer.status, headers, _upstream_body(upstream, answer))

    return handle


def _upstream_body(
    upstream: http.client.HTTPConnection, answer: http.client.HTTPResponse
) -> Iterator[bytes]:
    # A body that ends early upstream must end early here too, not look complete.
    with contextlib.closing(upstream):
        wanted = answer.length
        try:
            while piece := answer.read1(_CHUNK):
                wanted = None if wanted is None else wanted - len(piece)
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise Reset from error
        if wanted:
            raise Reset


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    proxy: ConnectProxy

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: set[socket.socket] = set()

    def server_close(self) -> None:
        super().server_close()
        # Kept-alive connections would hold their threads for ever.
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    """The requests of one connection; after CONNECT, those inside its tunnel to `host`."""

    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = _CHUNK
    server: _Server
    host = ""

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in the proxy's own log."""

    def __getattr__(self, name: str) -> Any:
        # The base class looks for do_GET, do_PUT...: every method but CONNECT is answered alike.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def do_CONNECT(self) -> None:
        host = self.path.rsplit(":", 1)[0].strip("[]").lower()
        self.close_connection = True
        if self.server.proxy.handler_of(host) is None:
            self._send(Response(502, (), b"unknown host"))
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        context = self.server.proxy.context_of(host)
        inner = type("_Inner", (_Exchange,), {"host": host})
        with contextlib.suppress(OSError), context.wrap_socket(self.connection, True) as tunnel:
            inner(tunnel, self.client_address, self.server)

    def _answer(self) -> None:
        host, path = self.host, self.path
        if not host:  # a plain-http request names its server in the request line
            parts = urlsplit(path)
            host = (parts.hostname or "").lower()
            path = parts._replace(scheme="", netloc="").geturl() or "/"
        body = _request_body(self.rfile, self.headers)
        request = Request(host, self.command, path, self.headers, time.monotonic(), body)
        self.server.proxy.requests.append(request)
        handler = self.server.proxy.handler_of(host)
        try:
            self._send(handler(request) if handler else Response(502, (), b"unknown host"))
            for _ in body:  # what the handler left unread stands before the next request
                pass
        except Reset:
            self.close_connection = True
            # Lingering for zero seconds: closing then sends a reset, not a polite end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _send(self, response: Response) -> None:
        headers = list(response.headers)
        body = response.body
        pieces: Iterable[bytes] = [body] if isinstance(body, bytes) else body
        chunked = False
        if self.command == "HEAD" or response.status in (204, 304):
            pieces = ()
        elif not any(name.lower() == "content-length" for name, _ in headers):
            chunked = not isinstance(body, bytes)
            length = ("Content-Length", str(len(body))) if isinstance(body, bytes) else None
            headers.append(length or ("Transfer-Encoding", "chunked"))
        self.send_response_only(response.status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        for piece in filter(None, pieces):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def _request_body(stream: Any, headers: Message) -> Iterator[bytes]:
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        while size := int(stream.readline().split(b";")[0], 16):
            yield stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
        return
    left = int(headers.get("Content-Length") or 0)
    while left and (piece := stream.read(min(left, _CHUNK))):
        left -= len(piece)
        yield piece
