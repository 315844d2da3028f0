"""The proxy's side of a connection: CONNECT, TLS, and the requests inside the tunnel."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from saco_data.sandbox.proxy.messages import Request, Reset, Response

if TYPE_CHECKING:
    from saco_data.sandbox.proxy.proxy import ConnectProxy

_CHUNK = 1 << 16


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One thread a connection; `proxy` finds the handlers and the certificates."""

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
        """Prints the error of a handler; a client that closed its connection is not one."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Exchange(BaseHTTPRequestHandler):
    """The requests of one connection; after CONNECT, those inside its tunnel to `host`."""

    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = _CHUNK
    server: Server
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
        inner = type("_Inner", (Exchange,), {"host": host})
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
            for _ in body:  # unread content would be taken for the next request
                pass
        except Reset:
            self.close_connection = True
            # Lingering for zero seconds: closing then sends a reset, not a normal end.
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
