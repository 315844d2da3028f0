"""FathomNet: records from its API in batches, then each image from its URL."""

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

from saco_data.config.yaml_text import without_user
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

# Outcomes of a download that may be due to an outdated stored record.
_STALE = (Reason.HTTP_404, Reason.HTTP_410, Reason.WRONG_DIGEST)


class FathomnetSource(Source):
    """Images of FathomNet, bytes unchanged, under the names in the annotations.

    The extension in a record's URL may differ from that in the annotations.
    """

    def key_of(self, product: Product) -> str:
        return documents.uuid_of(product.file_name)

    def location(self) -> str:
        return self.config.endpoint("api")

    def diagnose_online(self) -> Finding:
        """The finding of a look-up of a UUID that does not exist."""
        from saco_data.transports.base import Policy
        from saco_data.transports.services.fathomnet import FathomNetApi

        policy = Policy(attempts=1, connect_timeout=CONNECT_SECONDS, stall_timeout=CONNECT_SECONDS)
        with FathomNetApi(
            self.location(), policy, threading.Event(), remedy=self.config.endpoint_remedy("api")
        ) as api:
            api.look_up(["00000000-0000-0000-0000-000000000000"])
        return ok(f"{self.name} online", f"{host_of(self.location())} answers")

    @property
    def records(self) -> Path:
        """The file of stored records: one JSON object a line, the last one of a UUID counts."""
        return self.config.folder / "records.jsonl"

    def names(self, uuids: Sequence[str]) -> list[str]:
        """The file names of some images: `<uuid>.<extension of the record's URL>`.

        `<uuid>.jpg` for an image that FathomNet does not know. Raises Blocked, Failure.
        """
        from saco_data.transports.services.fathomnet import Record

        known = self._read_records()
        unknown = [uuid for uuid in uuids if uuid not in known]
        for uuid, result in self._look_up(unknown, Context()):
            if isinstance(result, Record):
                known[uuid] = result
            elif result is not None:
                raise result
        suffixes = {
            uuid: PurePosixPath(urlsplit(record.url).path).suffix for uuid, record in known.items()
        }
        return [f"{uuid}{suffixes.get(uuid) or '.jpg'}" for uuid in uuids]

    def modules(self) -> tuple[str, ...]:
        return (*super().modules(), "saco_data.transports.services.fathomnet")

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted = yield from self.yield_on_disk(assets)
        if not wanted:
            return
        with self.open_http() as http:
            known = self._read_records()
            stale = yield from self._download(http, wanted, known, context)
            if stale and not context.stop.is_set():
                yield from self._download(http, stale, {}, context)

    def _download(
        self, http: Http, wanted: dict[str, Asset], known: dict[str, Record], context: Context
    ) -> Generator[Arrival | Outcome, None, dict[str, Asset]]:
        """Fetches images; returns those whose stored record proved outdated."""
        from saco_data.transports.base import Failure

        records = {uuid: known[uuid] for uuid in wanted if uuid in known}
        outcomes: deque[Outcome] = deque()
        failure: list[Failure | Blocked] = []

        def requests() -> Iterator[Request]:
            try:
                yield from self._requests(records.items())
                unknown = [uuid for uuid in wanted if uuid not in records]
                for uuid, result in self._look_up(unknown, context):
                    if result is None:
                        detail = "FathomNet does not know its uuid"
                        outcomes.append(self._gone(wanted[uuid], detail))
                    elif isinstance(result, Failure):
                        asset, detail = wanted[uuid], result.what
                        outcomes.append(self.outcome(asset, result.reason, detail, result.item))
                    elif self._names_inside(result):
                        detail = (
                            "its record names an address inside this network, which is not asked"
                        )
                        outcomes.append(self.outcome(wanted[uuid], Reason.HTTP_ERROR, detail))
                    else:
                        records[uuid] = result
                        yield from self._requests([(uuid, result)])
            except (Failure, Blocked) as error:
                # Raised after the downloads that have already started.
                failure.append(error)

        stale: dict[str, Asset] = {}
        for reply in http.fetch(requests(), context.stop):
            while outcomes:
                yield outcomes.popleft()
            if reply.reason in _STALE and reply.key in known:
                stale[reply.key] = wanted[reply.key]
            else:
                yield self._check_reply(wanted[reply.key], reply, records[reply.key])
            if context.stop.is_set():
                return {}
        yield from outcomes
        if failure:
            raise failure[0]
        return stale

    def _requests(self, records: Iterable[tuple[str, Record]]) -> Iterator[Request]:
        from saco_data.transports.base import Expect, Request

        for uuid, record in records:
            expect = Expect(kind="image", sha256=record.sha256 or None)
            yield Request(uuid, record.url, self.raw_path(uuid), expect)

    def _names_inside(self, record: Record) -> bool:
        """Whether a record of a public server names an address inside our own network."""
        from yarl import URL

        from saco_data.transports.http.addresses import leads_inside

        try:
            return leads_inside(URL(record.url)) and not leads_inside(URL(self.location()))
        except ValueError:
            return False  # fetching reports the fault

    def _look_up(
        self, uuids: Sequence[str], context: Context
    ) -> Iterator[tuple[str, Record | Failure | None]]:
        """The record of each image, None for an unknown image. Raises Blocked, Failure."""
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
        with FathomNetApi(
            self.location(), policy, context.stop, remedy=self.config.endpoint_remedy("api")
        ) as api:
            while (batch := list(islice(rest, BATCH))) and not context.stop.is_set():
                results = api.look_up(batch)
                self._append_records(
                    {key: value for key, value in results.items() if isinstance(value, Record)}
                )
                yield from ((uuid, results.get(uuid)) for uuid in batch)

    def _gone(self, asset: Asset, detail: str) -> Outcome:
        return self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self.location())

    def _check_reply(self, asset: Asset, reply: Reply, record: Record) -> Arrival | Outcome:
        if reply.path is None:
            return self.outcome(asset, reply.reason, reply.detail, reply.origin)
        if problem := _find_other_size(reply.path, record):
            reply.path.unlink()
            return self.outcome(asset, Reason.WRONG_SIZE, problem, reply.origin)
        facts = version_of(reply.facts)
        if record.sha256:
            facts["verified"] = "sha256"
        if record.contributor:
            facts["contributor"] = record.contributor
        return Arrival(asset, reply.path, reply.origin, owned=True, facts=facts)

    def _read_records(self) -> dict[str, Record]:
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
                if api == self.location_without_secrets():
                    known[uuid] = Record(**content)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # a line that was cut when a run was killed
        return known

    def _append_records(self, records: dict[str, Record]) -> None:
        lines = [
            json.dumps({"uuid": uuid, "api": self.location_without_secrets(), **asdict(record)})
            for uuid, record in records.items()
            # A signed address must not be stored, and is of no use later.
            if without_user(record.url) == record.url
        ]
        with explain_errors(self.records):
            self.records.parent.mkdir(parents=True, exist_ok=True)
            with self.records.open("a", encoding="ascii") as file:
                # The first line break ends a line that may have been cut.
                file.write("\n" + "\n".join(lines) + "\n")


def _find_other_size(path: Path, record: Record) -> str:
    """How the size of an image without a digest differs from its record; "" if it does not."""
    from PIL import Image

    if record.sha256 or not record.width or not record.height:
        return ""
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""  # processing reports the fault
    if sorted(size) == sorted((record.width, record.height)):
        return ""
    return f"is {size[0]} x {size[1]}, its record says {record.width} x {record.height}: not kept"
