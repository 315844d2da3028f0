"""The costs of a plan: bytes to fetch, peak disk use, time at polite rates. Sends no request.

`saco plan` prints them, and `saco prepare` refuses to start what certainly does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.catalog.manifest import Manifest
from saco_data.model.errors import Blocked
from saco_data.model.items import Item
from saco_data.model.records import Asset, Product
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.sources import Source
from saco_data.storage.folders import device_of
from saco_data.storage.names import UnsafeName

# Assumed speed of the network, all sources together, in bytes a second: 100 Mbit/s.
LINE_RATE = 12_500_000
# A typical frame as JPEG at quality 75.
FRAME_BYTES_A_PIXEL = 0.16
FRAME_PIXELS = 1280 * 720
# The smallest JPEG that the tables of the standard allow: 6 bits for a block of luma, 4 of chroma.
LEAST_PIXELS_A_BYTE = 64


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes: a lower bound that is certain, and the best estimate."""

    least: int = 0
    likely: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.least + other.least, self.likely + other.likely)


def known(size: int) -> Size:
    """A size that is known exactly."""
    return Size(size, size)


@dataclass
class Costs:
    """The costs of one subset.

    `disk`: bytes added below each folder when it is fullest. `written`: lower bound of new files.
    `seconds`: at the source's polite rate and `LINE_RATE`. `at_most`: an upper bound, because
    without the annotation file the number of files behind its image-phrase pairs is not known.
    `kept`: bytes that stay of archives that were not listed yet, by kind of file.
    """

    subset: str
    fetch: Size = Size()
    disk: dict[Path, Size] = field(default_factory=dict)
    written: int = 0
    seconds: float = 0.0
    at_most: bool = False
    kept: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.subset,
            self.fetch + other.fetch,
            {
                folder: self.disk.get(folder, Size()) + other.disk.get(folder, Size())
                for folder in {**self.disk, **other.disk}
            },
            self.written + other.written,
            self.seconds + other.seconds,
            self.at_most or other.at_most,
            self.kept | other.kept,
        )

    @property
    def peak(self) -> Size:
        """Bytes added on all file systems together."""
        return sum(self.disk.values(), Size())


def of_plan(
    source: Source,
    steps: SubsetPlan,
    remembered: Mapping[str, Item],
    *,
    products: bool = True,
) -> Costs:
    """The costs of carrying out a plan.

    `remembered`: the ledger's assets by key. `products`: whether products are made too, or raw
    media are only fetched.
    """
    if source.manifest.shard_files is not None:
        return of_archives(source, [each.key for each in steps.assets(Decision.FETCH)])
    fetch = steps.assets(Decision.FETCH)
    process = steps.assets(Decision.PROCESS) if products else []
    sizes = {key: item.bytes for key, item in remembered.items() if item.bytes}
    sizes.update(source.local_sizes({asset.key for asset in process}))
    facts = source.manifest
    typical = Size(0, facts.raw.typical_bytes)

    def raw(asset: Asset) -> Size:
        size = sizes.get(asset.key)
        return typical if size is None else known(size)

    tally = _Tally(source)
    for asset in fetch:
        tally.add_fetched(raw(asset))
    on_disk = {asset.key for asset in process if _has_raw_file(source, asset.key)}
    for asset in process:
        if asset.key not in on_disk and source.unpacks():
            tally.add_unpacked(raw(asset))
    if products:
        for asset in (*fetch, *process):
            shared = asset.key in on_disk
            for product in asset.products:
                size = _estimate_product(facts, product, raw(asset))
                tally.add_product(size, shared=shared)
    return tally.costs()


def of_manifest(source: Source) -> Costs:
    """The costs as far as the manifest tells them, while the annotation file is missing.

    Mostly an upper bound: assumes one file for each image-phrase pair and one video for each frame.
    """
    facts = source.manifest
    if facts.is_listed:
        return of_archives(source, source.archives())
    count = facts.annotations.files or facts.annotations.image_nps
    typical = Size(0, facts.raw.typical_bytes)
    local = is_local(source)
    tally = _Tally(source)
    frame = Size(0, int(FRAME_PIXELS * FRAME_BYTES_A_PIXEL))
    for _ in range(count):
        if not local:
            tally.add_fetched(typical)
        elif source.unpacks():
            tally.add_unpacked(typical)
        tally.add_product(frame if facts.frames else typical, shared=False)
    costs = tally.costs()
    costs.at_most = facts.annotations.files is None
    return costs


def of_archives(source: Source, archives: Sequence[str]) -> Costs:
    """The costs of archives that were not listed yet, from what the manifest says of them."""
    config, raw = source.config, source.manifest.raw
    if not archives:
        return Costs(source.name)
    size, kept = source.estimate_archives(archives)
    fetch = Size() if is_local(source) else Size(0, size)
    disk = {config.images: Size(0, sum(kept.values()))}
    shares = not kept.keys().isdisjoint(("videos", "files"))  # products are links to raw files
    is_beside = source.manifest.shard_files is not None  # raw files are moved to be products
    if not is_beside and (not shares or device_of(config.images) != device_of(config.folder)):
        # One archive after the other is unpacked.
        disk[config.folder] = Size(0, min((raw.bytes or 0) // (raw.shards or 1), size))
    seconds = fetch.likely / LINE_RATE
    if (facts := source.manifest.every_fourth) is not None:
        # The next archive is read once the frames of this one are made.
        count = kept.get("frames", 0) / facts.typical_bytes
        seconds += count * facts.typical_seconds / config.keys.jobs
    return Costs(source.name, fetch, disk, seconds=seconds, kept=kept)


def is_local(source: Source) -> bool:
    """Whether the raw medium is on this machine; False where the source cannot tell yet."""
    try:
        return source.is_local()
    except Blocked:
        return False


def _has_raw_file(source: Source, key: str) -> bool:
    try:
        return source.raw_path(key).is_file()
    except UnsafeName:
        return False


def _estimate_product(facts: Manifest, product: Product, raw: Size) -> Size:
    if product.is_folder and facts.every_fourth is not None:
        return Size(0, facts.every_fourth.typical_bytes)
    if not facts.frames:
        return raw
    height, width = product.size or (product.height, product.width)
    pixels = width * height
    return Size(pixels // LEAST_PIXELS_A_BYTE, int(pixels * FRAME_BYTES_A_PIXEL))


class _Tally:
    """Adds up bytes by folder: raw files below the subset's folder, products below `silver_path`.

    If both folders are on the same file system, a raw picture and its product are one file with
    two names. A name in the official `frames/` folder is a link, on any file system.
    """

    def __init__(self, source: Source) -> None:
        self._config = source.config
        self._source = source
        self._facts = source.manifest
        self._images = source.config.images
        self._folder = source.config.folder
        self._one_device = device_of(self._images) == device_of(self._folder)
        self._fetched: list[Size] = []
        self._raws: list[Size] = []
        self._products = Size()
        self._written = 0

    def add_fetched(self, size: Size) -> None:
        """Adds a raw asset that is fetched and stored."""
        self._fetched.append(size)
        self._raws.append(size)

    def add_unpacked(self, size: Size) -> None:
        """Adds a raw asset that is unpacked from a local archive and stored."""
        self._raws.append(size)

    def add_product(self, size: Size, *, shared: bool) -> None:
        """Adds a product; `shared`: it is made from a raw file of ours that is on disk already."""
        self._written += 1
        if not (shared and self._one_device and self._facts.process == "copy"):
            least = 0 if self._facts.process == "resize" else size.least
            self._products += Size(least, size.likely)

    def costs(self) -> Costs:
        """The costs of all that was added."""
        disk = {self._images: self._products}
        below = self._raw_peak()
        if self._facts.frames or not self._one_device or not self._written:
            disk[self._folder] = below
        fetch = sum(self._fetched, Size())
        raw = self._facts.raw
        is_streamed = raw.is_tar_gz and self._config.seek_index is None
        if self._fetched and raw.bytes and is_streamed:
            # Without a seek index, a gzip is read from its start to its last wanted member.
            fetch = known(raw.bytes)
        return Costs(
            self._source.name,
            fetch,
            {folder: size for folder, size in disk.items() if size.likely or size.least},
            self._written,
            self._seconds(fetch),
        )

    def _raw_peak(self) -> Size:
        raws = self._raws
        if self._config.removes_videos and raws:
            # The videos in processing, and two that are being fetched.
            window = min(len(raws), self._config.keys.jobs + 2)
            likely = sum(sorted(size.likely for size in raws)[-window:])
            return Size(max(size.least for size in raws), likely)
        return sum(raws, Size())

    def _seconds(self, fetch: Size) -> float:
        rates = self._config.rates
        gap = 1 / rates.requests_per_second if rates.requests_per_second else 0.0
        pause = max(gap, sum(rates.sleep_seconds) / 2)
        requests = self._source.requests_an_asset
        transfer_seconds = fetch.likely / LINE_RATE
        if self._source.is_one_by_one:
            # The pause before an asset is longer than what its first request would wait.
            waits = len(self._fetched) * (pause + (requests - 1) * gap)
            return waits + transfer_seconds
        return max(len(self._fetched) * requests * pause, transfer_seconds)


def total(costs: Iterable[Costs]) -> tuple[Size, float]:
    """Bytes to fetch and seconds of several subsets, which run at once and share the network."""
    subsets = list(costs)
    fetch = sum((subset.fetch for subset in subsets), Size())
    return fetch, max([fetch.likely / LINE_RATE, *(subset.seconds for subset in subsets)])
