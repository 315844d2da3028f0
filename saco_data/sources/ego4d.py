"""Ego4D clips, in S3 buckets that the clip manifest names; AWS keys are valid for 14 days."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from saco_data.model.errors import Blocked
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources import ego4d_by_cli, ego4d_manifest
from saco_data.sources.base import Context, Source
from saco_data.sources.diagnosis import DAY, REMEDY, check_program
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Failure, Policy, Request

if TYPE_CHECKING:
    from saco_data.model.items import Item
    from saco_data.transports.s3 import S3

KEY_DAYS = 14  # validity of Ego4D's keys


class Ego4dSource(Source):
    """Ego4D, through boto3 or the official CLI."""

    def location(self) -> str:
        """The address of the clip manifest, which decides which clips exist."""
        return self.config.endpoint("manifest")

    def missing_requirement(self) -> str:
        from saco_data.transports.s3 import keys as aws_keys

        keys, access = self.config.keys, self.manifest.access
        if aws_keys.find(keys.aws_access_key_id, keys.aws_secret_access_key):
            return ""
        return f"{_no_keys()}. {access.steps} ({access.page})"

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
        keys = aws_keys.find(given.aws_access_key_id, given.aws_secret_access_key)
        renew = f"{access.steps} ({access.page})"
        if keys is None:
            return fail(self.name, _no_keys(), renew)
        if keys.well_formed is False:
            what = f"the AWS keys of {keys.where} do not look like keys"
            return warn(self.name, what, renew)
        if keys.file is None:
            return ok(self.name, f"AWS keys from {keys.where}; they last {KEY_DAYS} days")
        days = (time.time() - keys.file.stat().st_mtime) / DAY
        what = f"AWS keys in {keys.where}, written {days:.0f} days ago"
        if days > KEY_DAYS:
            return warn(self.name, f"{what}: Ego4D's last {KEY_DAYS}", renew)
        return ok(self.name, f"{what} (Ego4D's last {KEY_DAYS})")

    def diagnose_online(self) -> Finding:
        """Whether the keys open the clip manifest."""
        name = f"{self.name} online"
        if self.missing_requirement():
            return ok(name, "not asked: there are no keys")
        remedy = self.config.endpoint_remedy("manifest")
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

    def modules(self) -> tuple[str, ...]:
        return (*super().modules(), "saco_data.transports.s3")

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
            with self._s3() as s3:
                yield from self._fetch(s3, wanted, context)

    def find_changed(self, known: Mapping[str, Item]) -> Iterator[str]:
        """See `Source.find_changed`: compares ETags in S3, which needs keys."""
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

    def _fetch(
        self, s3: S3, wanted: dict[str, Asset], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.s3 import split

        remedy = self.config.endpoint_remedy("manifest")
        try:
            addresses = ego4d_manifest.fetch(s3, self.location(), self.config.raw_folder, remedy)
        except Failure as failure:
            if failure.reason.state is not State.FAILED:
                raise ego4d_manifest.unusable(self.location(), failure.what, remedy) from None
            for asset in wanted.values():
                outcome = self.outcome(asset, failure.reason, f"clip manifest: {failure.what}")
                yield replace(outcome, origin=self.location(), tried=False)
            return
        urls: dict[str, str] = {}
        for key, asset in wanted.items():
            url = addresses.get(key.removesuffix(".mp4"))
            if url is None:
                detail = "its uid is not in the clip manifest"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail, self.location())
                continue
            try:
                split(url)
            except ValueError as error:
                detail = f"the clip manifest gives an address {error}"
                yield self.outcome(asset, Reason.HTTP_ERROR, detail, self.location())
                continue
            urls[key] = url
        if self.config.client == "ego4d-cli":
            yield from ego4d_by_cli.fetch(self, s3, wanted, urls, context)
        else:
            yield from self._fetch_by_boto3(s3, wanted, urls, context)

    def _fetch_by_boto3(
        self, s3: S3, wanted: dict[str, Asset], urls: dict[str, str], context: Context
    ) -> Iterator[Arrival | Outcome]:
        requests = (Request(key, url, self.raw_path(key)) for key, url in urls.items())
        for reply in s3.fetch(requests, self.location(), context.stop):
            asset = wanted[reply.key]
            if reply.path is None:
                yield self.outcome(asset, reply.reason, reply.detail, reply.origin)
            else:
                yield Arrival(asset, reply.path, reply.origin, owned=True, facts=reply.facts)

    def _s3(self) -> S3:
        from saco_data.transports.s3 import S3, split

        try:
            split(self.location())
        except ValueError:
            # Not repeated in the message: it may contain a password.
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


def _no_keys() -> str:
    from saco_data.transports.s3.keys import explain_missing

    why = explain_missing()
    return f"no AWS keys: {why}" if why else "no AWS keys"
