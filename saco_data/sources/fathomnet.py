"""FathomNet: records from its API, a hundred at a time, then each image from its own URL."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from saco_data.model.errors import Blocked
from saco_data.model.finding import Finding, ok
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import documents
from saco_data.sources.base import Context, Source, version_of
from saco_data.sources.diagnosis import CONNECT_SECONDS, host_of
from saco_data.storage.disk_errors import explain_errors

if TYPE_CHECKING:
    from saco_data.transports.base import Failure, Reply, Request
    from saco_data.transports.http import Http
    from saco_data.transports.services.fathomnet import Record

# What may only mean that a remembered record is out of date.
_STALE = (Reason.HTTP_404, Reason.HTTP_410, Reason.WRONG_DIGEST)


class FathomnetSource(Source):
    """Images of FathomNet, bytes unchanged, named as the annotations name them.

    The extension of a record's URL may differ from the annotation's: evaluation reads the latter.
    """

    def key_of(self, product: Product) -> str:
        return documents.uuid_of(product.file_name)

    def location(self) -> str:
        return self.config.endpoint("api")

    def diagnose_online(self) -> Finding:
        """A look-up of a UUID that nothing has."""
        from saco_data.transports.base import Policy
        from saco_data.transports.services.fathomnet import FathomNetApi

        policy = Policy(attempts=1, connect_timeout=CONNECT_SECONDS, stall_timeout=CONNECT_SECONDS)
        with FathomNetApi(self.location(), policy, threading.Event()) as api:
            api.look_up(["00000000-0000-0000-0000-000000000000"])
        return ok(f"{self.name} online", f"{host_of(self.location())} answers")

    @property
    def records(self) -> Path:
        """Where records are kept: one JSON object a line, the last one of a UUID counts."""
        return self.config.folder / "records.jsonl"

    def names(self, uuids: Sequence[str]) -> list[str]:
        """What the files of some images are called: `<uuid>.<extension of the record's URL>`.

        An image that FathomNet does not know is called `<uuid>.jpg`. Raises Blocked, Failure.
        """
        from saco_data.transports.services.fathomnet import Record

        known = self._remembered()
        unknown = [uuid for uuid in uuids if uuid not in known]
        for uuid, found in self._looked_up(unknown, Context()):
            if isinstance(found, Record):
                known[uuid] = found
            elif found is not None:
                raise found
        suffixes = {
            uuid: PurePosixPath(urlsplit(each.url).path).suffix for uuid, each in known.items()
        }
        return [f"{uuid}{suffixes.get(uuid) or '.jpg'}" for uuid in uuids]

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted: dict[str, Asset] = {}
        for asset in assets:
            path = self.raw_path(asset.key)
            if path.is_file():
                yield Arrival(asset, path, "", owned=True)
            else:
                wanted[asset.key] = asset
        if not wanted:
            return
        with self.open_http() as http:
            known = self._remembered()
            stale = yield from self._download(http, wanted, known, context)
            if stale and not context.stop.is_set():
                yield from self._download(http, stale, {}, context)

    def _download(
        self, http: Http, wanted: dict[str, Asset], known: dict[str, Record], context: Context
    ) -> Generator[Arrival | Outcome, None, dict[str, Asset]]:
        """Fetches images; returns those for which a record of earlier runs proved wrong."""
        from saco_data.transports.base import Failure

        records = {uuid: known[uuid] for uuid in wanted if uuid in known}
        settled: deque[Outcome] = deque()
        failure: list[Failure | Blocked] = []

        def requests() -> Iterator[Request]:
            try:
                yield from self._requests(records.items())
                unknown = [uuid for uuid in wanted if uuid not in records]
                for uuid, found in self._looked_up(unknown, context):
                    if found is None:
                        detail = "FathomNet does not know its uuid"
                        settled.append(self._gone(wanted[uuid], detail))
                    elif isinstance(found, Failure):
                        asset, detail = wanted[uuid], found.what
                        settled.append(self.outcome(asset, found.reason, detail, found.item))
                    else:
                        records[uuid] = found
                        yield from self._requests([(uuid, found)])
            except (Failure, Blocked) as error:
                # What is under way is finished first.
                failure.append(error)

        stale: dict[str, Asset] = {}
        for reply in http.fetch(requests(), context.stop):
            while settled:
                yield settled.popleft()
            if reply.reason in _STALE and reply.key in known:
                stale[reply.key] = wanted[reply.key]
            else:
                yield self._settled(wanted[reply.key], reply, records[reply.key])
            if context.stop.is_set():
                return {}
        yield from settled
        if failure:
            raise failure[0]
        return stale

    def _requests(self, records: Iterable[tuple[str, Record]]) -> Iterator[Request]:
        from saco_data.transports.base import Expect, Request

        for uuid, record in records:
            expect = Expect(kind="image", sha256=record.sha256 or None)
            yield Request(uuid, record.url, self.raw_path(uuid), expect)

    def _looked_up(
        self, uuids: Sequence[str], context: Context
    ) -> Iterator[tuple[str, Record | Failure | None]]:
        """The record of each image, None where there is none. Raises Blocked, Failure."""
        if not uuids:
            return
        from saco_data.transports.base import Policy
        from saco_data.transports.services.fathomnet import BATCH, FathomNetApi, Record

        rates = self.config.rates
        policy = Policy(
            requests_per_second=rates.requests_per_second,
            sleep_seconds=rates.sleep_seconds,
            stall_timeout=60,
        )
        rest = iter(uuids)
        with FathomNetApi(self.location(), policy, context.stop) as api:
            while (batch := list(islice(rest, BATCH))) and not context.stop.is_set():
                found = api.look_up(batch)
                self._remember({k: v for k, v in found.items() if isinstance(v, Record)})
                yield from ((uuid, found.get(uuid)) for uuid in batch)

    def _gone(self, asset: Asset, detail: str) -> Outcome:
        return self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self.location())

    def _settled(self, asset: Asset, reply: Reply, record: Record) -> Arrival | Outcome:
        if reply.path is None:
            return self.outcome(asset, reply.reason, reply.detail, reply.origin)
        if problem := _other_size(reply.path, record):
            reply.path.unlink()
            return self.outcome(asset, Reason.WRONG_SIZE, problem, reply.origin)
        facts = version_of(reply.facts)
        if record.sha256:
            facts["verified"] = "sha256"
        return Arrival(asset, reply.path, reply.origin, owned=True, facts=facts)

    def _remembered(self) -> dict[str, Record]:
        from saco_data.transports.services.fathomnet import Record

        try:
            lines = self.records.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        known: dict[str, Record] = {}
        for line in lines:
            try:
                content = json.loads(line)
                uuid, api = content.pop("uuid"), content.pop("api")
                if api == self.location():
                    known[uuid] = Record(**content)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # a line that a kill cut short
        return known

    def _remember(self, records: dict[str, Record]) -> None:
        lines = [
            json.dumps({"uuid": uuid, "api": self.location(), **asdict(record)})
            for uuid, record in records.items()
        ]
        with explain_errors(self.records):
            self.records.parent.mkdir(parents=True, exist_ok=True)
            with self.records.open("a", encoding="ascii") as file:
                # Begins on a new line even behind a cut one.
                file.write("\n" + "\n".join(lines) + "\n")


def _other_size(path: Path, record: Record) -> str:
    """How an image that no digest vouches for differs from its record; "" if it does not."""
    from PIL import Image

    if record.sha256 or not record.width or not record.height:
        return ""
    try:
        with Image.open(path) as image:
            found = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""  # processing will say what is wrong with it
    if sorted(found) == sorted((record.width, record.height)):
        return ""
    return f"is {found[0]} x {found[1]}, its record says {record.width} x {record.height}: not kept"
