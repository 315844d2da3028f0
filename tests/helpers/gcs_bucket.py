"""Google Cloud Storage on loopback, as far as obstore speaks it: objects of its XML API.

Requests need a token that the key of its service account has signed, as at Google. Each write has
a new generation; `x-goog-if-generation-match` is kept; parts of an upload are at least 5 MiB.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from saco_data.sandbox.threads import serve_in_thread

EMAIL = "saco@sandbox.iam.gserviceaccount.com"
LEAST_PART = 5 << 20
_MISSING = {"NoSuchBucket": 404, "NoSuchKey": 404, "NoSuchUpload": 404}
STATUS = _MISSING | {
    "AuthenticationRequired": 401,
    "AccessDenied": 403,
    "PreconditionFailed": 412,
    "EntityTooSmall": 400,
    "InvalidPart": 400,
    "InternalError": 500,
}


@dataclass
class _Object:
    content: bytes
    generation: int
    tag: str
    modified: float = field(default_factory=time.time)


@dataclass
class Gate:
    """Which requests fail: `all` or those for single objects, by `bucket/key`: a code of STATUS.

    `ignores_conditions`: writes whatever conditions the request has.
    """

    all: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    ignores_conditions: bool = False


class _Refusal(Exception):
    """The code of an error answer."""


class GcsBucketServer:
    """A context manager. `requests` counts by `METHOD bucket/key`; `page`: names in a listing.

    `environment`: variables that lead Google's clients here, with a key that opens it.
    """

    def __init__(self, folder: Path, *buckets: str) -> None:
        self.gate = Gate()
        self.requests: Counter[str] = Counter()
        self.page = 1000
        self.url = ""
        self._folder = folder
        self._buckets: dict[str, dict[str, _Object]] = {name: {} for name in buckets}
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._generations = itertools.count(time.time_ns() // 1000)
        self._lock = threading.Lock()
        self._key = rsa.generate_private_key(65537, 2048)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:
                """Requests are counted, not printed."""

        server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=Handler)
        server.daemon_threads = True  # type: ignore[attr-defined]
        server.block_on_close = False  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._stack.enter_context(serve_in_thread(server))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def secret(self) -> str:
        """The private key, as it stands in the file of the service account."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def environment(self) -> dict[str, str]:
        path = self._folder / "service_account.json"
        account = {
            "type": "service_account",
            "project_id": "sandbox",
            "private_key_id": "1",
            "private_key": self.secret,
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        path.write_text(json.dumps(account))
        path.chmod(0o600)
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "GOOGLE_BASE_URL": self.url}

    def _serve(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        bucket, _, key = request.path.lstrip("/").partition("/")
        name = f"{bucket}/{key}" if key else bucket
        self.requests[f"{request.method} {name}"] += 1
        try:
            self._authenticate(request)
            if code := self.gate.all or self.gate.keys.get(name, ""):
                raise _Refusal(code)
            if bucket not in self._buckets:
                raise _Refusal("NoSuchBucket")
            content = request.get_data()
            with self._lock:
                answer = self._answer(request, self._buckets[bucket], key, content)
        except _Refusal as refusal:
            code = str(refusal)
            body = f"<Error><Code>{code}</Code><Message>{code} {name}</Message></Error>"
            answer = _xml(body, STATUS[code])
        return answer(environ, start)

    def _authenticate(self, request: Request) -> None:
        """Raises _Refusal for a request without a token that our key has signed and that lasts."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            signed, _, signature = token.rpartition(".")
            self._key.public_key().verify(
                _decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims = json.loads(_decode(signed.partition(".")[2]))
            is_valid = kind == "Bearer" and claims["iss"] == EMAIL and claims["exp"] > time.time()
        except (ValueError, KeyError, InvalidSignature):
            is_valid = False
        if not is_valid:
            raise _Refusal("AuthenticationRequired")

    def _answer(
        self, request: Request, objects: dict[str, _Object], key: str, content: bytes
    ) -> Response:
        query = request.args
        if not key:
            return self._list(objects, query)
        if request.method == "POST" and "uploads" in query:
            upload = f"upload-{next(self._generations)}"
            self._uploads[upload] = {}
            return _xml(
                "<InitiateMultipartUploadResult>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        if "uploadId" in query:
            return self._continue(request, objects, key, content)
        found = objects.get(key)
        if request.method == "PUT":
            wanted = request.headers.get("x-goog-if-generation-match")
            generation = str(found.generation) if found else "0"
            if wanted not in (None, generation) and not self.gate.ignores_conditions:
                raise _Refusal("PreconditionFailed")
            tag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            return Response(headers=_facts(self._put(objects, key, content, tag)))
        if found is None:
            raise _Refusal("NoSuchKey")
        if request.method == "DELETE":
            del objects[key]
            return Response(status=204)
        return _send(request, found)

    def _put(self, objects: dict[str, _Object], key: str, content: bytes, tag: str) -> _Object:
        objects[key] = _Object(content, next(self._generations), tag)
        return objects[key]

    def _continue(
        self, request: Request, objects: dict[str, _Object], key: str, content: bytes
    ) -> Response:
        """A part of an upload, its end, or its being given up."""
        upload = request.args["uploadId"]
        parts = self._uploads.get(upload)
        if parts is None:
            raise _Refusal("NoSuchUpload")
        if request.method == "PUT":
            parts[int(request.args["partNumber"])] = content
            return Response(headers={"ETag": f'"{_md5(content)}"'})
        del self._uploads[upload]
        if request.method == "DELETE":
            return Response(status=204)
        named = [
            (int(str(part.findtext("PartNumber"))), str(part.findtext("ETag")).strip('"'))
            for part in ElementTree.fromstring(content).iter("Part")
        ]
        if named != sorted((number, _md5(part)) for number, part in parts.items()):
            raise _Refusal("InvalidPart")
        pieces = [parts[number] for number in sorted(parts)]
        if any(len(piece) < LEAST_PART for piece in pieces[:-1]):
            raise _Refusal("EntityTooSmall")
        whole = b"".join(pieces)
        # Not the MD5 of the content, as for every object that came in parts.
        made = self._put(objects, key, whole, f"{_md5(whole[::-1])}-{len(pieces)}")
        body = f"<ETag>&quot;{made.tag}&quot;</ETag>"
        answer = _xml(f"<CompleteMultipartUploadResult>{body}</CompleteMultipartUploadResult>")
        answer.headers["x-goog-generation"] = str(made.generation)
        return answer

    def _list(self, objects: dict[str, _Object], query: Mapping[str, str]) -> Response:
        after = query.get("continuation-token", "")
        names = [
            name
            for name in sorted(objects)
            if name.startswith(query.get("prefix", "")) and name > after
        ]
        here = names[: self.page]
        rows = "".join(_row(name, objects[name]) for name in here)
        if len(here) < len(names):
            token = escape(here[-1])
            rows += "<IsTruncated>true</IsTruncated>"
            rows += f"<NextContinuationToken>{token}</NextContinuationToken>"
        return _xml(f"<ListBucketResult>{rows}</ListBucketResult>")


def _row(name: str, found: _Object) -> str:
    modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(found.modified))
    return (
        f"<Contents><Key>{escape(name)}</Key><Generation>{found.generation}</Generation>"
        f"<LastModified>{modified}</LastModified><ETag>&quot;{found.tag}&quot;</ETag>"
        f"<Size>{len(found.content)}</Size></Contents>"
    )


def _send(request: Request, found: _Object) -> Response:
    """The answer to a GET or HEAD, with the range that was asked for."""
    answer = Response(found.content, headers=_facts(found), mimetype="application/octet-stream")
    wanted, size = request.range, len(found.content)
    if wanted is not None and (span := wanted.range_for_length(size)):
        answer.status_code = 206
        answer.set_data(found.content[span[0] : span[1]])
        answer.headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
    return answer


def _facts(found: _Object) -> dict[str, str]:
    return {
        "ETag": f'"{found.tag}"',
        "x-goog-generation": str(found.generation),
        "Last-Modified": formatdate(found.modified, usegmt=True),
    }


def _xml(body: str, status: int = 200) -> Response:
    text = f"<?xml version='1.0' encoding='UTF-8'?>{body}"
    return Response(text, status=status, mimetype="application/xml")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
