"""A forward proxy for plain HTTP on loopback, which asks for a password."""

from __future__ import annotations

import base64
import shutil
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from saco_data.sandbox.threads import serve_in_thread


class PasswordProxy:
    """A context manager. `requests` counts what it forwarded by path; `refused`, what it did not.

    `url`: with user and password, as a client needs it.
    """

    def __init__(self, user: str, password: str) -> None:
        self.requests: Counter[str] = Counter()
        self.refused = 0
        self._user, self._password = user, password
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        proxy = self
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        class Forward(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Proxy-Authorization") != wanted:
                    proxy.refused += 1
                    self.send_error(407)
                    return
                proxy.requests[self.path.partition("?")[0].split("/", 3)[-1]] += 1
                kept = {
                    name: value
                    for name, value in self.headers.items()
                    if not name.lower().startswith(("proxy-", "connection"))
                }
                asked = urllib.request.Request(self.path, headers=kept, method=self.command)
                try:
                    answer = direct.open(asked)
                except urllib.error.HTTPError as error:
                    answer = error
                with answer:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    shutil.copyfileobj(answer, self.wfile, 1 << 12)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                """Requests are counted, not printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        self._serving = serve_in_thread(self._server)
        self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return f"http://{self._user}:{self._password}@127.0.0.1:{self._server.server_port}"
