"""Services that hold annotations: the Hugging Face Hub, and Roboflow's REST export."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from saco_data.sandbox.http_server import Answer, FileServer, Query
from saco_data.sandbox.packing import pack_zip

_JSON = {"Content-Type": "application/json"}


@dataclass
class HuggingFace:
    """A dataset's files by name. With `token`, requests without it are refused as gated."""

    dataset: str
    files: dict[str, bytes]
    token: str | None = None

    @property
    def revision(self) -> str:
        """The commit of the files: it changes when they do."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def mount(self, server: FileServer) -> str:
        """Adds the dataset to a server; returns the endpoint."""
        server.route(f"/datasets/{self.dataset}/resolve/", self._file)
        return server.url

    def _file(self, query: Query) -> Answer:
        given = {name.lower(): value for name, value in query.headers.items()}.get("authorization")
        if self.token is not None and given != f"Bearer {self.token}":
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}
            return Answer(b"", 403 if given else 401, said)
        revision, _, name = query.path.partition("/resolve/")[2].partition("/")
        if revision not in ("main", self.revision):
            return Answer(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        if name not in self.files:
            return Answer(
                b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.revision}
            )
        content = self.files[name]
        headers = {
            "X-Repo-Commit": self.revision,
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
        }
        return Answer(content, 200, headers)


@dataclass
class Roboflow:
    """Exports by project: pictures by name and `_annotations.coco.json`. Requests need `key`."""

    workspace: str
    key: str
    exports: dict[str, dict[str, bytes]] = field(default_factory=dict)
    version: int = 2
    unready: int = 0  # how often an export is reported as not ready
    url: str = ""  # the address for clients, if not the server's own

    def mount(self, server: FileServer, prefix: str = "/roboflow") -> str:
        """Adds it to a server; returns the REST root."""
        self.url = self.url or f"{server.url}{prefix}"
        skip = len(prefix) + 1
        server.route(f"{prefix}/", lambda query: self._answer(query, query.path[skip:].split("/")))
        return self.url

    def _answer(self, query: Query, parts: list[str]) -> Answer:
        if parts[0] == "exports":
            return Answer(pack_zip(self.exports[parts[1].removesuffix(".zip")]))
        if query.query.get("api_key") != self.key:
            return _json({"message": "This API key does not exist"}, 401)
        if parts[0] != self.workspace or len(parts) < 2 or parts[1] not in self.exports:
            return _json({"error": {"message": "not found"}}, 404)
        path = f"{self.workspace}/{parts[1]}"
        if len(parts) == 2:
            versions = [{"id": f"{path}/{number + 1}"} for number in range(self.version)]
            return _json({"workspace": self.workspace, "versions": versions})
        if parts[2:] != [str(self.version), "coco"]:
            return _json({"error": {"message": "not found"}}, 404)
        if self.unready > 0:
            self.unready -= 1
            return _json({"progress": 0.5})
        return _json({"export": {"format": "coco", "link": f"{self.url}/exports/{parts[1]}.zip"}})


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(content).encode(), status, _JSON)
