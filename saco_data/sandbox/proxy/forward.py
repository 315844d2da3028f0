"""A handler that passes requests on to a plain-http server."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

from saco_data.sandbox.proxy.messages import Handler, Request, Reset, Response

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
