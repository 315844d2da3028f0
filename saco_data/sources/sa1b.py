"""SA-1B: 1,000 tars of pictures, each with one JSON of masks; a tar is one item of the ledger.

Files of a tar are unpacked into a folder beside the products, `unpacked/<name>/`. When its end is
reached, a list of their names is written as `unpacked/<name>.tar`: that is the raw file of the
item. The engine checks them, moves them into flat folders and writes the inventory of the tar
(`engine.shard_files`).
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from saco_data.catalog.manifest import ShardFiles
from saco_data.dataset import listing
from saco_data.dataset.listing import Found
from saco_data.model.errors import ConfigError, Incomplete
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import shard_numbers
from saco_data.sources.base import Context
from saco_data.sources.listed import ListedSource, log
from saco_data.sources.sav_train import hash_of
from saco_data.storage import files
from saco_data.storage.names import safe_join
from saco_data.transports.archive.safety import ArchiveDamaged
from saco_data.transports.base import Failure

_ID = re.compile(r"(?:sa_)?(\d{1,12})(?:\.jpg|\.json)?")


class Sa1bSource(ListedSource):
    """The shards that the config names, else all; of these all files, or what the config chooses.

    Which shard holds a picture is not published: for a list of pictures, all shards are looked
    through, and only the listed files are read.
    """

    @property
    def facts(self) -> ShardFiles:
        """What the manifest says of the files in a shard."""
        assert self.manifest.shard_files is not None
        return self.manifest.shard_files

    def archives(self) -> tuple[str, ...]:
        given = self.config.collection.shards
        every = range(self.manifest.raw.shards or 0)
        numbers = set(every) if given is None else shard_numbers.parse(given)
        return shard_numbers.name_archives(self.manifest, numbers)

    def write_listing(self, context: Context) -> list[str]:
        """Lists the shards that the config names, without reading them: each is one product."""
        missing = self.unlisted()
        if missing:
            made = {each: Found({self._inventory_of(each)}) for each in missing}
            known = listing.read_archives(self.config.pristine)
            listing.write(self.config.pristine, {**known, **made})
        return []

    def products_of(self, name: str) -> tuple[Product, ...]:
        return (Product(name, 0, 0, choice=self.choice),)

    def key_of(self, product: Product) -> str:
        """The name of the archive of an inventory."""
        return f"{PurePosixPath(product.file_name).stem}.tar"

    def group_by_archive(self, assets: Sequence[Asset]) -> dict[str, list[Asset]]:
        return {asset.key: [asset] for asset in assets}

    @functools.cached_property
    def choice(self) -> str:
        """Which files of a shard the config chooses, in words that the ledger keeps."""
        ids = self._ids
        chosen = "all" if ids is None else f"{len(ids)} listed {hash_of(map(str, ids))}"
        return chosen if self.config.collection.pictures else f"{chosen}, annotations only"

    def location(self) -> str:
        given = self.config.raw
        numbers = hash_of(self.archives())
        return f"{given if isinstance(given, Path) else ''} {numbers} {self.choice}"

    def raw(self) -> str | Path | None:
        given = self.config.raw
        return given if isinstance(given, Path) else super().raw()

    def raw_of(self, archive: str) -> str | Path | None:
        given = self.config.raw
        if isinstance(given, Path):
            # A folder with tars, or with a folder of the content of each; or one tar of several.
            folder = given if given.is_dir() else given.parent
            unpacked = folder / PurePosixPath(archive).stem
            return unpacked if unpacked.is_dir() else folder / archive
        if given:
            return f"{given.rstrip('/')}/{archive}"
        return super().raw_of(archive)

    def find_key(self, name: str) -> str | None:
        """The product that a member is; None for members that are not chosen."""
        found = super().find_key(name)
        is_picture = found is not None and found.endswith(".jpg")
        if found is None or (is_picture and not self.config.collection.pictures):
            return None
        if self._ids is not None:
            number = int(PurePosixPath(found).stem[len("sa_") :])
            at = bisect_left(self._ids, number)
            if at == len(self._ids) or self._ids[at] != number:
                return None
        return found

    def key_in(self, archive: str, name: str) -> str | None:
        # Of two archives with a file of one name, none can change what the other unpacked.
        found = self.find_key(name)
        return None if found is None else f"{PurePosixPath(archive).stem}/{found}"

    def file_name_of(self, key: str) -> str:
        facts = self.facts
        return f"{facts.pictures if key.endswith('.jpg') else facts.annotations}/{key}"

    def raw_path(self, key: str) -> Path:
        """The path of the list of what was unpacked of an archive, or of an unpacked file.

        The folder of the files is beside the list, and has its name without `.tar`.
        """
        return safe_join(self.config.unpacked, key)

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        missing = yield from self.yield_on_disk(assets)
        if missing:
            self.require_raw()
        for archive, asset in missing.items():
            if context.stop.is_set():
                return
            raw = self.raw_of(archive)
            if isinstance(raw, Path) and not raw.exists():
                yield self.outcome(asset, Reason.RAW_MISSING, f"{raw} does not exist")
                continue
            try:
                found = self._read(archive, context)
            except Failure as failure:
                # An archive that is missing says nothing about its pictures: not gone.
                is_failed = failure.reason.state is State.FAILED
                reason = failure.reason if is_failed else Reason.HTTP_ERROR
                yield self.outcome(asset, reason, failure.what)
                continue
            except Incomplete:
                return  # the run is to end
            if not found.names and self._ids is None:
                detail = "holds no picture and no annotations of SA-1B"
                yield self.outcome(asset, Reason.ARCHIVE_DAMAGED, detail)
                continue
            path = self.raw_path(archive)
            names = sorted(name.partition("/")[2] for name in found.names)
            files.write_if_changed(path, json.dumps(names).encode())
            yield Arrival(asset, path, archive, owned=True)

    def _unpacks(self, archive: str) -> bool:
        return True

    def _is_missing(self, key: str) -> bool:
        final = safe_join(self.config.images, key.partition("/")[2])
        return not (self.raw_path(key).exists() or final.exists())

    def _tell_of_source(self, archive: str, found: Found, error: ArchiveDamaged) -> None:
        log.warning(
            "%s: %s. It has the published checksum, so it is damaged at its source; the %d files "
            "before the damage are used",
            archive,
            error.what,
            len(found.names),
            extra={"subset": self.name},
        )

    def _remove_doubtful(self, names: Iterable[str], error: ArchiveDamaged) -> None:
        if not error.cut:
            for name in names:
                with contextlib.suppress(OSError):
                    self.raw_path(name).unlink()

    def estimate_archives(self, archives: Sequence[str]) -> tuple[int, dict[str, int]]:
        facts, raw = self.facts, self.manifest.raw
        part = len(archives) / (raw.shards or 1)
        # Headers lie about 1 MB apart: to read on is mostly quicker than to ask for the next one.
        read = int((raw.bytes or 0) * part)
        if self._ids is not None:
            part = min(part, len(self._ids) / facts.count)
        kept = {"annotations": int(facts.annotation_bytes * part)}
        if self.config.collection.pictures:
            kept = {"pictures": int(facts.picture_bytes * part), **kept}
        return read, kept

    def _inventory_of(self, archive: str) -> str:
        return f"{self.facts.inventories}/{PurePosixPath(archive).stem}.jsonl"

    @functools.cached_property
    def _ids(self) -> array[int] | None:
        """The numbers of the wanted pictures in order; None for all. Raises ConfigError."""
        value = self.config.collection.images
        if value is None:
            return None
        path = self.config.path(value)
        remedy = "Write one id a line, such as sa_223750, or correct `images` in the config"
        try:
            lines = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the list of pictures cannot be read ({error})", item=str(path), remedy=remedy
            ) from error
        matches = map(_ID.fullmatch, lines)
        numbers = {int(match[1]) if match else -1 for match in matches}
        if -1 in numbers:
            wrong = next(line for line in lines if not _ID.fullmatch(line))
            what = f"{wrong!r:.60} is not the id of a picture"
            raise ConfigError(what, item=str(path), remedy=remedy)
        if not numbers:
            raise ConfigError("names no picture", item=str(path), remedy=remedy)
        return array("q", sorted(numbers))
