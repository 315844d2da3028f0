"""Product, asset, arrival and outcome as plain records, which cross process borders.

A *product* is a processed file named by `file_name`; an *asset* is the raw file it comes from (an
image or a video); an *outcome* is the record of one attempt. The state of an item follows from its
reason, so the two can never contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data.model.reasons import Reason, State

# Pillow's own hard limit: above it a few kilobytes could claim gigabytes of memory.
MAX_PIXELS = 178_956_970


@dataclass(frozen=True, slots=True)
class Product:
    """One processed file that evaluation reads.

    `width` and `height` in pixels, as the annotation says. For frames, `video` is the annotation's
    `original_video`, `frame` its `global_frame_idx` (None: the annotation lacks it) and `size` its
    `image_size` as (height, width). `is_folder`: it is a folder of every fourth frame of a video.
    `choice`: which files of an archive the config chooses, where it is the inventory of one.
    """

    file_name: str
    width: int
    height: int
    video: str | None = None
    frame: int | None = None
    size: tuple[int, int] | None = None
    is_folder: bool = False
    choice: str = ""

    @property
    def pixels(self) -> tuple[int, int]:
        """The (width, height) that the product must have."""
        return (self.size[1], self.size[0]) if self.size else (self.width, self.height)

    def meaning(self) -> dict[str, Any]:
        """The annotated facts that its content depends on, for the ledger.

        A later revision of the annotations may give another frame for the same name. Without the
        size for a product that is only listed (0 x 0).
        """
        facts: dict[str, Any] = {"size": list(self.pixels)} if any(self.pixels) else {}
        if self.video is not None:
            facts |= {"video": self.video, "frame": self.frame}
        if self.choice:
            facts["choice"] = self.choice
        return facts

    def contradicts(self, facts: Mapping[str, Any]) -> bool:
        """Whether a file with these facts was made for another frame or size."""
        return any(facts.get(name, value) != value for name, value in self.meaning().items())


@dataclass(frozen=True, slots=True)
class Asset:
    """A raw file to fetch and the products made from it. `key` is unique in its subset."""

    key: str
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A raw asset on this machine: a file, or its bytes (small members of a local archive).

    `owned`: the file is in a folder of ours, so it may be linked to, and removed if the config
    says so. `origin` contains no secret. `facts` go to the ledger: ETag, version id, fps...
    `vouched`: a checksum of its archive says that the bytes are those that were packed.
    """

    asset: Asset
    raw: Path | bytes
    origin: str
    owned: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record of one attempt at a product, or (`is_asset`) at a raw asset.

    `detail`: the message of the source, without secrets. `tried`: False if the item was not
    requested (the source closed), so that no attempt is counted.
    """

    subset: str
    key: str
    reason: Reason
    detail: str = ""
    origin: str = ""
    bytes: int | None = None
    sha256: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    is_asset: bool = False
    tried: bool = True

    @property
    def state(self) -> State:
        """The state that follows from the reason."""
        return self.reason.state
