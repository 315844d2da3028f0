"""What differs between services on HTTP: signatures, error codes, digests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from yarl import URL

from saco_data.transports.http import addresses, content, outcome
from saco_data.transports.http.failure import RequestFailure

if TYPE_CHECKING:
    from saco_data.transports.http.session import Session


class Service:
    """A plain web server. Services with keys or error codes of their own override methods."""

    # The header that makes a range conditional: a changed file is answered by its whole content.
    range_condition = "If-Range"

    def parse_address(self, text: str) -> URL:
        """The address of a file, without secrets. Raises RequestFailure for an unusable one."""
        return addresses.parse_address(text)

    def host_of(self, url: URL) -> str:
        """The name under which the requests for `url` are counted and spaced."""
        return f"{url.host}:{url.port}"

    async def sign(self, url: URL, method: str) -> tuple[URL, Mapping[str, str]]:
        """The URL to request for an address, and headers that open it; for each request anew.

        Raises RequestFailure where there is nothing to sign with.
        """
        return url, {}

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, asked: URL, answered: URL
    ) -> RequestFailure:
        """The failure behind a status that is a refusal; see `outcome.refusal`.

        `asked`: the address, not signed.
        """
        return outcome.refusal(status, headers, body, asked, answered)

    def announced_digests(self, headers: Mapping[str, str], *, whole: bool) -> dict[str, bytes]:
        """The digests of the whole file by name; `whole`: the answer's body is all of it."""
        return content.announced_digests(headers, whole=whole)

    async def check_resumed(self, session: Session, url: URL, etag: str, file: int) -> None:
        """Checks a complete file that an earlier process began, beyond the announced digests.

        `file`: its descriptor. Raises RequestFailure (with `restart`) if its bytes are wrong.
        """
