"""What a plan costs: bytes to fetch, disk at its fullest, time at polite rates. Asks no server.

`saco plan` prints it, and `saco prepare` refuses to begin what certainly does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.model.errors import Blocked
from saco_data.model.items import Item
from saco_data.model.records import Asset, Product
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.sources import Source
from saco_data.storage.folders import device_of
from saco_data.storage.names import UnsafeName

# What a line is taken to carry, in bytes a second, all sources together: 100 Mbit/s.
LINE_RATE = 12_500_000


# A frame at quality 75, and the least that the JPEG standard's tables allow: 6 bits for a block of
# luma, 4 for one of chroma.
FRAME_BYTES_A_PIXEL = 0.16


FRAME_PIXELS = 1280 * 720


LEAST_PIXELS_A_BYTE = 64


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes: certainly so many at least, and the best guess."""

    least: int = 0
    likely: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.least + other.least, self.likely + other.likely)


def known(size: int) -> Size:
    """A size that is no guess."""
    return Size(size, size)


@dataclass
class Costs:
    """The costs of one subset.

    `disk`: what is added, at the fullest moment, below each folder. `written`: new files at least.
    `seconds` at the source's polite rate and `LINE_RATE`. `at_most`: the annotation file is not
    there, so that the number of files behind its image-phrase pairs is not known.
    """

    subset: str
    fetch: Size = Size()
    disk: dict[Path, Size] = field(default_factory=dict)
    written: int = 0
    seconds: float = 0.0
    at_most: bool = False

    @property
    def peak(self) -> Size:
        """What is added on all file systems together."""
        return sum(self.disk.values(), Size())


def of_plan(
    source: Source,
    steps: SubsetPlan,
    remembered: Mapping[str, Item],
    *,
    products: bool = True,
) -> Costs:
    """The costs of carrying out a plan. `remembered`: the ledger's assets by key.

    `products`: whether they are made too, or raw media only fetched.
    """
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
        tally.fetched(raw(asset))
    there = {asset.key for asset in process if _at_hand(source, asset.key)}
    for asset in process:
        if asset.key not in there and source.unpacks():
            tally.stored(raw(asset))
    if products:
        for asset in (*fetch, *process):
            shared = asset.key in there
            for product in asset.products:
                tally.made(_product(facts.frames, product, raw(asset)), shared=shared)
    return tally.costs()


def of_manifest(source: Source) -> Costs:
    """The costs as far as they are known while there is no annotation file: an upper bound mostly.

    Every image-phrase pair might have a file of its own, and every frame its own video.
    """
    facts = source.manifest
    count = facts.annotations.files or facts.annotations.image_nps
    typical = Size(0, facts.raw.typical_bytes)
    local = is_local(source)
    tally = _Tally(source)
    frame = Size(0, int(FRAME_PIXELS * FRAME_BYTES_A_PIXEL))
    for _ in range(count):
        if not local:
            tally.fetched(typical)
        elif source.unpacks():
            tally.stored(typical)
        tally.made(frame if facts.frames else typical, shared=False)
    costs = tally.costs()
    costs.at_most = facts.annotations.files is None
    return costs


def is_local(source: Source) -> bool:
    """Whether the raw medium is on this machine; False where the source does not know yet."""
    try:
        return source.is_local()
    except Blocked:
        return False


def _at_hand(source: Source, key: str) -> bool:
    try:
        return source.raw_path(key).is_file()
    except UnsafeName:
        return False


def _product(frames: bool, product: Product, raw: Size) -> Size:
    if not frames:
        return raw
    height, width = product.size or (product.height, product.width)
    pixels = width * height
    return Size(pixels // LEAST_PIXELS_A_BYTE, int(pixels * FRAME_BYTES_A_PIXEL))


class _Tally:
    """Adds up where bytes go: raw files below the subset's folder, products below `silver_path`.

    A raw picture and its product are one file with two names where both folders lie on the same
    file system, and so are a frame and its name in the official `frames/` folder.
    """

    def __init__(self, source: Source) -> None:
        self._config = source.config
        self._source = source
        self._facts = source.manifest
        self._images = source.config.images
        self._folder = source.config.folder
        self._one_device = device_of(self._images) == device_of(self._folder)
        self._from_net: list[Size] = []
        self._raws: list[Size] = []
        self._products = Size()
        self._made = 0

    def fetched(self, size: Size) -> None:
        """A raw asset comes from the network and is stored."""
        self._from_net.append(size)
        self._raws.append(size)

    def stored(self, size: Size) -> None:
        """A raw asset is unpacked from a local archive and stored."""
        self._raws.append(size)

    def made(self, size: Size, *, shared: bool) -> None:
        """A product is made; `shared`: from a raw file of ours that is stored already."""
        self._made += 1
        if not (shared and self._one_device and self._facts.process == "copy"):
            least = 0 if self._facts.process == "resize" else size.least
            self._products += Size(least, size.likely)

    def costs(self) -> Costs:
        disk = {self._images: self._products}
        below = self._raw_peak()
        if self._facts.frames and not self._one_device:
            below += self._products
        if self._facts.frames or not self._one_device or not self._made:
            disk[self._folder] = below
        fetch = sum(self._from_net, Size())
        raw = self._facts.raw
        if self._from_net and raw.bytes and (raw.archive or "").endswith(".gz"):
            # A gzip is read to its last wanted member, whatever little of it is kept.
            fetch = known(raw.bytes)
        return Costs(
            self._source.name,
            fetch,
            {folder: size for folder, size in disk.items() if size.likely or size.least},
            self._made,
            self._seconds(fetch),
        )

    def _raw_peak(self) -> Size:
        raws = self._raws
        if self._config.removes_videos and raws:
            # Those in work and the two on their way.
            window = min(len(raws), self._config.keys.jobs + 2)
            likely = sum(sorted(size.likely for size in raws)[-window:])
            return Size(max(size.least for size in raws), likely)
        return sum(raws, Size())

    def _seconds(self, fetch: Size) -> float:
        rates = self._config.rates
        requests = len(self._from_net) * self._source.requests_an_asset
        asking = requests / rates.requests_per_second if rates.requests_per_second else 0.0
        moving = fetch.likely / LINE_RATE
        pauses = len(self._from_net) * sum(rates.sleep_seconds) / 2
        # Who pauses between two does one thing after the other.
        return asking + moving + pauses if pauses else max(asking, moving)


def total(costs: Iterable[Costs]) -> tuple[Size, float]:
    """Bytes to fetch and seconds of several subsets: they share the line, not their pauses."""
    found = list(costs)
    fetch = sum((each.fetch for each in found), Size())
    return fetch, max([fetch.likely / LINE_RATE, *(each.seconds for each in found)])
