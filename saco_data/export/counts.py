"""How much an export holds."""

from __future__ import annotations

from dataclasses import dataclass

from saco_data.dataset.item import Picture


@dataclass
class Counts:
    """Numbers of what was written of a subset."""

    pictures: int = 0
    image_nps: int = 0
    masks: int = 0

    def add(self, picture: Picture) -> None:
        """Counts a picture with all its items."""
        self.pictures += 1
        self.image_nps += len(picture.items)
        self.masks += sum(len(item.annotations) for item in picture.items)
