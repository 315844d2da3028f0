"""What a plan costs: bytes to fetch, disk at its fullest, time at polite rates. Asks no server.

`saco plan` prints it, and `saco prepare` refuses to begin what certainly does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.config import Settings
from saco_data.errors import Blocked, DiskFull
from saco_data.files import UnsafeName
from saco_data.ledger import Item
from saco_data.plan import Decision, SubsetPlan
from saco_data.records import Asset, Product
from saco_data.sources import Source

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
    settings: Settings,
    source: Source,
    steps: SubsetPlan,
    remembered: Mapping[str, Item],
    *,
    products: bool = True,
) -> Costs:
    """The costs of going a plan's road. `remembered`: the ledger's assets by key.

    `products`: whether they are made too, or raw media only fetched.
    """
    fetch = steps.assets(Decision.FETCH)
    process = steps.assets(Decision.PROCESS) if products else []
    sizes = {key: item.bytes for key, item in remembered.items() if item.bytes}
    sizes.update(source.sizes({asset.key for asset in process}))
    facts = settings.manifest(source.name)
    typical = Size(0, facts.raw.typical_bytes)

    def raw(asset: Asset) -> Size:
        size = sizes.get(asset.key)
        return typical if size is None else known(size)

    tally = _Tally(settings, source)
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


def of_manifest(settings: Settings, source: Source) -> Costs:
    """The costs as far as they are known while there is no annotation file: an upper bound mostly.

    Every image-phrase pair might have a file of its own, and every frame its own video.
    """
    facts = settings.manifest(source.name)
    count = facts.annotations.files or facts.annotations.image_nps
    typical = Size(0, facts.raw.typical_bytes)
    local = is_local(source)
    tally = _Tally(settings, source)
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
        return source.local()
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

    def __init__(self, settings: Settings, source: Source) -> None:
        self._settings = settings
        self._source = source
        self._facts = settings.manifest(source.name)
        self._images = settings.images(source.name)
        self._folder = settings.folder(source.name)
        self._one_device = device(self._images) == device(self._folder)
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
        if self._settings.removes_videos(self._source.name) and raws:
            # Those in work and the two on their way.
            window = min(len(raws), self._settings.keys.jobs + 2)
            likely = sum(sorted(size.likely for size in raws)[-window:])
            return Size(max(size.least for size in raws), likely)
        return sum(raws, Size())

    def _seconds(self, fetch: Size) -> float:
        rates = self._settings.rates(self._source.name)
        requests = len(self._from_net) * self._source.requests_an_asset
        asking = requests / rates.requests_per_second if rates.requests_per_second else 0.0
        moving = fetch.likely / LINE_RATE
        pauses = len(self._from_net) * sum(rates.sleep_seconds) / 2
        # Who pauses between two does one thing after the other.
        return asking + moving + pauses if pauses else max(asking, moving)


def device(path: Path) -> int:
    """The file system that holds, or will hold, a path."""
    return existing(path).stat().st_dev


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


@dataclass
class FileSystem:
    """One file system: what is free on it (bytes, new files or None) and what is needed of it."""

    folder: Path
    free: int
    files_free: int | None
    needed: Size = Size()
    written: int = 0

    @property
    def problem(self) -> str:
        """Why it certainly cannot hold what is needed; "" if it may."""
        if self.needed.least > self.free:
            return f"at least {human(self.needed.least)} needed, {human(self.free)} free"
        if self.files_free is not None and self.written > self.files_free:
            return f"{self.written} new files needed, {self.files_free} possible (inodes)"
        return ""

    @property
    def doubt(self) -> str:
        """Why it probably cannot; "" if it probably can."""
        if self.needed.likely > self.free:
            return f"about {human(self.needed.likely)} needed, {human(self.free)} free"
        return ""


class Room:
    """The room there was when a run began, and what of it is spoken for."""

    def __init__(self) -> None:
        self.systems: dict[int, FileSystem] = {}

    def add(self, costs: Costs) -> list[FileSystem]:
        """Counts in the costs of a subset; returns the file systems that they touch."""
        touched: dict[int, FileSystem] = {}
        for folder, size in costs.disk.items():
            number = device(folder)
            if number not in self.systems:
                self.systems[number] = _measured(folder)
            system = touched[number] = self.systems[number]
            system.needed += size
        for system in list(touched.values())[:1]:  # products come first
            system.written += costs.written
        return list(touched.values())

    def reserve(self, costs: Costs) -> list[str]:
        """As `add`; returns warnings. Raises DiskFull where it certainly does not fit any more."""
        before = {number: (each.needed, each.written) for number, each in self.systems.items()}
        touched = self.add(costs)
        problems = [(each.folder, each.problem) for each in touched if each.problem]
        if problems:
            # What is refused takes no room from the others.
            for number, each in self.systems.items():
                each.needed, each.written = before.get(number, (Size(), 0))
            folder, problem = problems[0]
            raise DiskFull(
                f"it does not fit: {problem}",
                item=f"file system {folder}",
                remedy="Nothing was fetched. Free some space, or choose another folder for it",
            )
        return [f"{each.folder}: {each.doubt}" for each in touched if each.doubt]


def _measured(folder: Path) -> FileSystem:
    there = existing(folder)
    status = os.statvfs(there)
    files_free = status.f_favail if status.f_files else None
    return FileSystem(mount_of(there), status.f_bavail * status.f_frsize, files_free)


def mount_of(path: Path) -> Path:
    """The highest folder above a path on the same file system."""
    number = path.stat().st_dev
    while path != path.parent and path.parent.stat().st_dev == number:
        path = path.parent
    return path


def human(size: int) -> str:
    """Bytes for people: 1.4 GB."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"


def total(costs: Iterable[Costs]) -> tuple[Size, float]:
    """Bytes to fetch and seconds of several subsets: they share the line, not their pauses."""
    found = list(costs)
    fetch = sum((each.fetch for each in found), Size())
    return fetch, max([fetch.likely / LINE_RATE, *(each.seconds for each in found)])
