"""SA-V train: 56 tars of videos and annotations, of which some shards or videos are wanted.

Annotations come into one flat folder, as SAM 2's loader opens them. The shard of a video is its
number divided by 1000.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from saco_data.model.errors import ConfigError
from saco_data.sources.base import Context
from saco_data.sources.listed import ListedSource

VIDEOS_A_SHARD = 1000
_ID = re.compile(r"sav_(\d{6})")


class SavTrainSource(ListedSource):
    """The shards that the config names, else those of the listed videos, else all of them."""

    def archives(self) -> tuple[str, ...]:
        raw = self.manifest.raw
        count = raw.shards or 0
        numbers = self._numbers()
        for number in sorted(numbers):
            if number >= count:
                raise ConfigError(
                    f"there is no shard {number}",
                    item=self.name,
                    remedy=f"Write numbers from 0 to {count - 1} in `shards`, and right ids",
                )
        return tuple(str(raw.archive).format(number) for number in sorted(numbers))

    def is_wanted(self, name: str) -> bool:
        stem = name.rpartition("/")[2]
        kind = self.config.collection.annotations
        other = {"manual": "_auto.json", "auto": "_manual.json"}.get(kind)
        if other is not None and stem.endswith(other):
            return False
        return self._videos is None or stem[: len("sav_000000")] in self._videos

    def _read(self, archive: str, context: Context) -> set[str]:
        names = super()._read(archive, context)
        raw = self.raw_of(archive)
        if not (isinstance(raw, Path) and raw.is_dir()):
            return names
        # One folder holds the content of several shards.
        return {name for name in names if self._archive_of(name) == archive}

    def _archive_of(self, name: str) -> str:
        match = _ID.search(name)
        number = int(match[1]) // VIDEOS_A_SHARD if match else -1
        return str(self.manifest.raw.archive).format(number)

    def product_of(self, key: str) -> str:
        return f"{'videos' if key.endswith('.mp4') else 'annotations'}/{key}"

    def location(self) -> str:
        # Another choice of files is another subset to prepare.
        own = self.config.collection
        videos = "" if self._videos is None else f" {len(self._videos)} {hash_of(self._videos)}"
        numbers = ",".join(str(number) for number in sorted(self._numbers()))
        given = self.config.raw
        place = f"{given} " if isinstance(given, Path) else ""
        return f"{place}{numbers} {own.annotations}{videos}"

    @functools.cached_property
    def _videos(self) -> frozenset[str] | None:
        """The ids of the wanted videos; None for all. Raises ConfigError."""
        value = self.config.collection.videos
        if value is None:
            return None
        path = self.config.path(value)
        try:
            ids = frozenset(path.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the list of videos cannot be read ({error})",
                item=str(path),
                remedy="Correct `videos` in the config",
            ) from error
        wrong = sorted(each for each in ids if not _ID.fullmatch(each))
        if wrong or not ids:
            raise ConfigError(
                f"{wrong[0]!r} is not the id of a video" if wrong else "names no video",
                item=str(path),
                remedy="Write one id a line, such as sav_000001",
            )
        return ids

    def _numbers(self) -> set[int]:
        given = self.config.collection.shards
        of_videos = None
        if self._videos is not None:
            of_videos = {int(each[len("sav_") :]) // VIDEOS_A_SHARD for each in self._videos}
        if given is None:
            return set(range(self.manifest.raw.shards or 0)) if of_videos is None else of_videos
        numbers: set[int] = set()
        for each in given:
            first, _, last = str(each).partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        return numbers if of_videos is None else numbers & of_videos


def hash_of(names: Iterable[str]) -> str:
    """A short digest of names, in any order."""
    from saco_data.dataset.pruned import keep_list_sha256

    return keep_list_sha256(names)[:16]
