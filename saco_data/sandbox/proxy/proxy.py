"""The proxy: its certificates, its handlers, and the variables that lead clients to it."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from saco_data.sandbox.proxy.exchange import Exchange, Server
from saco_data.sandbox.proxy.messages import Handler, Request
from saco_data.sandbox.threads import serve_in_thread


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

        self._stack = contextlib.ExitStack()
        folder = Path(
            self._stack.enter_context(
                tempfile.TemporaryDirectory(prefix="saco-proxy-", ignore_cleanup_errors=True)
            )
        )
        self.ca_file = folder / "ca.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self._server = Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self._boto = folder / "boto.cfg"
        self._boto.write_text(
            "[Boto]\n"
            f"proxy = 127.0.0.1\nproxy_port = {port}\nca_certificates_file = {self.ca_file}\n"
            f"[GSUtil]\nstate_dir = {folder}\n"
        )
        self._stack.enter_context(serve_in_thread(self._server))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

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
