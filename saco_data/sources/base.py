"""The interface of a source: keys and locations of raw media, and what counts as "gone" there.

A source turns each asset into an `Arrival` (its raw file is at hand) or an `Outcome` (why it is
not). It yields lazily: the next asset is fetched when the consumer asks, which bounds the disk.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from saco_data.catalog.manifest import Manifest
from saco_data.config.subset import SubsetConfig
from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked
from saco_data.model.finding import Finding, ok
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources.diagnosis import check_address
from saco_data.storage.fetched import keep_note
from saco_data.storage.names import UnsafeName, safe_join

if TYPE_CHECKING:
    from saco_data.dataset.listing import Found
    from saco_data.model.items import Item
    from saco_data.transports.http import Http


@dataclass
class Context:
    """What a source is given while it fetches. `stop` is set when the run is to end early.

    `unpacked` is told the key of each raw file that `write_listing` has taken out of an archive,
    while the archive streams on; from any thread.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    # Remembered facts of an asset by key (ETag, version id, fingerprint), from the ledger.
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    unpacked: Callable[[str], None] = lambda key: None


# The folder, below that of the raw files, of copies that are used instead of the user's own.
BESIDE = "fetched_again"


def version_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that identify a version of a remote file (see `Source.find_changed`)."""
    return {name: facts[name] for name in ("etag", "last_modified") if name in facts}


class Source(ABC):
    """Base of all sources. Subclasses implement `fetch`."""

    # Number of requests for one asset, to estimate time.
    requests_an_asset: ClassVar[float] = 1

    # Whether an asset is asked for only when the one before has come: pauses and transfer add up.
    is_one_by_one: ClassVar[bool] = False

    # A file name with characters that some file systems refuse; "" if there are none.
    awkward_name: ClassVar[str] = ""

    def __init__(self, config: SubsetConfig) -> None:
        self.config = config
        self.manifest: Manifest = config.manifest
        keep_note(
            config.raw_folder, config.settings.state / "fetched" / config.id.replace("/", ".")
        )
        # The user's raw files that are not to be used.
        self._unusable: set[Path] = set()

    @property
    def name(self) -> str:
        """The id of the subset."""
        return self.config.id

    def key_of(self, product: Product) -> str:
        """The key of the asset that a product comes from: its video, or the file itself."""
        return product.video if product.video is not None else product.file_name

    def raw_path(self, key: str) -> Path:
        """The path of the raw file of an asset. Raises UnsafeName.

        It is the copy in the folder `BESIDE` where there is one, or where one is to be fetched.
        """
        path = safe_join(self.config.raw_folder, key)
        if self._has_beside:
            beside = safe_join(self.config.raw_folder / BESIDE, key)
            if path in self._unusable or beside.is_file():
                return beside
        return path

    @functools.cached_property
    def _has_beside(self) -> bool:
        return os.path.isdir(self.config.raw_folder / BESIDE)  # noqa: PTH112 - never raises

    def fetch_beside(self, key: str) -> Path:
        """Leaves the user's own raw file of an asset as it is: another copy goes beside it.

        Returns the path of that copy. Raises OSError where its folder cannot be written.
        """
        path, folder = self.raw_path(key), self.config.raw_folder / BESIDE
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        self._has_beside = True
        if path.is_relative_to(folder):
            path = self.config.raw_folder / path.relative_to(folder)
        self._unusable.add(path)
        return self.raw_path(key)

    def location(self) -> str:
        """Where the source fetches from now; a verdict "gone" holds for this location only."""
        return ""

    def location_without_secrets(self) -> str:
        """The location as it may be stored: without passwords."""
        return without_user(self.location())

    def is_local(self) -> bool:
        """Whether the raw medium is on this machine, so that reading it costs no network."""
        return False

    def modules(self) -> tuple[str, ...]:
        """Modules that `fetch` needs from the first request on, by name.

        They are loaded before its thread starts: of two threads that import parts of one package
        at the same time, one can end with an error of Python's import locks.
        """
        return () if self.is_local() else ("saco_data.transports.http.session",)

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Bytes of raw assets on this machine, by key, where they can be determined quickly."""
        sizes: dict[str, int] = {}
        for key in keys:
            with contextlib.suppress(OSError, UnsafeName):
                sizes[key] = self.raw_path(key).stat().st_size
        return sizes

    def unpacks(self) -> bool:
        """Whether raw files are unpacked from a local archive and kept."""
        return False

    def missing_requirement(self) -> str:
        """What is missing and the step for the user to take, in one line; "" if nothing is missing.

        Quick; sends no request.
        """
        return ""

    def diagnose(self) -> Iterator[Finding]:
        """Findings about access, credentials and programs for `saco doctor`; sends no request."""
        yield ok(self.name, "open to everybody")

    def diagnose_online(self) -> Finding:
        """The finding of one harmless request. Raises SacoError and errors of the client."""
        return check_address(self, self.probe_address())

    def probe_address(self) -> str | None:
        """A URL to check whether the source answers; None if no request is needed."""
        return None

    # Whether "not found" at `probe_address` counts as an answer.
    probe_may_be_missing: ClassVar[bool] = False

    def products_of(self, name: str) -> tuple[Product, ...]:
        """The products that the config asks for of a file that a listing names."""
        return (Product(name, 0, 0),)

    def write_listing(self, context: Context) -> list[str]:
        """Adds archives to the listing that names the products; returns the names of these.

        At most one that streams: its files are to be processed before the next one is read. Only
        for subsets whose archive is their index (`format: listing`).
        """
        raise NotImplementedError(f"{self.name} has no listing")

    def archives(self) -> tuple[str, ...]:
        """The archives whose listing names the products; empty where annotations name them."""
        return ()

    def estimate_archives(self, archives: Sequence[str]) -> tuple[int, dict[str, int]]:
        """The bytes that reading archives takes, and those that are kept of them, by kind of file.

        From the manifest; only for subsets whose archive is their index.
        """
        raw = self.manifest.raw
        size = (raw.bytes or 0) * len(archives) // (raw.shards or 1)
        return size, {"files": size}

    def chooses_by_content(self) -> bool:
        """Whether all archives must be listed before it is known which files are wanted."""
        return False

    def unlisted(self) -> list[str]:
        """Those of the archives that the listing does not have yet."""
        return []

    # Whether each archive can be read by another machine; see `group_by_archive`.
    is_sharded: ClassVar[bool] = False

    def group_by_archive(self, assets: Sequence[Asset]) -> dict[str, list[Asset]]:
        """Assets by the name of the archive that holds them, without those that none holds.

        Only for sources that are sharded.
        """
        return {}

    def read_archive(self, archive: str, context: Context) -> Found:
        """What an archive holds, for the listing; one that streams is unpacked as well.

        Only for subsets whose archive is their index. Raises as `write_listing` does.
        """
        raise NotImplementedError(f"{self.name} has no listing")

    @abstractmethod
    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        """Yields one arrival or outcome for each asset, in any order.

        Raises Blocked when the whole source needs the user or a rest; no attempt is then counted
        for assets that were not yielded.
        """

    def yield_on_disk(self, assets: Sequence[Asset]) -> Generator[Arrival, None, dict[str, Asset]]:
        """Yields an arrival for each asset whose raw file is on disk; returns the others by key.

        Raises UnsafeName.
        """
        missing: dict[str, Asset] = {}
        for asset in assets:
            path = self.raw_path(asset.key)
            if path.is_file():
                yield Arrival(asset, path, "", owned=True)
            else:
                missing[asset.key] = asset
        return missing

    def find_changed(self, known: Mapping[str, Item]) -> Iterator[str]:
        """The keys of fetched assets that have another version at the source now.

        Compares ETags, one request for each asset. An asset without a known ETag, or whose server
        does not answer, counts as unchanged.
        """
        tagged = {
            key: item
            for key, item in known.items()
            if item.facts.get("etag") and is_url(item.origin)
        }
        if not tagged or self.is_local():
            return
        from saco_data.transports.base import Failure

        with self.open_http(attempts=1, connect_timeout=5) as http:
            for key, item in tagged.items():
                try:
                    now = http.open(item.origin).identity
                except Failure as failure:
                    if failure.reason.state is State.GONE:
                        continue
                    return
                except Blocked:
                    return
                if now and now not in (item.facts["etag"], item.facts.get("last_modified")):
                    yield key

    def outcome(
        self, asset: Asset, reason: Reason, detail: str = "", origin: str = "", **facts: Any
    ) -> Outcome:
        """The outcome of an asset that could not be fetched; `facts` go to the ledger."""
        shown = without_user(origin)
        return Outcome(
            self.name, asset.key, reason, detail=detail, origin=shown, facts=facts, is_asset=True
        )

    def open_http(self, **policy: Any) -> Http:
        """An HTTP client that keeps to this source's polite rates; `policy` as in `Policy`."""
        from saco_data.transports.base import Policy
        from saco_data.transports.http import Http

        rates = self.config.rates
        polite = {
            "concurrency": rates.concurrency,
            "requests_per_second": rates.requests_per_second,
            "sleep_seconds": rates.sleep_seconds,
        }
        return Http(Policy(**{**polite, **policy}))
