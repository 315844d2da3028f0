"""The contents of the ledger as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saco_data.model.reasons import Reason, State


@dataclass(frozen=True, slots=True)
class Item:
    """The ledger's row of one item. Times in seconds since the epoch.

    `first_seen` refers to the item, `since` and `last_seen` to its present reason. `gone_first` and
    `gone_last`: the first and last of an unbroken series of verdicts "gone", without those of a
    throttled source. `gone_confirmed`: the user confirmed that it is gone.
    """

    subset: str
    key: str
    is_asset: bool
    reason: Reason
    detail: str
    origin: str
    bytes: int | None
    sha256: str | None
    facts: dict[str, Any]
    first_seen: int
    last_seen: int
    since: int
    attempts: int
    gone_first: int | None = None
    gone_last: int | None = None
    gone_confirmed: bool = False

    @property
    def state(self) -> State:
        """The state that follows from the reason."""
        return self.reason.state

    @property
    def is_hdr(self) -> bool:
        """Whether it is a frame of an HDR video (PQ, HLG), whose colours OpenCV gives otherwise."""
        return self.facts.get("transfer") in ("smpte2084", "arib-std-b67")

    @property
    def is_concealed(self) -> bool:
        """Whether it is a frame of which the decoder had to make up damaged parts."""
        return bool(self.facts.get("concealed"))

    def is_confirmed(self, hours: float) -> bool:
        """Whether "gone" is confirmed: seen twice, at least `hours` apart (0: once is enough)."""
        if self.state is not State.GONE:
            return False
        if hours <= 0 or self.gone_confirmed:
            return True
        if self.gone_first is None or self.gone_last is None:
            return False
        return self.gone_last - self.gone_first >= hours * 3600


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier reason of an item, with its period and the message of the source."""

    reason: Reason
    since: int
    until: int
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of an outcome on an item. `before`: None if new; `made`: it was done before.

    `renewed`: it was done, is done again, and has other content.
    """

    key: str
    is_asset: bool
    before: Reason | None
    after: Reason
    made: bool
    renewed: bool = False


@dataclass
class SubsetFacts:
    """The ledger's row of a subset: its annotation file when last read, and the kept entries.

    `stamp` (path, size, mtime in ns) shows a changed file without reading it.
    """

    stamp: list[Any] = field(default_factory=list)
    sha256: str = ""
    revision: str = ""
    files: int = 0
    image_nps: int = 0
    masks: int = 0
    image_nps_kept: int = 0
    masks_kept: int = 0
    keep_list_sha256: str = ""
    # The derived file and the sha256 of its source, so that a rerun does not rewrite it.
    derived_stamp: list[Any] = field(default_factory=list)
    derived_from: str = ""
    # The sha256 of the removed entries with their reasons, and the number of gone files that await
    # a second look.
    removed_sha256: str = ""
    unconfirmed: int = 0
    # What of the kept entries has its file, as [image-NPs, masks], counted for [sha256 of the
    # annotations, number of finished files].
    usable: list[int] = field(default_factory=list)
    usable_of: list[Any] = field(default_factory=list)
    # The stamps of the partial annotations, and the digest of what they lack; empty if not needed.
    partial_stamp: list[Any] = field(default_factory=list)
    partial_lacks: str = ""
    # Why the whole subset is blocked: (reason, message), or empty.
    waits: list[str] = field(default_factory=list)
    # What the last run depended on if it ended properly, else empty (see `engine.freshness`).
    ended: list[Any] = field(default_factory=list)
    # The sha256 of the annotations that the finished products were last compared with.
    compared_sha256: str = ""
    # The last product of the rotating sample that was verified.
    sampled_to: str = ""
    # The last asset or product whose version at the source was checked.
    asked_to: str = ""
