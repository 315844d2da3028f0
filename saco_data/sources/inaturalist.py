"""iNaturalist 2017: members of one large archive, found through the official name mapping."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.regular import require_regular
from saco_data.config.subset import SubsetConfig
from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources import documents
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context, Source
from saco_data.storage import files, untrusted_json

if TYPE_CHECKING:
    from saco_data.transports.http import Http

log = logging.getLogger(__name__)

_DEPTH = 3  # parts of a mapped name: group/species/photograph


class InaturalistSource(ArchiveSource):
    """Photographs from the streamed archive, a local copy of it, or its extracted folder.

    The published mapping must have its known sha256. Another one that the config names
    (`endpoints: inaturalist_mapping`, a URL or a file) is used as it is, with a warning.
    """

    def __init__(self, config: SubsetConfig) -> None:
        super().__init__(config)
        self._keys: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def location(self) -> str:
        mapping = self._mapping_address()
        official = mapping == self.manifest.endpoints["mapping"]
        return super().location() if official else f"{super().location()} {without_user(mapping)}"

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        key = self._keys.get("/".join(name.split("/")[-_DEPTH:]))
        return key if key in wanted else None

    def name_of(self, key: str) -> str:
        return self._names.get(key, key)

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        # Members are not looked up: about 670,000 names, and the mapping may not be downloaded yet.
        return Source.local_sizes(self, keys)

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        if all(self.raw_path(asset.key).is_file() for asset in assets):
            yield from super().fetch(assets, context)
            return
        self.require_raw()  # before any download
        known = self._find_names(assets)
        for asset in assets:
            if asset.key not in self._names:
                detail = "the official mapping does not name it"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self._mapping_address())
        yield from super().fetch(known, context)

    def media(
        self, assets: Sequence[Asset], http: Http, stop: threading.Event
    ) -> Iterator[tuple[Any, dict[str, Asset]]]:
        yield from super().media(self._find_names(assets), http, stop)

    def _find_names(self, assets: Sequence[Asset]) -> list[Asset]:
        """The assets that the mapping names; keeps their names in the archive."""
        mapping = self.mapping()
        known = [asset for asset in assets if asset.key in mapping]
        self._names = {asset.key: mapping[asset.key] for asset in known}
        self._keys = {name: key for key, name in self._names.items()}
        return known

    def _mapping_address(self) -> str:
        return self.config.endpoint("mapping")

    def mapping(self) -> dict[str, str]:
        """The name in the archive by `file_name`. Raises Blocked or Failure."""
        address, pinned = self._mapping_address(), self.manifest.pinned["mapping"].sha256
        official = address == self.manifest.endpoints["mapping"]
        folder = self.config.folder
        if not is_url(address):
            path = self.config.path(address)
        elif official:
            path = folder / address.rpartition("/")[2]
        else:
            digest = hashlib.sha256(address.encode()).hexdigest()[:8]
            path = folder / f"inaturalist_image_subset.{digest}.json"
        required = pinned if official else None
        if is_url(address) and not _is_usable(path, required):
            self._download(address, path, required)
        try:
            mapping = read(path)
            sha256 = files.sha256_of(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Blocked(
                f"the mapping of names cannot be used ({why})",
                item=without_user(str(path)),
                remedy=self.config.endpoint_remedy("mapping"),
                reason=Reason.RAW_MISSING,
            ) from None
        if sha256 != pinned:
            log.warning(
                "%s is not the published mapping of names (sha256 differs)",
                path,
                extra={"subset": self.name},
            )
        return mapping

    def _download(self, url: str, to: Path, sha256: str | None) -> None:
        from saco_data.transports.base import Expect

        def check(path: Path) -> None:
            read(path)

        with self.open_http() as http:
            remedy = self.config.endpoint_remedy("mapping")
            documents.fetch(http, url, to, check, Expect(sha256=sha256), remedy)


def read(path: Path) -> dict[str, str]:
    """The mapping of names in a file. Raises OSError, and ValueError for other content."""
    require_regular(path)
    content = untrusted_json.parse(path.read_bytes())
    if not isinstance(content, dict) or not content:
        raise ValueError("not a JSON object of names")
    for value in content.values():
        if not isinstance(value, str) or value.count("/") != _DEPTH - 1:
            raise ValueError("a name is not of the form group/species/photograph")
    return content


def _is_usable(path: Path, sha256: str | None) -> bool:
    try:
        return path.is_file() and (sha256 is None or files.sha256_of(path) == sha256)
    except OSError:
        return False
