"""iNaturalist 2017: members of one huge archive, found by the official mapping of names."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from saco_data.config.subset import SubsetConfig
from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources import documents
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context, Source
from saco_data.storage import files, untrusted_json

log = logging.getLogger(__name__)

_DEPTH = 3  # parts of a mapped name: group/species/photograph


class InaturalistSource(ArchiveSource):
    """Photographs from the archive while it streams, a local copy of it, or its extracted folder.

    The published mapping is held to its known sha256; another one that the config names
    (`endpoints: inaturalist_mapping`, a URL or a file) is taken as it is, with a warning.
    """

    def __init__(self, config: SubsetConfig) -> None:
        super().__init__(config)
        self._keys: dict[str, str] = {}

    def location(self) -> str:
        mapping = self._mapping_place()
        official = mapping == self.manifest.endpoints["mapping"]
        return super().location() if official else f"{super().location()} {without_user(mapping)}"

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        key = self._keys.get("/".join(name.split("/")[-_DEPTH:]))
        return key if key in wanted else None

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        # Two thirds of a million names to look at, and a mapping that may not be here yet.
        return Source.local_sizes(self, keys)

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        if all(self.raw_path(asset.key).is_file() for asset in assets):
            yield from super().fetch(assets, context)
            return
        self._existing()  # what needs the user comes before any download
        mapping = self.mapping()
        known = [asset for asset in assets if asset.key in mapping]
        self._keys = {mapping[asset.key]: asset.key for asset in known}
        for asset in assets:
            if asset.key not in mapping:
                detail = "the official mapping does not name it"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self._mapping_place())
        yield from super().fetch(known, context)

    def _mapping_place(self) -> str:
        return self.config.endpoint("mapping")

    def mapping(self) -> dict[str, str]:
        """The name in the archive by `file_name`. Raises Blocked or Failure."""
        place, pin = self._mapping_place(), self.manifest.pinned["mapping"].sha256
        official = place == self.manifest.endpoints["mapping"]
        folder = self.config.folder
        if not is_url(place):
            path = self.config.path(place)
        elif official:
            path = folder / place.rpartition("/")[2]
        else:
            digest = hashlib.sha256(place.encode()).hexdigest()[:8]
            path = folder / f"inaturalist_image_subset.{digest}.json"
        if is_url(place) and not _usable(path, pin if official else None):
            self._download(place, path, pin if official else None)
        try:
            mapping = read(path)
            found = files.sha256_of(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Blocked(
                f"the mapping of names cannot be used ({why})",
                item=without_user(str(path)),
                remedy="Correct or remove `endpoints: inaturalist_mapping` in the config",
                reason=Reason.RAW_MISSING,
            ) from None
        if found != pin:
            log.warning("%s is not the published mapping of names (sha256 differs)", path)
        return mapping

    def _download(self, url: str, to: Path, sha256: str | None) -> None:
        from saco_data.transports.base import Expect

        def check(path: Path) -> None:
            read(path)

        with self.open_http() as http:
            documents.fetch(http, url, to, check, Expect(sha256=sha256))


def read(path: Path) -> dict[str, str]:
    """A mapping of names. Raises OSError, and ValueError if it is none."""
    content = untrusted_json.parse(path.read_bytes())
    if not isinstance(content, dict) or not content:
        raise ValueError("not a JSON object of names")
    for value in content.values():
        if not isinstance(value, str) or value.count("/") != _DEPTH - 1:
            raise ValueError("a name is not of the form group/species/photograph")
    return content


def _usable(path: Path, sha256: str | None) -> bool:
    try:
        return path.is_file() and (sha256 is None or files.sha256_of(path) == sha256)
    except OSError:
        return False
