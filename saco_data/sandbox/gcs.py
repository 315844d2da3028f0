"""Google Cloud Storage on loopback: public objects with ranges and digests, and the JSON API.

    objects = {"robotics/droid_raw/1.0.1/...mp4": b"..."}
    with GcsServer({"gresearch": objects}) as gcs:
        gcs.public_url("gresearch")  # for HTTPS clients: `endpoints: droid_https`
        with ConnectProxy({HOST: gcs.handler}) as proxy:
            subprocess.run(["gsutil", ...], env={**os.environ, **proxy.environment})

gsutil insists on HTTPS and on Google's host name, so it needs the CONNECT proxy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saco_data.sandbox.http_server import Answer, FileServer, Query
from saco_data.sandbox.proxy import Handler, forward

HOST = "storage.googleapis.com"
_GENERATION = "1700000000000000"
_API = "/storage/v1/b/"
_DOWNLOAD = "/download/storage/v1/b/"


class GcsServer(FileServer):
    """A FileServer whose paths are `/<bucket>/<object>`.

    `buckets` may be changed while it serves. `forbidden`: names `bucket/object` answered with 403.
    """

    def __init__(self, buckets: Mapping[str, Mapping[str, bytes | Path]], **options: Any) -> None:
        super().__init__(**options)
        self.buckets = {name: dict(objects) for name, objects in buckets.items()}
        self.forbidden: set[str] = set()
        self.route("/", self._public)
        self.route(_API, self._api)
        self.route(_DOWNLOAD, self._api)

    def public_url(self, bucket: str) -> str:
        """The URL of a bucket's objects."""
        return f"{self.url}/{bucket}"

    @property
    def handler(self) -> Handler:
        """The handler with which a ConnectProxy answers for storage.googleapis.com."""
        return forward(self.url)

    def _public(self, query: Query) -> Answer | None:
        bucket, _, name = query.path.lstrip("/").partition("/")
        if f"{bucket}/{name}" in self.forbidden:
            return _xml(403, "AccessDenied", "Access denied.")
        if bucket not in self.buckets:
            return _xml(404, "NoSuchBucket", "The specified bucket does not exist.")
        body = self.buckets[bucket].get(name)
        if body is None:
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        md5, crc = compute_digests(body)
        headers = {"x-goog-hash": f"crc32c={crc},md5={md5}", "x-goog-generation": _GENERATION}
        return Answer(body, headers={**headers, "x-goog-stored-content-length": str(_size(body))})

    def _api(self, query: Query) -> Answer | None:
        _, _, rest = query.path.partition("/storage/v1/b/")
        bucket, _, name = rest.partition("/o/")
        if f"{bucket}/{name}" in self.forbidden:
            return _json(403, {"error": {"code": 403, "message": "Access denied."}})
        if not name:
            return self._list(bucket.removesuffix("/o"), query.query)
        body = self.buckets.get(bucket, {}).get(name)
        if body is None or query.query.get("generation", _GENERATION) != _GENERATION:
            return _json(404, {"error": {"code": 404, "message": f"No such object: {rest}"}})
        md5, crc = compute_digests(body)
        if query.query.get("alt") == "media":
            return Answer(body, headers={"x-goog-hash": f"crc32c={crc},md5={md5}"})
        return _json(200, _item(bucket, name, body))

    def _list(self, bucket: str, query: Mapping[str, str]) -> Answer:
        """One page with everything: names below `prefix`, folded at `delimiter`."""
        if bucket not in self.buckets:
            return _json(404, {"error": {"code": 404, "message": "No such bucket."}})
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items, folders = [], set()
        for name, body in self.buckets[bucket].items():
            head, found, _ = name.removeprefix(prefix).partition(delimiter or "\0")
            if name.startswith(prefix) and found:
                folders.add(prefix + head + delimiter)
            elif name.startswith(prefix):
                items.append(_item(bucket, name, body))
        listing = {"kind": "storage#objects", "items": items, "prefixes": sorted(folders)}
        return _json(200, listing)


def _item(bucket: str, name: str, body: bytes | Path) -> dict[str, str]:
    """The metadata of an object."""
    md5, crc = compute_digests(body)
    item = {"kind": "storage#object", "bucket": bucket, "name": name, "md5Hash": md5}
    item |= {"crc32c": crc, "size": str(_size(body)), "contentType": "video/mp4"}
    item |= {"id": f"{bucket}/{name}/{_GENERATION}", "generation": _GENERATION}
    item |= {"metageneration": "1", "etag": "CAE=", "storageClass": "STANDARD"}
    item |= {"timeCreated": "2024-01-01T00:00:00Z", "updated": "2024-01-01T00:00:00Z"}
    link = f"https://{HOST}{_DOWNLOAD}{bucket}/o/{name.replace('/', '%2F')}?alt=media"
    return {**item, "mediaLink": link}


def compute_digests(body: bytes | Path) -> tuple[str, str]:
    """md5 and crc32c in base64, as Google writes them."""
    from google_crc32c import Checksum

    data = body.read_bytes() if isinstance(body, Path) else body
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    crc: bytes = Checksum(data).digest()  # type: ignore[no-untyped-call]
    return md5, base64.b64encode(crc).decode()


def _size(body: bytes | Path) -> int:
    return body.stat().st_size if isinstance(body, Path) else len(body)


def _xml(status: int, code: str, message: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(body.encode(), status, {"Content-Type": "application/xml"})


def _json(status: int, content: Any) -> Answer:
    return Answer(json.dumps(content).encode(), status, {"Content-Type": "application/json"})
