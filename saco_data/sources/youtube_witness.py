"""Whether YouTube's "not available" is true: addresses that it blocks are told so too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Asset

if TYPE_CHECKING:
    from saco_data.transports.base import Reply
    from saco_data.transports.youtube.session import YoutubeSession

MAX_ASKED = 3  # videos known good, one of which must play
MAX_HELD = 5  # gone videos that are held back until another one plays


class Witness:
    """Holds replies "gone" back until a video has played in this session.

    A video that this run has fetched is the witness; before the first one, videos that an earlier
    run has fetched are asked for. Where no video ever played, nothing is held back: the engine
    believes no such source. `known`: facts of videos by id, from the ledger.
    """

    def __init__(
        self, session: YoutubeSession, watch: str, known: Mapping[str, dict[str, Any]]
    ) -> None:
        self._session = session
        self._watch = watch
        self._good = [key for key, facts in known.items() if facts.get("frames")]
        self._plays = not self._good
        self._gone_in_a_row = 0
        self._held: list[tuple[Asset, Reply]] = []

    def judge(self, asset: Asset, reply: Reply) -> list[tuple[Asset, Reply]]:
        """The replies that can be believed now. Raises Blocked if the address seems blocked."""
        if reply.reason is Reason.OK:
            self._plays, self._gone_in_a_row = True, 0
            held, self._held = self._held, []
            return [*held, (asset, reply)]
        if reply.reason.state is not State.GONE:
            return [(asset, reply)]
        self._gone_in_a_row += 1
        if self._good and self._gone_in_a_row > MAX_HELD:
            # An address may be blocked in the middle of a run.
            self._plays, self._gone_in_a_row = False, 1
        if not self._plays and not self._held:
            self._plays = self._does_a_good_one_play(asset.key)
        if self._plays:
            return [(asset, reply)]
        self._held.append((asset, reply))
        if len(self._held) == MAX_HELD:
            self.close()
        return []

    def close(self) -> None:
        """Raises Blocked if replies are still held back."""
        if self._held:
            raise Blocked(
                f"YouTube calls every video not available, also those that played before "
                f"({self._held[-1][1].detail})",
                item="yt1b",
                remedy="It blocks this address or these cookies: wait some hours, or use another "
                "network; nothing counts as gone",
                reason=Reason.THROTTLED,
            )

    def _does_a_good_one_play(self, but: str) -> bool:
        for key in [key for key in self._good if key != but][-MAX_ASKED:]:
            if self._session.look(key, self._watch + key).reason is Reason.OK:
                return True
        return False
