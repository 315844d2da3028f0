"""`saco lock`: a manifest of the pictures of this copy, by which another copy is compared.

For each picture its sha256, size and descriptor; for a frame also its time stamp, the fingerprint
of its video and, where the video is here, how much the scene moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.engine.subset import Subset, bind
from saco_data.executors import Executor
from saco_data.model.errors import UsageError
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.share import describing, lock_file, matching
from saco_data.share.lock_file import LockedSubset, Row
from saco_data.share.matching import Description, Luma
from saco_data.state.ledger import Ledger
from saco_data.storage import files

# Facts of a video that tell one version of it from another; none of them is a secret.
_FACTS = (
    "codec",
    "container",
    "duration",
    "format_id",
    "fps",
    "frames",
    "height",
    "start_pts",
    "time_base",
    "width",
)
_STILL_REACH = 10  # frames to each side that are looked at


@dataclass(frozen=True)
class Written:
    """A lock that was written: its digest, its size in bytes, its number of files."""

    path: Path
    sha256: str
    bytes: int
    files: int


def path_of(settings: Settings) -> Path:
    """Where the lock of a copy is."""
    return settings.silver / lock_file.NAME


def nothing_prepared(settings: Settings, names: Sequence[str]) -> UsageError:
    """The error where none of these subsets is prepared, with the command that prepares them."""
    named = "" if tuple(names) == settings.registry.select(()) else " " + " ".join(names)
    return UsageError("nothing is prepared yet", remedy=f"Run `saco prepare{named}` first")


def write(
    settings: Settings,
    names: Sequence[str],
    to: Path | None = None,
    *,
    neighbours: bool = False,
    executor: Executor | None = None,
) -> Written:
    """Writes the lock of the prepared subsets, by default `<silver_path>/lock.parquet`.

    `neighbours`: with the descriptors of five frames to each side. Raises UsageError where nothing
    is prepared, the annotations changed since, or `to` is not called `.parquet`.
    """
    to = to or path_of(settings)
    if to.suffix != ".parquet":  # all commands that read locks know them by it
        raise UsageError(
            "the name of a lock ends with .parquet", item=str(to), remedy="Add .parquet to --to"
        )
    with (
        executors.running(settings, executor) as running,
        Ledger(settings.state, read_only=True) as ledger,
    ):
        subsets = [each for each in bind(settings, names) if ledger.facts(each.id).files]
        done = {each.id: ledger.items(each.id, state=State.DONE) for each in subsets}
        if not any(done.values()):
            raise nothing_prepared(settings, names)
        header = {
            each.id: LockedSubset(
                ledger.facts(each.id).sha256,
                keep_list_sha256(done[each.id]),
                len(done[each.id]),
            )
            for each in subsets
        }
        rows = (
            row
            for each in subsets
            for row in _rows(each, ledger, done[each.id], neighbours, running)
        )
        count = lock_file.write(to, header, rows)
    return Written(to, files.sha256_of(to), to.stat().st_size, count)


def current_sha256(settings: Settings, subsets: dict[str, tuple[str, str]]) -> str:
    """The digest of this copy's lock, if it is one of these subsets as they are now; else "".

    `subsets`: the sha256 of annotations and of the keep-list of each.
    """
    path = path_of(settings)
    if not path.is_file():
        return ""
    try:
        lock = lock_file.read(path)
    except UsageError:
        return ""
    locked = {
        name: (each.annotation_sha256, each.keep_list_sha256) for name, each in lock.subsets.items()
    }
    return lock.sha256 if subsets.items() <= locked.items() else ""


def check_annotations(subset: Subset, sha256: str, prepared: str) -> None:
    """Raises UsageError where the annotations here are not those that were prepared."""
    if sha256 != prepared:
        raise UsageError(
            "is not the annotation file that was prepared",
            item=str(subset.config.pristine),
            remedy=f"Run `saco prepare {subset.id}` first",
        )


def _rows(
    subset: Subset, ledger: Ledger, done: dict[str, Item], neighbours: bool, executor: Executor
) -> Iterator[Row]:
    index = subset.read_index()
    check_annotations(subset, index.sha256, ledger.facts(subset.id).sha256)
    names = [name for name in sorted(done) if done[name].sha256 and name in index.products]
    pictures = [name for name in names if describing.is_picture(subset, name)]
    others = [name for name in names if not describing.is_picture(subset, name)]
    if subset.manifest.frames:
        products = describing.in_order(index.products[name] for name in pictures)
        videos = ledger.items(subset.id, is_asset=True)
        facts = {key: _video_facts(item) for key, item in videos.items()}
        around = describing.describe_frames_around(subset, products, _STILL_REACH, executor)
        ordered = [product.file_name for product in products]
        lumas = describing.describe_pictures(subset, ordered, executor)
        for (product, near), (name, luma) in zip(around, lumas, strict=True):
            item, rest = done[name], _summarise(near, neighbours)
            pts = item.facts.get("pts")
            yield Row(
                subset.id,
                name,
                item.bytes or 0,
                Description(item.sha256 or "", luma, is_frame=True, **rest),
                pts if isinstance(pts, int) else None,
                product.video,
                product.frame,
                facts.get(product.video or "", {}),
            )
    else:
        for name, luma in describing.describe_pictures(subset, pictures, executor):
            yield _plain_row(subset, done[name], luma)
    for name in others:
        yield _plain_row(subset, done[name], None)


def _plain_row(subset: Subset, item: Item, luma: Luma | None) -> Row:
    return Row(subset.id, item.key, item.bytes or 0, Description(item.sha256 or "", luma))


def _summarise(around: describing.Around | None, neighbours: bool) -> dict[str, Any]:
    """What a lock keeps of the frames around a frame."""
    if around is None:
        return {}
    rest = {k: luma for k, luma in around.items() if k and abs(k) <= matching.NEAR}
    return {
        "still": matching.is_still(around),
        "near": matching.measure_near(around[0], around),
        "neighbours": rest if neighbours else None,
    }


def _video_facts(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {name: item.facts[name] for name in _FACTS if name in item.facts}
    if item.sha256:
        found["sha256"] = item.sha256
    if item.bytes:
        found["bytes"] = item.bytes
    return found
