"""What was found of videos against their masks: kept in the state folder, quick to read.

It holds for as long as annotations and keep-list have the digests that it was measured with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saco_data.config.settings import Settings
from saco_data.storage import files, untrusted_json

NAME = "against_masks.json"
FORMAT = 1


@dataclass
class Found:
    """What the masks of a subset say. `videos`: of how many it could be told at all.

    `shifts`: the videos that look shifted: frame n + shift fits the masks of frame n best.
    """

    videos: int = 0
    shifts: dict[str, int] = field(default_factory=dict)

    def in_words(self) -> str:
        """A sentence without its full stop; "" where no video looks shifted."""
        if not self.shifts:
            return ""
        sizes = [abs(k) for k in self.shifts.values()]
        low, high = min(sizes), max(sizes)
        size = f"{low}" if low == high else f"{low} to {high}"
        count = len(self.shifts)
        return (
            f"{count:,} of {self.videos:,} videos {'looks' if count == 1 else 'look'} shifted by "
            f"about {size} frames against the masks"
        )


def known(settings: Settings, subset: str, annotations: str, keep_list: str) -> Found | None:
    """What was found for a subset with these digests of annotations and keep-list, if anything."""
    content: Any = read(settings).get(subset)
    try:
        if (content["annotation_sha256"], content["keep_list_sha256"]) != (annotations, keep_list):
            return None
        shifts = {str(name): int(k) for name, k in content["shifts"].items()}
        return Found(int(content["videos"]), shifts)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def read(settings: Settings) -> dict[str, Any]:
    """What is kept, by subset; empty where nothing can be read."""
    try:
        content = untrusted_json.parse((settings.state / NAME).read_bytes())
        subsets = content["subsets"] if content["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return subsets if isinstance(subsets, dict) else {}


def write(settings: Settings, kept: Mapping[str, Any]) -> None:
    """Keeps what was found, by subset. Raises DiskFull, OutputError."""
    content = {"format": FORMAT, "subsets": kept}
    files.write_if_changed(settings.state / NAME, json.dumps(content, indent=1).encode() + b"\n")
