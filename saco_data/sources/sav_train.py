"""SA-V train: 56 tars of videos and annotations, of which some shards or videos are wanted.

Annotations come into one flat folder, as SAM 2's loader opens them. The shard of a video is its
number divided by 1000. Of a video, the file itself, every fourth frame of it, or both are wanted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from saco_data.dataset import listing, sav_json
from saco_data.dataset.listing import Found
from saco_data.model.errors import AnnotationError, ConfigError
from saco_data.model.records import Product
from saco_data.sources import shard_numbers, video_choice
from saco_data.sources.base import Context
from saco_data.sources.listed import ListedSource
from saco_data.sources.video_choice import video_of
from saco_data.storage import files
from saco_data.storage.names import safe_join

VIDEOS_A_SHARD = 1000
_ID = re.compile(r"sav_(\d{6})")


class SavTrainSource(ListedSource):
    """The shards that the config names, else those of the listed videos, else all of them."""

    def archives(self) -> tuple[str, ...]:
        return shard_numbers.name_archives(self.manifest, self._numbers(), "videos")

    def products_of(self, name: str) -> tuple[Product, ...]:
        own, stem = self.config.collection, name.rpartition("/")[2]
        video = video_of(stem)
        if self._videos is not None and video not in self._videos:
            return ()
        chosen = self._choose()
        if chosen is not None and video not in chosen:
            return ()
        if stem.endswith(".mp4"):
            itself = () if own.media == "frames" else (Product(name, 0, 0),)
            frames = () if own.media == "videos" else (self._frames_of(video),)
            return itself + frames
        unwanted = {"manual": "_auto.json", "auto": "_manual.json"}.get(own.annotations)
        return () if unwanted and stem.endswith(unwanted) else (Product(name, 0, 0),)

    def _frames_of(self, video: str) -> Product:
        facts = self.manifest.every_fourth
        assert facts is not None
        return Product(f"{facts.folder}/{video}", 0, 0, is_folder=True)

    def key_of(self, product: Product) -> str:
        facts, name = self.manifest.every_fourth, product.file_name
        if facts is not None and name.startswith(f"{facts.folder}/"):
            return self.file_name_of(f"{video_of(name)}.mp4")
        return name

    def raw_path(self, key: str) -> Path:
        path = super().raw_path(key)
        if key.endswith(".mp4") and not path.exists():
            # Frames can be made of the finished video.
            finished = safe_join(self.config.images, key)
            if finished.is_file() and finished not in self._unusable:
                return finished
        return path

    def chooses_by_content(self) -> bool:
        own = self.config.collection
        return own.most_edited is not None or own.sample is not None

    def tells(self, key: str) -> bool:
        return self.config.collection.most_edited is not None and key.endswith("_manual.json")

    def learn(self, key: str, content: bytes, found: Found) -> None:
        assert found.edited is not None
        found.edited[video_of(key)] = sav_json.count_edited(content)

    def is_enough(self, found: Found) -> bool:
        return self.config.collection.most_edited is None or found.edited is not None

    def _begin(self) -> Found:
        return Found(edited=None if self.config.collection.most_edited is None else {})

    def _read(self, archive: str, context: Context) -> Found:
        found = super()._read(archive, context)
        raw = self.raw_of(archive)
        if isinstance(raw, Path) and raw.is_dir():
            # One folder holds the content of several shards.
            found.names = {name for name in found.names if self._archive_of(name) == archive}
        return found

    def _archive_of(self, name: str) -> str:
        match = _ID.search(name)
        number = int(match[1]) // VIDEOS_A_SHARD if match else -1
        return str(self.manifest.raw.archive).format(number)

    def file_name_of(self, key: str) -> str:
        return f"{'videos' if key.endswith('.mp4') else 'annotations'}/{key}"

    def estimate_archives(self, archives: Sequence[str]) -> tuple[int, dict[str, int]]:
        facts, raw, own = self.manifest.every_fourth, self.manifest.raw, self.config.collection
        assert facts is not None and raw.contents is not None
        there = raw.contents.videos * len(archives) / (raw.shards or 1)
        videos = there if self._videos is None else min(there, len(self._videos))
        videos *= own.most_edited or 1
        videos = min(videos, own.sample.videos) if own.sample else videos
        share = videos / raw.contents.videos
        kinds = {
            "videos": raw.contents.video_bytes,
            "manual annotations": raw.contents.manual_bytes,
            "automatic annotations": raw.contents.auto_bytes,
            "frames": facts.typical_bytes * raw.contents.videos,
        }
        unwanted = {
            "videos": own.media == "frames",
            "manual annotations": own.annotations == "auto",
            "automatic annotations": own.annotations == "manual",
            "frames": own.media == "videos",
        }
        kept = {kind: int(share * size) for kind, size in kinds.items() if not unwanted[kind]}
        read = (raw.bytes or 0) * len(archives) / (raw.shards or 1)
        if videos < there:
            # What is not wanted is jumped over; manual annotations tell what was edited.
            wanted = [kinds["videos"], *(kinds[each] for each in kept if "annotations" in each)]
            survey = kinds["manual annotations"] * there / raw.contents.videos
            read = min(read, share * sum(wanted) + (survey if own.most_edited else 0))
        return int(read), kept

    def location(self) -> str:
        # Another choice of files is another subset to prepare.
        own = self.config.collection
        videos = "" if self._videos is None else f" {len(self._videos)} {hash_of(self._videos)}"
        numbers = ",".join(str(number) for number in sorted(self._numbers()))
        given = self.config.raw
        place = f"{given} " if isinstance(given, Path) else ""
        choice = f" {own.most_edited} {own.sample}" if self.chooses_by_content() else ""
        return f"{place}{numbers} {own.annotations} {own.media}{videos}{choice}"

    def _choose(self) -> frozenset[str] | None:
        """The ids of the videos that `most_edited` and `sample` leave; None for all.

        Raises AnnotationError where archives are not listed yet.
        """
        if not self.chooses_by_content():
            return None
        stamp = files.stamp(self.config.pristine)
        if self._choice is None or self._choice[0] != stamp:
            found = listing.read_archives(self.config.pristine)
            if missing := self.find_lacking(found):
                raise AnnotationError(
                    f"{len(missing)} archives must be listed before the videos can be chosen",
                    item=str(self.config.pristine),
                    remedy=f"Run `saco prepare {self.name}`",
                )
            here = {name: each for name, each in found.items() if name in self.archives()}
            own = self.config.collection
            self._choice = (
                stamp,
                video_choice.choose(here, self._videos, own.most_edited, own.sample),
            )
        return self._choice[1]

    _choice: tuple[list[Any], frozenset[str]] | None = None

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
        numbers = shard_numbers.parse(given)
        return numbers if of_videos is None else numbers & of_videos


def hash_of(names: Iterable[str]) -> str:
    """A short digest of names, in any order."""
    from saco_data.dataset.pruned import keep_list_sha256

    return keep_list_sha256(names)[:16]
