"""National Gallery of Art: IIIF pictures by UUID, within the size limits of its catalogue."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.yaml_text import without_user
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import documents
from saco_data.sources.base import Context, Source, version_of
from saco_data.storage import files
from saco_data.storage.fetched import is_fetched

if TYPE_CHECKING:
    from saco_data.transports.base import Failure, Reply
    from saco_data.transports.http import Http

_COLUMNS = ("uuid", "width", "height", "maxpixels", "openaccess")


@dataclass(frozen=True, slots=True)
class Row:
    """The catalogue's row of a picture, as text; sides in pixels, blank `maxpixels`: no limit."""

    width: str
    height: str
    maxpixels: str
    openaccess: str

    @property
    def limit(self) -> int | None:
        """The longest side that may be kept, in pixels; None for no limit. Raises ValueError."""
        limit = _number(self.maxpixels)
        if limit is not None and limit < 1:
            raise ValueError(f"maxpixels is {self.maxpixels!r}")
        return limit

    @property
    def size(self) -> str:
        """The IIIF size to request. Raises ValueError."""
        limit = self.limit
        if limit is None:
            return "full"
        try:
            sides = [_number(self.width) or limit, _number(self.height) or limit]
        except ValueError:
            sides = [limit]
        return "full" if limit > max(sides) else f"!{limit},{limit}"

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for the ledger; the licence follows from `openaccess`."""
        return {"openaccess": self.openaccess == "1", "maxpixels": self.maxpixels}


def _number(text: str) -> int | None:
    """The number in `640` or `640.0` (as tables write it); None for a blank. Raises ValueError."""
    try:
        return int(float(text)) if text.strip() else None
    except OverflowError:
        raise ValueError(f"{text!r} is not a number of pixels") from None


class NgaSource(Source):
    """Pictures over IIIF.

    A picture that is larger than the catalogue allows is not kept and counts as failed (wrong
    size): the server may send the right size next time.
    """

    def probe_address(self) -> str | None:
        return self.config.endpoint("catalogue")

    def key_of(self, product: Product) -> str:
        return documents.uuid_of(product.file_name)

    def raw_path(self, key: str) -> Path:
        return super().raw_path(f"{key}.jpg")

    def location(self) -> str:
        return " ".join(self.config.endpoint(name) for name in ("catalogue", "iiif"))

    @property
    def catalogue(self) -> Path:
        """Where the catalogue is kept."""
        return self.config.folder / "published_images.csv"

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted = {asset.key: asset for asset in assets}
        on_disk = [uuid for uuid in wanted if self.raw_path(uuid).is_file()]
        rows = (self._read_catalogue(on_disk) if on_disk else None) or {}
        for uuid in on_disk:
            path, row = self.raw_path(uuid), rows.get(uuid)
            # A run may have been killed before this check.
            if row and _find_excess(path, row):
                if is_fetched(path):
                    path.unlink()
                else:
                    self.fetch_beside(uuid)
                continue
            asset = wanted.pop(uuid)
            yield Arrival(asset, path, "", owned=True, facts=row.facts if row else {})
        if wanted:
            with self.open_http() as http:
                yield from self._download(http, wanted, context)

    def _download(
        self, http: Http, wanted: dict[str, Asset], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.base import Expect, Request

        rows, failure = self._look_up(http, wanted.keys())
        requests = []
        for uuid, asset in wanted.items():
            row = rows.get(uuid)
            if row is None and failure:
                yield self.outcome(asset, failure.reason, f"catalogue: {failure.what}")
            elif row is None:
                detail = "its uuid is not in the catalogue of published images"
                origin = self.config.endpoint("catalogue")
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, origin)
            else:
                try:
                    url = f"{self.config.endpoint('iiif')}/{uuid}/full/{row.size}"
                except ValueError as error:
                    detail = f"the catalogue cannot be understood: {error}"
                    yield self.outcome(asset, Reason.EXTRACTOR_ERROR, detail)
                    continue
                to = self.raw_path(asset.key)
                expect = Expect(kind="image")
                requests.append(Request(uuid, f"{url}/0/default.jpg", to, expect))
        for reply in http.fetch(requests, context.stop):
            yield self._check_reply(wanted[reply.key], reply, rows[reply.key])
            if context.stop.is_set():
                return

    def _check_reply(self, asset: Asset, reply: Reply, row: Row) -> Arrival | Outcome:
        if reply.path is None:
            return self.outcome(asset, reply.reason, reply.detail, reply.origin)
        if excess := _find_excess(reply.path, row):
            reply.path.unlink()
            return self.outcome(asset, Reason.WRONG_SIZE, excess, reply.origin)
        facts = {**row.facts, **version_of(reply.facts)}
        return Arrival(asset, reply.path, reply.origin, owned=True, facts=facts)

    def _look_up(
        self, http: Http, uuids: Collection[str]
    ) -> tuple[dict[str, Row], Failure | Blocked | None]:
        """The catalogue's rows by UUID, and the error that prevented an update, if any.

        The catalogue is requested only if a UUID is missing from the stored one. Raises Blocked or
        Failure if there is no catalogue at all.
        """
        from saco_data.transports.base import Failure

        rows = self._read_catalogue(uuids)
        if rows is not None and all(uuid in rows for uuid in uuids):
            return rows, None
        try:
            self._refresh(http, is_stored=rows is not None)
        except (Failure, Blocked) as error:
            if rows is None:
                raise
            return rows, error
        return self._read_catalogue(uuids) or {}, None

    def _refresh(self, http: Http, *, is_stored: bool) -> None:
        from saco_data.transports.base import Expect, Failure

        url = self.config.endpoint("catalogue")
        note = self.catalogue.with_name(".published_images.json")
        try:
            remote = http.open(url)
        except Failure as failure:
            if failure.reason.state is State.GONE:
                remedy = self.config.endpoint_remedy("catalogue")
                raise documents.missing(failure.what, failure.item, remedy) from None
            raise
        version = json.dumps({"url": without_user(url), "version": remote.identity}).encode()
        if is_stored and remote.identity and files.has_content(note, version):
            return
        # Truncated, it would make pictures look gone: compare with the size of the first answer.
        expect = Expect(bytes=remote.size)
        remedy = self.config.endpoint_remedy("catalogue")
        documents.fetch(http, url, self.catalogue, _check, expect, remedy)
        files.write_if_changed(note, version)

    def _read_catalogue(self, uuids: Collection[str]) -> dict[str, Row] | None:
        """The rows of the stored catalogue by UUID; None if it is missing or unusable."""
        try:
            return read(self.catalogue, uuids)
        except (OSError, ValueError):
            return None


def read(path: Path, uuids: Collection[str]) -> dict[str, Row]:
    """The rows of some pictures by UUID. Raises OSError, and ValueError for other content."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            places = [header.index(name) for name in _COLUMNS]
            rows: dict[str, Row] = {}
            wanted = frozenset(uuids)
            for line in lines:
                if len(line) > len(header):
                    raise ValueError(f"line {lines.line_num} has {len(line)} fields")
                values = line + [""] * (len(header) - len(line))
                uuid, *rest = (values[place] for place in places)
                if (uuid := uuid.lower()) in wanted:
                    rows[uuid] = Row(*rest)
        except csv.Error as error:
            raise ValueError(str(error)) from error
    return rows


def _check(path: Path) -> None:
    read(path, ())
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read() != b"\n":
            raise ValueError("its last line is cut")


def _find_excess(path: Path, row: Row) -> str:
    """How a picture is larger than the catalogue allows; "" if it is not."""
    from PIL import Image

    try:
        limit = row.limit
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""  # processing reports the fault
    if limit is None or max(width, height) <= limit:
        return ""
    return f"the server sent {width} x {height}, the catalogue allows {limit} a side: not kept"
