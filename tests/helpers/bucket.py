"""The bucket on loopback of the fixture `bucket_server`, for prepared files."""

from __future__ import annotations

import contextlib
import time
from typing import Self

from werkzeug.serving import BaseWSGIServer, make_server

from saco_data.sandbox.s3 import S3Server
from saco_data.sandbox.threads import serve_in_thread

BUCKET = "prepared"
PLACE = f"s3://{BUCKET}/silver"
GOOGLE_PLACE = f"gs://{BUCKET}/silver"


class Door:
    """Another address of a server, which can be closed and opened again; objects stay."""

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._port = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address, the same after each opening."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Serves from now on."""
        serving = self._make()
        self._port = serving.server_port
        self._stack.enter_context(serve_in_thread(serving))

    def _make(self) -> BaseWSGIServer:
        for _ in range(100):
            # While it is closed, a connection of another process may have its port for a moment:
            # werkzeug exits then.
            with contextlib.suppress(SystemExit):
                return make_server("127.0.0.1", self._port, self._server._answer, threaded=True)
            time.sleep(0.1)
        raise AssertionError(f"port {self._port} stays taken")

    def close(self) -> None:
        """Refuses connections from now on."""
        self._stack.close()
