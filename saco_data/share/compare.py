"""`saco compare LOCK`: are the pictures of this copy those of the copy that the lock was made of?

A frame of the lock is looked for in the videos here, up to 30 frames to each side. Where a video is
no longer here, the lock's own neighbours or its measure of motion must suffice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset, bind
from saco_data.executors import Executor
from saco_data.model.errors import UsageError
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Product
from saco_data.share import describing, matching
from saco_data.share.lock import check_annotations
from saco_data.share.lock_file import Lock, Row
from saco_data.share.matching import Description, Judgement, Luma, Series, Verdict
from saco_data.state.ledger import Ledger

VERSION = 1


@dataclass(frozen=True)
class Compared:
    """One picture and its verdict; `video` and `frame` if it is a frame.

    `reference`: the lock's descriptor of it, where the bytes differ.
    """

    file: str
    judgement: Judgement
    video: str | None = None
    frame: int | None = None
    reference: Luma | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        said = self.judgement
        content: dict[str, Any] = {"file": self.file, "verdict": said.verdict.value}
        if said.shift is not None:
            content["shift"] = said.shift
        if said.still:
            content["still"] = True
        if said.residual is not None and np.isfinite(said.residual):
            content["residual"] = round(said.residual, 3)
        if said.note:
            content["note"] = said.note
        return content


@dataclass(frozen=True)
class ComparedVideo:
    """The frames of a video together. `line`: (offset, slope) where the shift grows with n."""

    frames: int
    judgement: Judgement | None
    line: tuple[float, float] | None = None

    def in_words(self) -> str:
        """What is to be said of the video; "" where its frames agree or nothing can be told."""
        if self.line:
            offset, slope = self.line
            return f"shift of {offset:+.1f} {slope:+.4f} n frames: the rate changed"
        if self.judgement and self.judgement.verdict is Verdict.SHIFTED:
            return f"all frames shifted by {self.judgement.shift:+d}"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        content: dict[str, Any] = {"frames": self.frames}
        if self.judgement:
            content["verdict"] = self.judgement.verdict.value
            if self.judgement.shift is not None:
                content["shift"] = self.judgement.shift
        if self.line:
            content["line"] = {"offset": self.line[0], "slope": self.line[1]}
        return content


@dataclass
class ComparedSubset:
    """The pictures of a subset that both copies have, and the numbers of those that one lacks."""

    files: list[Compared] = field(default_factory=list)
    videos: dict[str, ComparedVideo] = field(default_factory=dict)
    missing_here: int = 0
    missing_in_lock: int = 0

    @property
    def counts(self) -> dict[Verdict, int]:
        """The number of pictures of each verdict."""
        found = Counter(each.judgement.verdict for each in self.files)
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def still(self) -> int:
        """How many of those that cannot be told are frames of still scenes."""
        return sum(each.judgement.still for each in self.files)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`; identical pictures are only counted."""
        listed = [each for each in self.files if each.judgement.verdict is not Verdict.IDENTICAL]
        return {
            "counts": {verdict.value: count for verdict, count in self.counts.items()},
            "still": self.still,
            "missing_here": self.missing_here,
            "missing_in_lock": self.missing_in_lock,
            "videos": {name: each.as_json() for name, each in self.videos.items()},
            "files": [each.as_json() for each in listed],
        }


@dataclass
class Comparison:
    """This copy against a lock."""

    lock_sha256: str
    subsets: dict[str, ComparedSubset] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "version": VERSION,
            "lock_sha256": self.lock_sha256,
            "subsets": {name: each.as_json() for name, each in self.subsets.items()},
        }


def compare(
    settings: Settings,
    lock: Lock,
    names: Sequence[str],
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compares the pictures of the subsets that the lock and this copy both have.

    `tell` gets a line for each subset before its pictures are looked at. Raises UsageError where
    there is none, or where the annotations differ.
    """
    with Ledger(settings.state, read_only=True) as ledger:
        subsets = {
            each.id: each
            for each in bind(settings, names)
            if each.id in lock.subsets and ledger.facts(each.id).files
        }
        if not subsets:
            raise UsageError(
                f"holds {', '.join(lock.subsets) or 'nothing'}: this copy has none of it",
                item=str(lock.path),
                remedy="Name other subsets, or run `saco prepare`",
            )
        rows: dict[str, dict[str, Row]] = {name: {} for name in subsets}
        for row in lock.rows():
            if row.subset in rows:
                rows[row.subset][row.file] = row
        with executors.running(settings, executor) as running:
            found = {
                name: _compare(subset, lock, ledger, rows.pop(name), running, tell)
                for name, subset in subsets.items()
            }
    return Comparison(lock.sha256, found)


def _compare(
    subset: Subset,
    lock: Lock,
    ledger: Ledger,
    rows: dict[str, Row],
    executor: Executor,
    tell: Callable[[str], None],
) -> ComparedSubset:
    index = subset.read_index()
    check_annotations(subset, index.sha256, ledger.facts(subset.id).sha256)
    locked = lock.subsets[subset.id].annotation_sha256
    if locked != index.sha256:
        raise UsageError(
            f"was made with other annotations of {subset.id} (sha256 {locked[:12]}, here "
            f"{index.sha256[:12]})",
            item=str(lock.path),
            remedy="Agree on one revision, then prepare and lock again",
        )
    done = ledger.items(subset.id, state=State.DONE)
    done = {name: item for name, item in done.items() if name in index.products}
    both = [name for name in sorted(done) if name in rows]
    result = ComparedSubset(
        missing_here=len(rows) - len(both), missing_in_lock=len(done) - len(both)
    )
    same = {name for name in both if done[name].sha256 == rows[name].description.sha256}
    changed = [name for name in both if name not in same]
    tell(f"{subset.id}: {len(same):,} files are identical, {len(changed):,} are to be compared")
    products = index.products
    for name in same:
        product = products[name]
        result.files.append(Compared(name, matching.IDENTICAL, product.video, product.frame))
    frames = [name for name in changed if products[name].frame is not None]
    pictures = [name for name in changed if products[name].frame is None]
    result.files += _compare_pictures(subset, pictures, rows, done, executor)
    series: list[tuple[Product, Series]] = []
    result.files += _compare_frames(
        subset, describing.in_order(products[name] for name in frames), rows, done, series, executor
    )
    result.files.sort(key=lambda each: each.file)
    result.videos = _join_videos(result.files, series)
    return result


def _compare_pictures(
    subset: Subset,
    names: Sequence[str],
    rows: dict[str, Row],
    done: dict[str, Item],
    executor: Executor,
) -> Iterator[Compared]:
    for name, luma in describing.describe_pictures(
        subset, [each for each in names if describing.is_picture(subset, each)], executor
    ):
        own = Description(done[name].sha256 or "", luma)
        locked = rows[name].description
        yield Compared(name, matching.judge_pair(locked, own), reference=locked.luma)
    for name in names:
        if not describing.is_picture(subset, name):
            yield Compared(name, Judgement(Verdict.DIFFERENT, note="it is no picture"))


def _compare_frames(
    subset: Subset,
    products: Sequence[Product],
    rows: dict[str, Row],
    done: dict[str, Item],
    series: list[tuple[Product, Series]],
    executor: Executor,
) -> Iterator[Compared]:
    """Appends to `series` what was measured of each frame whose video is here."""
    without: list[Product] = []
    for product, around in describing.describe_frames_around(
        subset, products, matching.REACH, executor
    ):
        reference = rows[product.file_name].description.luma
        if around is None or reference is None:
            without.append(product)
            continue
        measured = matching.measure_series(product.frame or 0, reference, around)
        series.append((product, measured))
        said = measured.judge()
        yield Compared(product.file_name, said, product.video, product.frame, reference)
    names = [product.file_name for product in without]
    described = describing.describe_pictures(subset, names, executor)
    for product, (name, luma) in zip(without, described, strict=True):
        own = Description(done[name].sha256 or "", luma, is_frame=True)
        locked = rows[name].description
        said = matching.judge_pair(locked, own)
        yield Compared(name, said, product.video, product.frame, locked.luma)


def _join_videos(
    compared: Sequence[Compared], series: Sequence[tuple[Product, Series]]
) -> dict[str, ComparedVideo]:
    """Each video with a frame that is not identical: one shift of all its frames, or a line."""
    by_video: dict[str, list[Series]] = {}
    for product, measured in series:
        by_video.setdefault(product.video or "", []).append(measured)
    members: dict[str, list[Compared]] = {}
    for each in compared:
        if each.video is not None and each.judgement.verdict is not Verdict.IDENTICAL:
            members.setdefault(each.video, []).append(each)
    found = {}
    for video, files in members.items():
        sure = [(f.frame or 0, f.judgement.shift) for f in files if f.judgement.shift is not None]
        line = matching.fit_line([frame for frame, _ in sure], [k for _, k in sure])
        together = matching.judge_video(by_video.get(video, []))
        found[video] = ComparedVideo(len(files), None if line else together, line)
    return found
