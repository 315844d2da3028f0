"""What a source is: it knows names and locations, and what "gone" means there.

A source turns assets into `Arrival`s (the raw thing is at hand) or `Outcome`s (it is not, and why).
It yields lazily: nothing more is fetched before the consumer asks, which is what bounds the disk.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from saco_data.storage.names import UnsafeName, safe_join

if TYPE_CHECKING:
    from saco_data.model.items import Item
    from saco_data.transports.http import Http


@dataclass
class Context:
    """What a source may use while it fetches. `stop` is set when the run is to end early."""

    stop: threading.Event = field(default_factory=threading.Event)
    # Remembered facts of an asset by key (ETag, version id, fingerprint), from the ledger.
    known: dict[str, dict[str, Any]] = field(default_factory=dict)


def version_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a server said of a file, what tells its versions apart (see `Source.changed`)."""
    return {name: facts[name] for name in ("etag", "last_modified") if name in facts}


class Source(ABC):
    """Base of all sources. Subclasses implement `fetch`."""

    # Requests that one asset costs, for estimates of time.
    requests_an_asset: ClassVar[float] = 1

    # A file name with characters that some file systems refuse; "" if there are none.
    awkward_name: ClassVar[str] = ""

    def __init__(self, config: SubsetConfig) -> None:
        self.config = config
        self.manifest: Manifest = config.manifest

    @property
    def name(self) -> str:
        """The id of the subset."""
        return self.config.id

    def key_of(self, product: Product) -> str:
        """The key of the asset that a product comes from: its video, or the file itself."""
        return product.video if product.video is not None else product.file_name

    def raw_path(self, key: str) -> Path:
        """Where the raw file of an asset lies once fetched. Raises UnsafeName."""
        return safe_join(self.config.raw_folder, key)

    def location(self) -> str:
        """What answers for this source now; "gone" holds for this location only."""
        return ""

    def location_without_secrets(self) -> str:
        """The location as it may be stored: without passwords."""
        return without_user(self.location())

    def is_local(self) -> bool:
        """Whether the raw medium is on this machine, so that reading it costs no network."""
        return False

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Bytes of the raw assets that are on this machine, as far as that is cheap to know."""
        sizes: dict[str, int] = {}
        for key in keys:
            with contextlib.suppress(OSError, UnsafeName):
                sizes[key] = self.raw_path(key).stat().st_size
        return sizes

    def unpacks(self) -> bool:
        """Whether a raw medium that is on this machine is copied out of an archive, to be kept."""
        return False

    def missing_requirement(self) -> str:
        """What the user must do before this source can be fetched, in one line; "" for nothing.

        What is missing, and the step to take. Cheap; no request is sent.
        """
        return ""

    def diagnose(self) -> Iterator[Finding]:
        """What `saco doctor` says of access, credentials and programs; no request is sent."""
        yield ok(self.name, "open to everybody")

    def diagnose_online(self) -> Finding:
        """What one harmless request to the source shows. Raises SacoError, any client's error."""
        return check_address(self, self.probe_address())

    def probe_address(self) -> str | None:
        """A URL that shows whether the source answers; None where there is nothing to ask."""
        return None

    # Whether a "not found" at `probe_address` shows as well that the host answers.
    probe_may_be_missing: ClassVar[bool] = False

    @abstractmethod
    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        """Gets raw assets, one arrival or outcome each, in any order.

        Raises Blocked when the whole source needs its user or a rest; assets not yet yielded then
        have lost nothing.
        """

    def find_changed(self, known: Mapping[str, Item]) -> Iterator[str]:
        """Of assets that were fetched, by key, those that the source has in another version now.

        Asks only where that is cheap, which here means: the ETag is known and can be compared. An
        asset of which nothing can be learned has not changed.
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
        """The outcome of an asset that could not be had."""
        where = without_user(origin)
        return Outcome(
            self.name, asset.key, reason, detail=detail, origin=where, facts=facts, is_asset=True
        )

    def open_http(self, **policy: Any) -> Http:
        """An HTTP client that keeps to this source's polite rates; `policy` as in `Policy`."""
        from saco_data.transports.base import Policy
        from saco_data.transports.http import Http

        rates = self.config.rates
        return Http(
            Policy(
                concurrency=rates.concurrency,
                requests_per_second=rates.requests_per_second,
                sleep_seconds=rates.sleep_seconds,
                **policy,
            )
        )
