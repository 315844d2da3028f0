"""How much an export holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Numbers of what was written of a subset."""

    pictures: int = 0
    image_nps: int = 0
    masks: int = 0
