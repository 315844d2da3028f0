"""The body of a small answer in memory: such a file is written once, without a part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from saco_data.transports.http.failure import RequestFailure


class Held:
    """What has arrived of a body. `failure`: how it broke off, None if it did not."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.failure: RequestFailure | None = None
        self.bytes = 0
        self._pieces = pieces
        self._held: list[bytes] = []

    async def fill(self, seconds: float) -> bool:
        """Whether the whole body has arrived; stops at a failure, or when the time is up."""
        until = asyncio.get_running_loop().time() + seconds
        try:
            async for piece in self._pieces:
                self._held.append(piece)
                self.bytes += len(piece)
                if asyncio.get_running_loop().time() > until:
                    return False
        except RequestFailure as failure:
            self.failure = failure
            return False
        return True

    def join(self) -> bytes:
        """All that has arrived."""
        return b"".join(self._held)

    async def rest(self) -> AsyncIterator[bytes]:
        """All that has arrived, then what is still to come. Raises the failure where it was."""
        for piece in self._held:
            yield piece
        self._held = []
        if self.failure:
            raise self.failure
        async for piece in self._pieces:
            yield piece
