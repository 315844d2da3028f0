"""S3 as a service on HTTP: boto3 finds the address and signs, the HTTP engine sends.

The signature is a header of each request (SigV4), not part of the address: so no address, message
or log can hold it, and neither an expiry nor keys that a role renews end a download. Everywhere
else the address is `s3://bucket/key`. What else boto3's own client does and is kept:

- A bucket is followed to its region. S3 names the region when it refuses a signature; the next
  attempt is signed for it.
- The error codes of S3 are read (`outcome`), with a hint where this computer's clock is wrong.
- The digest in the ETag is compared. For an upload in parts this takes one more request, and is
  done for files that an earlier process began.

Proxies and certificates come from the environment (AWS_CA_BUNDLE included) as for all HTTP, no
longer from `~/.aws/config`.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pydantic import SecretStr
from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.service import Service
from saco_data.transports.s3 import etag as etags
from saco_data.transports.s3 import keys
from saco_data.transports.s3.outcome import failure_of, refusal
from saco_data.transports.s3.signer import Signer

if TYPE_CHECKING:
    from saco_data.transports.http.session import Session

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9._-]{1,62})/(?P<key>.{1,1024})", re.DOTALL)


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URL. Raises ValueError."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"not of the form s3://bucket/key: {url[:200]!r}")
    return match["bucket"], match["key"]


class S3Service(Service):
    """Signs for objects in any bucket, with the two keys given, else with those boto3 finds."""

    # S3 documents If-Match for ranges: a changed object is refused with 412.
    range_condition = "If-Match"

    def __init__(self, access_key: SecretStr | None, secret_key: SecretStr | None) -> None:
        self._keys = (access_key, secret_key)
        self._regions: dict[str, str] = {}  # by bucket, where S3 has named it
        self._signers: dict[str, Signer] = {}  # by region; "": as the environment says
        self._lock = threading.Lock()

    def parse_address(self, text: str) -> URL:
        """`s3://bucket/key` as a URL. Raises RequestFailure for any other."""
        try:
            bucket, key = split(text)
        except ValueError as error:
            raise RequestFailure(str(error), reason=Reason.HTTP_ERROR) from None
        return URL.build(scheme="s3", host=bucket, path=f"/{quote(key)}", encoded=True)

    def host_of(self, url: URL) -> str:
        """One name for all buckets: they share the request rate of the source."""
        return "s3"

    async def sign(self, url: URL, method: str) -> tuple[URL, Mapping[str, str]]:
        """The web address of an object and the signature; in a thread, for keys may be renewed."""
        return await asyncio.to_thread(self._sign, url, method)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, asked: URL, answered: URL
    ) -> RequestFailure:
        """See `outcome.refusal`. Learns the bucket's region where the signature was for another."""
        bucket, region = asked.host or "", headers.get("x-amz-bucket-region", "")
        if region and not self._is_signed_for(bucket, region):
            self._regions[bucket] = region
            return RequestFailure(
                f"HTTP {status}: the bucket is in the region {region}",
                reason=Reason.HTTP_ERROR,
                transient=True,
            )
        return refusal(status, headers, body)

    def announced_digests(self, headers: Mapping[str, str], *, whole: bool) -> dict[str, bytes]:
        """The md5 in the ETag, if it is one."""
        md5 = etags.md5_of(headers.get("ETag", "")) if etags.is_digest(headers) else None
        return {} if md5 is None else {"md5": md5}

    async def check_resumed(self, session: Session, url: URL, etag: str, file: int) -> None:
        """Compares the ETag of an upload in parts, if S3 gives the size of the first part."""
        if not etags.is_multipart(etag):
            return
        size = await self._first_part_size(session, url)
        if not size:
            return
        found = await session.on_disk(lambda: etags.multipart_etag(file, size))
        # Parts of unequal size fail as well: such a file is fetched again in one process.
        if found != etag.strip('"'):
            raise RequestFailure(
                "the bytes do not fit the ETag",
                reason=Reason.WRONG_DIGEST,
                transient=True,
                restart=True,
            )

    async def _first_part_size(self, session: Session, url: URL) -> int | None:
        """Bytes of the first part of an upload; None if S3 does not say, or it is of no use."""
        try:
            async with session.ask(url.with_query(partNumber="1"), {}, method="HEAD") as body:
                if "x-amz-mp-parts-count" in body.headers and etags.is_digest(body.headers):
                    return body.response.content_length
        except RequestFailure:
            pass
        return None

    def _sign(self, url: URL, method: str) -> tuple[URL, Mapping[str, str]]:
        bucket = url.host or ""
        parameters: dict[str, Any] = {"Bucket": bucket, "Key": unquote(url.raw_path[1:])}
        if "partNumber" in url.query:
            parameters["PartNumber"] = int(url.query["partNumber"])
        try:
            signer = self._signer(self._regions.get(bucket, ""))
            return signer.sign(method, parameters)
        except Exception as error:
            # Profiles name programs, files and servers: all kinds of errors come.
            raise failure_of(error, keys.describe(*self._keys)) from None

    def _is_signed_for(self, bucket: str, region: str) -> bool:
        return self._signer(self._regions.get(bucket, "")).region == region

    def _signer(self, region: str) -> Signer:
        with self._lock:
            if region not in self._signers:
                self._signers[region] = Signer(*self._keys, region or None)
            return self._signers[region]
