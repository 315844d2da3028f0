"""What the ledger remembers, as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saco_data.model.reasons import Reason, State


@dataclass(frozen=True, slots=True)
class Item:
    """What the ledger holds of one item. Times in seconds since the epoch.

    `first_seen` is of the item, `since` and `last_seen` of its present reason. `gone_first` and
    `gone_last`: the first and last time that an unthrottled source said it is gone, in an unbroken
    line of such verdicts. `gone_confirmed`: the user took the source at its word.
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

    def is_confirmed(self, hours: float) -> bool:
        """Whether it was seen as gone twice, at least `hours` apart (0: once is enough)."""
        if self.state is not State.GONE:
            return False
        if hours <= 0 or self.gone_confirmed:
            return True
        if self.gone_first is None or self.gone_last is None:
            return False
        return self.gone_last - self.gone_first >= hours * 3600


@dataclass(frozen=True, slots=True)
class Past:
    """What was known of an item before: a reason, from when to when, in the source's words."""

    reason: Reason
    since: int
    until: int
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an outcome did to an item. `before` is None for a new one; `made`: it was done once."""

    key: str
    is_asset: bool
    before: Reason | None
    after: Reason
    made: bool


@dataclass
class SubsetFacts:
    """What is known of a whole subset: its annotation file when last read, and what was kept.

    `stamp` (path, size, mtime in ns) tells without reading whether the file is still the same.
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
    # The sha256 of what the derived file lacks and why, and how many wait for a second look.
    removed_sha256: str = ""
    unconfirmed: int = 0
    # Why the subset as a whole waits: (reason, message), or empty.
    waits: list[str] = field(default_factory=list)
    # What the last run relied on if it came to a proper end, else empty (see `books.settled`).
    ended: list[Any] = field(default_factory=list)
    # The sha256 of the annotations whose meaning the finished products were compared with.
    compared_sha256: str = ""
    # The product up to which the rotating sample was verified.
    sampled_to: str = ""
    # The asset or product up to which the source was asked for newer versions.
    asked_to: str = ""
