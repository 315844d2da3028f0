"""Ego4D clips: the clip manifest says in which bucket each lies; AWS keys open them for 14 days."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.model.errors import Blocked
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources.base import Context, Source
from saco_data.sources.diagnosis import DAY, REMEDY, check_program
from saco_data.storage import files
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Failure, Policy, Request

if TYPE_CHECKING:
    from saco_data.model.items import Item
    from saco_data.transports.s3 import S3

# In order of trust: in a clip manifest `video_uid` may name the video that a clip was cut from.
_UID_COLUMNS = ("file_uid", "exported_clip_uid", "video_uid")
_PLACE_COLUMNS = ("canonical_s3_location", "s3_path")
_LOOK_AHEAD = 2  # videos fetched and not yet taken, where each is removed after use
_CLI_BATCH = 32
KEY_DAYS = 14  # how long Ego4D's keys last


class Ego4dSource(Source):
    """Ego4D, through boto3 or the official CLI."""

    def location(self) -> str:
        """The clip manifest that decides what exists."""
        return self.config.endpoint("manifest")

    def missing_requirement(self) -> str:
        from saco_data.transports.s3 import keys as aws_keys

        keys, access = self.config.keys, self.manifest.access
        if aws_keys.find(keys.aws_access_key_id, keys.aws_secret_access_key):
            return ""
        return f"no AWS keys. {access.steps} ({access.page})"

    def diagnose(self) -> Iterator[Finding]:
        yield self._diagnose_keys()
        if self.config.client == "ego4d-cli":
            yield check_program("ego4d")

    def _diagnose_keys(self) -> Finding:
        from saco_data.transports.s3 import keys as aws_keys

        given, access = self.config.keys, self.manifest.access
        if bool(given.aws_access_key_id) != bool(given.aws_secret_access_key):
            what = "the config gives one of the two AWS keys"
            return fail(self.name, what, "Give both, or neither")
        found = aws_keys.find(given.aws_access_key_id, given.aws_secret_access_key)
        renew = f"{access.steps} ({access.page})"
        if found is None:
            return fail(self.name, "no AWS keys", renew)
        if found.well_formed is False:
            what = f"the AWS keys of {found.where} do not look like keys"
            return warn(self.name, what, renew)
        if found.file is None:
            return ok(self.name, f"AWS keys from {found.where}; they last {KEY_DAYS} days")
        days = (time.time() - found.file.stat().st_mtime) / DAY
        what = f"AWS keys in {found.where}, written {days:.0f} days ago"
        if days > KEY_DAYS:
            return warn(self.name, f"{what}: Ego4D's last {KEY_DAYS}", renew)
        return ok(self.name, f"{what} (Ego4D's last {KEY_DAYS})")

    def diagnose_online(self) -> Finding:
        """Whether the keys open the clip manifest."""
        name = f"{self.name} online"
        if self.missing_requirement():
            return ok(name, "not asked: there are no keys")
        remedy = "Correct `endpoints: ego4d_manifest` in the config"
        try:
            with self._s3() as s3:
                s3.head(self.location())
        except ValueError:
            return fail(name, "the clip manifest is not of the form s3://bucket/key", remedy)
        except Failure as failure:
            if failure.reason.state is State.FAILED:
                return warn(name, failure.what, REMEDY)
            return fail(name, failure.what, remedy)
        return ok(name, "the keys open the clip manifest")

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        """See `Source.fetch`."""
        wanted: dict[str, Asset] = {}
        for asset in assets:
            try:
                path = self.raw_path(asset.key)
            except UnsafeName as error:
                yield self.outcome(asset, Reason.UNSAFE_NAME, str(error))
                continue
            if path.is_file():
                yield Arrival(asset, path, "", owned=True, facts=context.known.get(asset.key, {}))
            else:
                wanted[asset.key] = asset
        if wanted:
            yield from self._fetch(wanted, context)

    def find_changed(self, known: Mapping[str, Item]) -> Iterator[str]:
        """See `Source.changed`; S3 is asked, and says nothing to those without keys."""
        try:
            client = self._s3()
        except Blocked:
            return
        with client as s3:
            for key, item in known.items():
                if not item.facts.get("etag") or not item.origin.startswith("s3://"):
                    continue
                try:
                    _, now = s3.head(item.origin, probe=self.location())
                except Blocked:
                    return
                except Failure as failure:
                    if failure.reason.state is State.FAILED:
                        return
                    continue
                if now.get("etag", item.facts["etag"]) != item.facts["etag"]:
                    yield key

    def _fetch(self, wanted: dict[str, Asset], context: Context) -> Iterator[Arrival | Outcome]:
        with self._s3() as s3:
            yield from self._fetch_from(s3, wanted, context)

    def _fetch_from(
        self, s3: S3, wanted: dict[str, Asset], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.s3 import split

        try:
            catalogue = self._catalogue(s3)
        except Failure as failure:
            if failure.reason.state is not State.FAILED:
                raise self._no_manifest(failure.what) from None
            for asset in wanted.values():
                outcome = self.outcome(asset, failure.reason, f"clip manifest: {failure.what}")
                yield replace(outcome, origin=self.location(), tried=False)
            return
        urls: dict[str, str] = {}
        for key, asset in wanted.items():
            url = catalogue.get(key.removesuffix(".mp4"))
            if url is None:
                detail = "its uid is not in the clip manifest"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self.location())
                continue
            try:
                split(url)
            except ValueError as error:
                detail = f"the clip manifest gives a place {error}"
                yield self.outcome(asset, Reason.HTTP_ERROR, detail, self.location())
                continue
            urls[key] = url
        by_cli = self.config.client == "ego4d-cli"
        yield from (self._by_cli if by_cli else self._by_boto3)(s3, wanted, urls, context)

    def _by_boto3(
        self, s3: S3, wanted: dict[str, Asset], urls: dict[str, str], context: Context
    ) -> Iterator[Arrival | Outcome]:
        requests = (Request(key, url, self.raw_path(key)) for key, url in urls.items())
        for reply in s3.fetch(requests, self.location(), context.stop):
            asset = wanted[reply.key]
            if reply.path is None:
                yield self.outcome(asset, reply.reason, reply.detail, reply.origin)
            else:
                yield Arrival(asset, reply.path, reply.origin, owned=True, facts=reply.facts)

    def _by_cli(
        self, s3: S3, wanted: dict[str, Asset], urls: dict[str, str], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.official.ego4d_cli import Ego4dCli, accepts

        cli = Ego4dCli(
            access_key=self.config.keys.aws_access_key_id,
            secret_key=self.config.keys.aws_secret_access_key,
        )
        asked = []
        for key in urls:
            if accepts(key.removesuffix(".mp4")):
                asked.append(key)
            else:
                detail = "the ego4d CLI does not accept this uid: choose the transport boto3"
                yield self.outcome(wanted[key], Reason.UNSAFE_NAME, detail)
        size = _LOOK_AHEAD if self.config.removes_videos else _CLI_BATCH
        folder = self.config.raw_folder
        staging, manifest = folder / ".ego4d-cli", folder / ".ego4d-cli.csv"
        rest = iter(asked)
        try:
            while (batch := tuple(itertools.islice(rest, size))) and not context.stop.is_set():
                uids = {key.removesuffix(".mp4"): key for key in batch}
                # Of the manifest only what is asked for: one odd row ends the CLI.
                files.write_if_changed(
                    manifest, _rows({uid: urls[key] for uid, key in uids.items()})
                )
                result = cli.fetch(uids, staging, manifest, context.stop)
                if context.stop.is_set():
                    return
                said = f"the ego4d CLI did not bring it (status {result.status}: {result.said})"
                for uid, key in uids.items():
                    if uid in result.unknown:
                        detail = "the ego4d CLI does not find its uid in the manifest"
                        yield self.outcome(wanted[key], Reason.NOT_IN_CATALOGUE, detail)
                    else:
                        came = result.arrived.get(uid)
                        yield self._checked(s3, wanted[key], urls[key], came, said)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            manifest.unlink(missing_ok=True)

    def _checked(
        self, s3: S3, asset: Asset, url: str, path: Path | None, said: str
    ) -> Arrival | Outcome:
        """What the CLI left of one clip, compared with what S3 itself says of it."""
        try:
            size, facts = s3.head(url, probe=self.location())
        except Failure as failure:
            return self.outcome(asset, failure.reason, failure.what, url)
        if path is None:
            return self.outcome(asset, Reason.EXTRACTOR_ERROR, said, url)
        if path.stat().st_size != size:
            detail = f"{path.stat().st_size} of {size} bytes came"
            return self.outcome(asset, Reason.SHORT_BODY, detail, url)
        final = self.raw_path(asset.key)
        files.publish(path, final)
        return Arrival(asset, final, url, owned=True, facts=facts)

    def _s3(self) -> S3:
        from saco_data.transports.s3 import S3, split

        try:
            split(self.location())
        except ValueError:
            # It may hold a password: it is not repeated.
            raise Blocked(
                "not of the form s3://bucket/key",
                item="endpoints: ego4d_manifest",
                remedy="Correct it in the config, or remove it",
                reason=Reason.RAW_MISSING,
            ) from None
        rates = self.config.rates
        access = self.manifest.access
        return S3(
            Policy(
                concurrency=rates.concurrency,
                requests_per_second=rates.requests_per_second,
                sleep_seconds=rates.sleep_seconds,
                stall_timeout=60,
                patience_seconds=30,
            ),
            access_key=self.config.keys.aws_access_key_id,
            secret_key=self.config.keys.aws_secret_access_key,
            remedy=f"Keys last 14 days. {access.steps} ({access.page})",
        )

    def _catalogue(self, s3: S3) -> Mapping[str, str]:
        """The place of each clip by uid, from the manifest as it is now.

        The manifest is kept where the official CLI keeps it, and only fetched when it changed.
        Raises Blocked or Failure.
        """
        path = self.config.raw_folder / "manifest.csv"
        known_path = path.with_name(".manifest.csv.json")
        known = _read(known_path)
        content = path.read_bytes() if path.is_file() else b""
        same = known.get("url") == self.location() and known.get("sha256") == _sha256(content)
        document = s3.document(self.location(), str(known["etag"]) if same else None)
        if document is not None:
            content = document.content
            known = {"url": self.location(), "etag": document.etag, "sha256": _sha256(content)}
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_if_changed(path, content)
            files.write_if_changed(known_path, json.dumps(known).encode())
        try:
            return parse(content)
        except ValueError as error:
            raise self._no_manifest(str(error)) from None

    def _no_manifest(self, detail: str) -> Blocked:
        return Blocked(
            f"the clip manifest cannot be used ({detail})",
            item=self.location(),
            remedy="Correct `endpoints: ego4d_manifest` in the config, or remove it",
            reason=Reason.RAW_MISSING,
        )


def parse(content: bytes) -> dict[str, str]:
    """A clip manifest -> place (`s3://bucket/key`) by uid. Raises ValueError if it is none."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"not a CSV file: {type(error).__name__}") from None
    columns = rows[0].keys() if rows else ()
    uid_columns = [name for name in _UID_COLUMNS if name in columns]
    place = next((name for name in _PLACE_COLUMNS if name in columns), None)
    if not uid_columns or place is None:
        raise ValueError("no rows, or no columns for uid and place")
    catalogue: dict[str, str] = {}
    for column in uid_columns:
        places: dict[str, list[str]] = {}
        for row in rows:
            places.setdefault(row[column] or "", []).append((row[place] or "").strip())
        for uid, found in places.items():
            # A parent video stands in the rows of all its clips, and is none of them.
            if uid and (column is uid_columns[0] or len(set(found)) == 1):
                catalogue.setdefault(uid, found[0])
    return catalogue


def _rows(places: Mapping[str, str]) -> bytes:
    """A manifest as the CLI reads it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("file_uid", "s3_path", "type"))
    writer.writerows((uid, url, "mp4") for uid, url in places.items())
    return text.getvalue().encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("etag") else {}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
