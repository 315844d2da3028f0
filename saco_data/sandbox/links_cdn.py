"""Archives behind signed links that expire, as Meta's CDN serves them, and their links file."""

from __future__ import annotations

import hashlib
import time

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.http_server.server import Answer, Query

DAYS = 20 * 86400


class LinksCdn:
    """Serves archives only to links that it signed last, and writes the links file.

    `prefix`: of the paths of its archives. `expire_after`: the links expire after so many more
    requests for archives; None: they last. `secret`: begins the signatures of the links to come.
    """

    def __init__(self, server: FileServer, prefix: str = "/links/") -> None:
        self.server = server
        self.prefix = prefix
        self.contents: dict[str, bytes] = {}
        self.expire_after: int | None = None
        self.secret = ""
        self._number = 1
        server.route(prefix, self._answer)

    def offer(self, name: str, content: bytes) -> None:
        """Offers an archive."""
        self.contents[name] = content

    def renew(self) -> bytes:
        """New links: the content of the links file. Earlier links are no longer valid."""
        self._number += 1
        self.expire_after = None
        checksums = "".join(
            f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {name}\n"
            for name, content in self.contents.items()
        )
        self.server.files["/sums/sav_md5sum.chk"] = checksums.encode()
        rows = [("file_name", "cdn_link")]
        rows += [(name, self._link(name)) for name in self.contents]
        rows.append(("sav_md5sum.chk", f"{self.server.url}/sums/sav_md5sum.chk"))
        return "".join("\t".join(row) + "\n" for row in rows).encode()

    @property
    def _signature(self) -> str:
        return f"{self.secret}{self._number}"

    def _link(self, name: str) -> str:
        until = int(time.time()) + DAYS
        return f"{self.server.url}{self.prefix}{name}?oh={self._signature}&oe={until:08X}"

    def _answer(self, query: Query) -> Answer | None:
        content = self.contents.get(query.path.removeprefix(self.prefix))
        if content is None:
            return None
        if self.expire_after is not None:
            self.expire_after -= 1
        has_expired = self.expire_after is not None and self.expire_after < 0
        if has_expired or query.query.get("oh") != self._signature:
            return Answer(b"URL signature expired", 403)
        return Answer(content)
