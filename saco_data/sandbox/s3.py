"""S3 on loopback: moto behind a gate that refuses, throttles, breaks off and counts on request.

    with S3Server({"ego4d-consortium-sharing": {"public/v1/clips/manifest.csv": b"..."}}) as s3:
        subprocess.run(["ego4d", ...], env={**os.environ, **s3.environment})

moto keeps one set of buckets a process: run one server at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from saco_data.sandbox.threads import serve_in_thread

ACCESS_KEY = "AKIASANDBOXSANDBOX00"
SECRET_KEY = "sandboxSECRETsandboxSECRETsandboxSECRET0"  # noqa: S105 - opens nothing
_PIECE = 1 << 14

# Code and status of the answers of S3 that concern the whole account.
REFUSALS = {
    "ExpiredToken": 400,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "AccessDenied": 403,
    "SlowDown": 503,
    "InternalError": 500,
}


@dataclass
class Gate:
    """Which requests fail, and how; may be changed while the server runs.

    `all`: code of REFUSALS that answers every request. `keys`: such a code for single objects, by
    `bucket/key`. `cut`: objects whose next answers break off, by `bucket/key`: bytes before each
    break. `bandwidth`: bytes a second of one answer, 0 for all it can. `ignores_conditions`: writes
    what was asked for, whatever conditions the request has, as some servers do. `accounts`: the
    access key that requests for a bucket need, by its name.
    """

    all: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    bandwidth: int = 0
    ignores_conditions: bool = False
    accounts: dict[str, str] = field(default_factory=dict)


class S3Server:
    """A context manager. `requests` counts by `METHOD bucket/key`, `sent` bytes by `bucket/key`."""

    def __init__(self, buckets: Mapping[str, Mapping[str, bytes | Path]]) -> None:
        self.buckets = buckets
        self.gate = Gate()
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.conditions: list[tuple[str, str, str]] = []  # object, Range, If-Match
        self.url = ""

    def __enter__(self) -> Self:
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            create_backend_app,
        )
        from moto.s3.models import s3_backends
        from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:
                """Requests are counted, not printed."""

        class Server(ThreadedWSGIServer):
            daemon_threads = True
            block_on_close = False  # kept-alive connections would hold it

        self._backend = s3_backends["123456789012"]["aws"]  # moto's own account
        self._backend.reset()
        for bucket, objects in self.buckets.items():
            self._backend.create_bucket(bucket, "us-east-1")
            self._backend.put_bucket_versioning(bucket, "Enabled")
            for key, content in objects.items():
                self.put(bucket, key, content)
        self._moto = DomainDispatcherApplication(create_backend_app)
        server = Server("127.0.0.1", 0, self._answer, Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._backend.reset)
        self._stack.enter_context(serve_in_thread(server))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that send boto3 and the `ego4d` CLI here, with keys that open it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, bucket: str, key: str, content: bytes | Path) -> None:
        """Puts an object, or a new version of it."""
        data = content.read_bytes() if isinstance(content, Path) else content
        self._backend.put_object(bucket, key, data)

    def put_in_parts(self, bucket: str, key: str, parts: Iterable[bytes]) -> None:
        """Puts an object as a multipart upload, whose ETag is no plain digest."""
        import boto3.session

        client = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1").client(
            "s3", endpoint_url=self.url
        )
        name = {"Bucket": bucket, "Key": key}
        upload = {**name, "UploadId": client.create_multipart_upload(**name)["UploadId"]}
        etags = [
            {"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=part)["ETag"]}
            for n, part in enumerate(parts, 1)
        ]
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": etags})

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object."""
        self._backend.delete_object(bucket, key)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        name = _object(environ)
        self.requests[f"{environ['REQUEST_METHOD']} {name}"] += 1
        self.conditions.append(
            (name, environ.get("HTTP_RANGE", ""), environ.get("HTTP_IF_MATCH", ""))
        )
        if self.gate.ignores_conditions and environ["REQUEST_METHOD"] == "PUT":
            for condition in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
                environ.pop(condition, None)
        refusal = self.gate.all or self.gate.keys.get(name, "")
        account = self.gate.accounts.get(name.partition("/")[0])
        if account and f"Credential={account}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            refusal = "InvalidAccessKeyId"
        if refusal:
            status = f"{REFUSALS[refusal]} {refusal}"
            body = f"<Error><Code>{refusal}</Code><Message>{refusal}</Message></Error>".encode()
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        cuts = self.gate.cut.get(name)
        cut = cuts.pop(0) if cuts and environ["REQUEST_METHOD"] == "GET" else None
        return self._paced(name, self._moto(environ, start), cut)

    def _paced(self, name: str, body: Iterable[bytes], cut: int | None) -> Iterator[bytes]:
        begun, sent = time.monotonic(), 0
        for block in body:
            for at in itertools.count(0, _PIECE):
                piece = block[at : at + _PIECE]
                if not piece:
                    break
                if cut is not None and sent + len(piece) > cut:
                    yield piece[: cut - sent]
                    self.sent[name] += cut - sent
                    raise ConnectionAbortedError("the sandbox broke off as told")
                yield piece
                sent += len(piece)
                self.sent[name] += len(piece)
                if self.gate.bandwidth:
                    time.sleep(max(0.0, begun + sent / self.gate.bandwidth - time.monotonic()))


def _object(environ: Mapping[str, Any]) -> str:
    """`bucket/key` of a request, whether the bucket stands in the path or in the host name."""
    path = unquote(environ["PATH_INFO"]).lstrip("/")
    host = re.match(r"([a-z0-9.-]+)\.s3[.-][a-z0-9.-]*amazonaws\.com", environ.get("HTTP_HOST", ""))
    return f"{host[1]}/{path}" if host else path
